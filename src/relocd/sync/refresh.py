"""What a refresh that runs has told so far, and what it leaves open."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from relocd.model.entries import EntryUUID

__all__ = ["Refresh"]


@dataclass(slots=True)
class Refresh:
    """The entries that it `named`, those that it `sent` whole, and two kinds of entries whose fate is open.

    `displaced` lost their name to another entry: they were deleted or renamed, and the refresh has to tell which.
    `emptied` are names of entries that are gone: if there still is an entry below one, it was moved away with what is
    below it, and of that no search tells.
    """

    fresh: bool
    named: set[EntryUUID] = field(default_factory=set)
    sent: set[EntryUUID] = field(default_factory=set)
    displaced: set[EntryUUID] = field(default_factory=set)
    emptied: set[str] = field(default_factory=set)

    def name(self, uuids: Iterable[EntryUUID]) -> None:
        """Some entries exist."""
        self.named.update(uuids)

    def send(self, uuid: EntryUUID) -> None:
        """An entry exists, and its whole content was sent."""
        self.named.add(uuid)
        self.sent.add(uuid)
        self.displaced.discard(uuid)

    def delete(self, uuids: Collection[EntryUUID]) -> None:
        """Some entries are gone."""
        self.displaced.difference_update(uuids)

    def end_presence(self) -> None:
        """What was not named is gone."""
        self.displaced &= self.named
