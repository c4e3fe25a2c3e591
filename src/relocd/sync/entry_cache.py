"""A bounded cache of whole entries that are not of interest yet, so that a move needs no direct read.

A service that is linked to this server must be known whole at that moment. In a directory of ordinary size every entry
fits, so a move waits for no second read and does not depend on one. In a large directory the cache is full early, and
the rest is read when it becomes of interest (`Mirror.missing`): memory does not grow with other servers' services.
"""

from __future__ import annotations

from typing import Final

from relocd.model.entries import Entry, EntryUUID

__all__ = ["EntryCache"]

# What CPython needs beside the values, roughly: for an entry with its name and mapping, and for each value.
_ENTRY_BYTES: Final = 800
_VALUE_BYTES: Final = 120


class EntryCache:
    """Entries by identity, up to `limit_bytes` in total; those that came first stay."""

    def __init__(self, limit_bytes: int) -> None:
        self._left = limit_bytes
        self._entries: dict[EntryUUID, Entry] = {}

    def get(self, uuid: EntryUUID) -> Entry | None:
        """The entry of an identity, None where it is not cached."""
        return self._entries.get(uuid)

    def keep(self, entry: Entry) -> None:
        """Cache the newest state of an entry, if there is room."""
        self.drop(entry.uuid)
        size = _size(entry)
        if size <= self._left:
            self._left -= size
            self._entries[entry.uuid] = entry

    def drop(self, uuid: EntryUUID) -> None:
        """Remove an entry if it is cached."""
        entry = self._entries.pop(uuid, None)
        if entry is not None:
            self._left += _size(entry)


def _size(entry: Entry) -> int:
    values = [value for each in entry.attributes.values() for value in each]
    return _ENTRY_BYTES + _VALUE_BYTES * len(values) + sum(map(len, values))
