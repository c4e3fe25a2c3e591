"""The index of the mirror: every entry by identity, name and links, and the entries of interest whole.

Of an entry that is not of interest only the `Record` is kept: identity, name, links and CSN. So memory grows with the
number of entries, not with the parameters of other servers' services. A service that is linked to this server must be
known whole at that moment, though. So entries that are not of interest yet are kept whole as well while there is room
(`EntryCache`): in a directory of ordinary size every entry fits, and a move waits for no second read. In a large
directory the cache is full early, and the rest is read when it becomes of interest (`Mirror.missing`).

The identity of an entry is its entryUUID. A renamed entry is still found by its former name while a link, a cluster or
a state uses that name and no other entry has taken it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from relocd.errors import Invalid
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Entry, EntryUUID, Problem
from relocd.model.parse import Model, kinds, parsed

__all__ = ["Index", "Record", "Whole", "reduced", "whole", "EntryCache"]

_LINKS: Final = (names.SERVICE_LINK.lower(), names.CLUSTER_LINK.lower())
_SERVERS: Final = (names.ACTIVE.lower(), names.HOLDER.lower(), names.CANDIDATE.lower(), names.PREVIOUS.lower())


@dataclass(frozen=True, slots=True)
class Whole:
    """A parsed entry: its value, or None and the problems found in it."""

    value: Model | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One entry: `key`, `links` and `servers` are normalised names (`DN.key`).

    With `is_state` it is the state of a service, and its link is that service. `servers` are the active member of a
    cluster, or the holder, candidate and previous holder in a state. Only an entry of interest is `whole`.
    """

    uuid: EntryUUID
    key: str
    csn: str
    links: tuple[str, ...]
    servers: tuple[str, ...] = ()
    is_state: bool = False
    whole: Whole | None = None

    @property
    def uses(self) -> tuple[str, ...]:
        """Every name of another entry in this one."""
        return self.links + self.servers


def whole(entry: Entry, record: Record | None = None) -> Record:
    """The record of an entry of interest; `record` is its reduced one, where that is known already."""
    return replace(record or reduced(entry), whole=Whole(*parsed(entry)))


def reduced(entry: Entry) -> Record:
    """The record of any other entry."""
    is_state = names.STATE_CLASS.lower() in kinds(entry.attributes) and entry.dn.key.startswith(names.STATE_RDN + ",")
    links = (entry.dn.parent.key,) if is_state else tuple(_names_in(entry, _LINKS))
    return Record(entry.uuid, entry.dn.key, entry.csn, links, tuple(_names_in(entry, _SERVERS)), is_state)


def _names_in(entry: Entry, attributes: Iterable[str]) -> Iterator[str]:
    for name in attributes if kinds(entry.attributes) else ():
        for value in entry.attributes.get(name, ()):
            try:
                yield DN.parse(value.decode()).key
            except (Invalid, UnicodeDecodeError):
                continue  # parsing the whole entry reports it


def _above(key: str) -> Iterator[str]:
    """The normalised names of all entries above a name."""
    while key := key.partition(",")[2]:
        yield key


class _Users:
    """The entries that use each name."""

    def __init__(self) -> None:
        self._users: dict[str, set[EntryUUID]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._users

    def of(self, key: str) -> frozenset[EntryUUID]:
        return frozenset(self._users.get(key, ()))

    def add(self, keys: Iterable[str], uuid: EntryUUID) -> None:
        for key in keys:
            self._users.setdefault(key, set()).add(uuid)

    def discard(self, keys: Iterable[str], uuid: EntryUUID) -> None:
        for key in frozenset(keys):
            self._users[key].discard(uuid)
            if not self._users[key]:
                del self._users[key]


class Index:
    """Records by identity, by name, by the entries above them and by what they link to; always consistent."""

    def __init__(self, records: Iterable[Record] = (), former: Mapping[str, EntryUUID] | None = None) -> None:
        self._records: dict[EntryUUID, Record] = {}
        self._named: dict[str, EntryUUID] = {}
        self._below = _Users()
        self._linking = _Users()
        self._naming = _Users()
        self._former: dict[str, EntryUUID] = {}
        for record in records:
            self.put(record)
        self._former |= {key: uuid for key, uuid in (former or {}).items() if uuid in self._records}

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records.values())

    def __contains__(self, uuid: EntryUUID) -> bool:
        return uuid in self._records

    @property
    def former(self) -> Mapping[str, EntryUUID]:
        """Former names that are still used, and the entries that had them."""
        return dict(self._former)

    def get(self, uuid: EntryUUID) -> Record | None:
        """The record of an identity."""
        return self._records.get(uuid)

    def named(self, key: str) -> Record | None:
        """The record of the entry that has this normalised name, or had it and no other has taken it since."""
        uuid = self._named.get(key) or self._former.get(key)
        return None if uuid is None else self._records[uuid]

    def holder_of(self, key: str) -> EntryUUID | None:
        """The identity of the entry that has this normalised name now."""
        return self._named.get(key)

    def below(self, key: str) -> frozenset[EntryUUID]:
        """The entries below the one of this normalised name."""
        return self._below.of(key)

    def linking_to(self, key: str) -> frozenset[EntryUUID]:
        """The entries with a link to this normalised name."""
        return self._linking.of(key)

    def naming(self, key: str) -> frozenset[EntryUUID]:
        """The entries that name a server by this normalised name."""
        return self._naming.of(key)

    def put(self, record: Record) -> EntryUUID | None:
        """Add or replace a record; return the identity of another entry that had the name, which is removed."""
        before = self._records.get(record.uuid)
        if before is not None and before.key == record.key:
            self._relink(before, record)
            return None
        self._detach(before)
        replaced = self._named.get(record.key)
        if replaced is not None:
            self.remove(replaced)
        self._attach(record)
        if before is not None:
            self._former[before.key] = record.uuid
            self._forget_unused((before.key, *before.uses))
        return replaced

    def remove(self, uuid: EntryUUID) -> None:
        """Remove an entry if it is known."""
        record = self._records.get(uuid)
        if record is not None:
            self._detach(record)
            self._former = {key: known for key, known in self._former.items() if known != uuid}
            self._forget_unused(record.uses)

    def _attach(self, record: Record) -> None:
        self._records[record.uuid] = record
        self._named[record.key] = record.uuid
        self._former.pop(record.key, None)
        self._below.add(_above(record.key), record.uuid)
        self._link(record)

    def _detach(self, record: Record | None) -> None:
        if record is None:
            return
        del self._records[record.uuid], self._named[record.key]
        self._below.discard(_above(record.key), record.uuid)
        self._unlink(record)

    def _relink(self, before: Record, record: Record) -> None:
        """Replace a record by another of the same entry and name: most changes are such, and many change no link."""
        self._records[record.uuid] = record
        if (before.links, before.servers) != (record.links, record.servers):
            self._unlink(before)
            self._link(record)
            self._forget_unused(before.uses)

    def _link(self, record: Record) -> None:
        self._linking.add(record.links, record.uuid)
        self._naming.add(record.servers, record.uuid)

    def _unlink(self, record: Record) -> None:
        self._linking.discard(record.links, record.uuid)
        self._naming.discard(record.servers, record.uuid)

    def _forget_unused(self, keys: Iterable[str]) -> None:
        for key in keys:
            if key not in self._linking and key not in self._naming:
                self._former.pop(key, None)


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
