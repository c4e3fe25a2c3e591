"""Entries that are of no concern yet, kept as they came within a limit: what a failover needs is then here already.

A service that is linked to this server later must be known whole at that moment. In a directory of ordinary size it
is here, so a move waits for no second read, and does not depend on one. In a large directory the limit is reached and
the rest is read directly when it comes to be of concern (`Mirror.missing`): memory does not grow with the parameters
of other servers' services.
"""

from __future__ import annotations

from typing import Final

from relocd.model.entries import Entry, EntryUUID

__all__ = ["EntryCache"]

# What CPython needs besides the values themselves, roughly: the entry with its name and mapping, and each value.
_ENTRY_BYTES: Final = 800
_VALUE_BYTES: Final = 120


class EntryCache:
    """Entries by identity, at most `limit_bytes` of them; the first to come stay."""

    def __init__(self, limit_bytes: int) -> None:
        self._left = limit_bytes
        self._entries: dict[EntryUUID, Entry] = {}

    def get(self, uuid: EntryUUID) -> Entry | None:
        """The entry of an identity, None where it is not kept."""
        return self._entries.get(uuid)

    def keep(self, entry: Entry) -> None:
        """Keep an entry in place of what was known of it, if there is room."""
        self.drop(entry.uuid)
        size = _size(entry)
        if size <= self._left:
            self._left -= size
            self._entries[entry.uuid] = entry

    def drop(self, uuid: EntryUUID) -> None:
        """Forget an entry; nothing happens where there is none."""
        entry = self._entries.pop(uuid, None)
        if entry is not None:
            self._left += _size(entry)


def _size(entry: Entry) -> int:
    values = [value for each in entry.attributes.values() for value in each]
    return _ENTRY_BYTES + _VALUE_BYTES * len(values) + sum(map(len, values))
