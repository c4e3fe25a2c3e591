"""What a running refresh has sent so far, and which entries it has not accounted for yet."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from relocd.model.entries import EntryUUID

__all__ = ["Refresh"]


@dataclass(slots=True)
class Refresh:
    """The entries that it `named`, those that it `sent` whole, and two kinds that it still has to account for.

    `displaced` have lost their name to another entry: they were deleted or renamed, and the refresh has to send which.
    `emptied` are the names of entries that are gone. Where an entry is still known below one, that subtree was moved
    out of the search's view by one rename, which the search does not send. `fresh` is a search without a cookie.
    """

    fresh: bool
    named: set[EntryUUID] = field(default_factory=set)
    sent: set[EntryUUID] = field(default_factory=set)
    displaced: set[EntryUUID] = field(default_factory=set)
    emptied: set[str] = field(default_factory=set)

    def name(self, uuids: Iterable[EntryUUID]) -> None:
        """Note that entries exist."""
        self.named.update(uuids)

    def send(self, uuid: EntryUUID) -> None:
        """Note that an entry exists and was sent whole."""
        self.named.add(uuid)
        self.sent.add(uuid)
        self.displaced.discard(uuid)

    def delete(self, uuids: Collection[EntryUUID]) -> None:
        """Note that entries are gone."""
        self.displaced.difference_update(uuids)

    def end_presence(self) -> None:
        """Note the end of the present phase: what was not named is gone."""
        self.displaced &= self.named
