"""A directory in memory that answers as RFC 4533 says: what changed since a cookie, and each change as it happens."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from relocd.model.dn import DN
from relocd.model.entries import Entry, EntryUUID, ServiceState, Snapshot
from relocd.model.parse import parsed
from relocd.sync.mirror import Mirror
from relocd.sync.session import Cookie, Deleted, Present, PresentPhaseEnd, RefreshDone, Started, SyncEvent, Upsert
from tests.support.entries import ME, csn, dn

__all__ = ["URI", "ModelDirectory", "snapshot"]

URI = "ldap://model.example.org"


class ModelDirectory:
    """Entries by identity; its cookie is the number of changes so far. `stamp` gives the n-th change its CSN."""

    def __init__(self, entries: Iterable[Entry] = (), stamp: Callable[[int], str] = csn) -> None:
        self.entries: dict[EntryUUID, Entry] = {}
        self._deleted_at: dict[EntryUUID, int] = {}
        self._changed_at: dict[EntryUUID, int] = {}
        self._changes = 0
        self._stamp = stamp
        for entry in entries:
            self.put(entry)

    @property
    def cookie(self) -> str:
        """The state of the content now."""
        return str(self._changes)

    def named(self, name: DN | str) -> Entry | None:
        """The entry of a name, a short one or a DN."""
        key = DN.parse(dn(name)).key if isinstance(name, str) else name.key
        return next((entry for entry in self.entries.values() if entry.dn.key == key), None)

    def named_state(self, service: str) -> tuple[str | None, str | None, str | None, int]:
        """Holder, candidate, previous (by short names) and generation of a service."""
        entry = self.named(DN.parse(f"cn=state,{dn(service)}"))
        found = parsed(entry)[0] if entry else None
        if not isinstance(found, ServiceState):
            return None, None, None, 0
        names = (None if each is None else each.name for each in (found.holder, found.candidate, found.previous))
        holder, candidate, previous = names
        return holder, candidate, previous, found.generation or 0

    def put(self, entry: Entry) -> list[SyncEvent]:
        """Add or replace an entry; what a persistent search says of that."""
        self._changes += 1
        stamped = replace(entry, csn=self._stamp(self._changes))
        self.entries[entry.uuid] = stamped
        self._changed_at[entry.uuid] = self._changes
        return [Upsert(stamped), Cookie(self.cookie)]

    def rename(self, uuid: EntryUUID, name: str) -> list[SyncEvent]:
        """Give an entry another short name; what is below it moves along, and nothing is said of that."""
        entry, new = self.entries[uuid], DN.parse(dn(name))
        for child in [each for each in self.entries.values() if each.dn.parent == entry.dn]:
            self.entries[child.uuid] = replace(child, dn=new.below(child.dn.text.partition(",")[0]))
        attributes = {**entry.attributes, "cn": (name.encode(),)}
        return self.put(replace(entry, dn=new, attributes=attributes))

    def delete(self, uuid: EntryUUID) -> list[SyncEvent]:
        """Remove an entry."""
        del self.entries[uuid]
        self._changes += 1
        self._deleted_at[uuid] = self._changes
        return [Deleted((uuid,)), Cookie(self.cookie)]

    def refresh(self, cookie: str | None = None, *, deletes: bool = False) -> list[SyncEvent]:
        """A whole refresh: of everything without a cookie, else with a delete phase or a present phase."""
        since = int(cookie) if cookie else 0
        changed = [entry for uuid, entry in self.entries.items() if self._changed_at[uuid] > since]
        return [
            Started(URI, fresh=not cookie),
            *map(Upsert, changed),
            *self._phase(since, deletes=deletes and bool(cookie)),
            RefreshDone(),
            Cookie(self.cookie),
        ]

    def _phase(self, since: int, *, deletes: bool) -> list[SyncEvent]:
        if deletes:
            gone = (uuid for uuid, at in self._deleted_at.items() if at > since and uuid not in self.entries)
            return [Deleted((uuid,)) for uuid in gone]
        unchanged = tuple(uuid for uuid in self.entries if self._changed_at[uuid] <= since)
        return [Present(unchanged), PresentPhaseEnd()]


def snapshot(*entries: Entry) -> Snapshot:
    """What the server `me` sees of a directory with these entries."""
    directory = ModelDirectory(entries)
    mirror = Mirror(DN.parse(ME))
    mirror.apply(directory.refresh())
    for record in mirror.missing:
        mirror.fill(directory.entries[record.uuid])
    found = mirror.snapshot
    assert found is not None
    return found
