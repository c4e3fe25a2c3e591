"""The mirror of the directory: content synchronisation (RFC 4533) as a state machine, events in, snapshots out.

Theory
------
A search in the mode refreshAndPersist has two stages. The refresh stage brings the client to the present state of the
directory; the persist stage then sends each change when it is made. A cookie says up to which change the client is
current. A search may start from a cookie, or without one:

- Without a cookie the refresh sends every entry. Whatever it does not send no longer exists.
- From a cookie the refresh sends the entries that have changed since, and says in one of two ways what was deleted. In
  a present phase it names every entry that still exists unchanged: whatever is neither named nor sent is gone. In a
  delete phase it names the entries that are gone (section 3.3.1).

The protocol is exact about one entry at a time. It leaves three things open, and the mirror closes them:

- Renamed subtrees. When an entry is renamed, everything below it gets a new DN, and the server sends the one entry only
  (section 1.3). So the search also follows the entries above ours, and the mirror moves what is below (`_move`).
- Names used twice. A refresh sends entries in no order of time. An entry may come under the DN of another one, whose
  own rename or deletion is sent later, or was missed. The identity of an entry is its entryUUID; such a former owner of
  a DN is `displaced` until the refresh says what became of it.
- Entries of interest. Only entries that concern this server (`relocd.sync.view`) are kept whole; of the others the
  `Index` has identity, name and links. When a change makes an entry relevant that was sent long ago, it is taken from
  the `EntryCache`, or is `missing` until the agent has read it directly (`fill`).

Invariants
----------
- A snapshot describes one state of the directory. While a refresh runs, `snapshot` stays the one before it; before the
  first complete refresh it is None. So no decision is made on half a directory.
- A `doubt` is a reason not to trust the mirror: events that contradict each other, or an entry that exists and that a
  search from the cookie does not send. The last snapshot stays until a search without a cookie has sent everything.
- The cookie in `saved` belongs to exactly the records in `saved`. A search from it misses nothing.
- An entry of interest that is not whole is in the snapshot as unknown, never as absent.
- A link to the former name of a renamed entry still finds that entry (`Index`); the snapshot reports it as a problem.

Not here: the connection and its retries (`relocd.adapters.ldap.feed`), the messages (`relocd.sync.session`), and the
proof that an absent entry is really gone (`relocd.agent.directory.absence_check`): a provider that is empty or half
loaded would otherwise stop every service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from relocd.model.dn import DN
from relocd.model.entries import Entry, EntryUUID, Snapshot
from relocd.model.parse import kinds
from relocd.sync.index import EntryCache, Index, Record, reduced, whole
from relocd.sync.refresh import Refresh
from relocd.sync.saved import Saved
from relocd.sync.session import (
    Cookie,
    Deleted,
    Present,
    PresentPhaseEnd,
    RefreshDone,
    SearchLost,
    Started,
    SyncEvent,
    Upsert,
    understood,
)
from relocd.sync.view import interest_of, snapshot_of, with_state

__all__ = ["Mirror"]


_NOT_SENT: Final = "entries exist that the search from the cookie does not send"
_NAME_TAKEN: Final = "a name belongs to another entry than before, and the former one is not accounted for"
_PASSED_OVER: Final = "a provider stamps changes with older CSNs than the cookie has, so some may be missing"
_ORPHANED: Final = "an entry is gone, and entries below it are not"


class Mirror:
    """The directory as far as it concerns one server, kept current by `apply`.

    `my_dn` is the configured name of this server's entry. The cache of other entries takes up to `cache_bytes`.
    """

    def __init__(self, my_dn: DN, saved: Saved | None = None, cache_bytes: int = 0) -> None:
        self._my_dn = my_dn
        self._me = saved.me if saved else None
        self._cookie = Cookie(saved.cookie if saved else "")
        self._doubt = ""
        self._searched_for: set[EntryUUID] = set()  # entries not sent that have raised a doubt before
        self._index = Index(saved.records, saved.former) if saved else Index()
        self._cache = EntryCache(cache_bytes)
        self._refresh: Refresh | None = None
        self._resumed = False  # the search started from a cookie
        self._refreshed = False  # at least one refresh is complete
        self._interest = interest_of(self._index, self._my_record(), my_dn.key)
        self._changed = True  # something of interest has changed since the last snapshot
        self._missing: tuple[Record, ...] | None = None  # what `missing` returns, None where that is not known
        self._snapshot: Snapshot | None = None

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, uuid: EntryUUID) -> bool:
        return uuid in self._index

    @property
    def snapshot(self) -> Snapshot | None:
        """The directory as of the last complete refresh and all changes since; the same object while unchanged."""
        if self._changed and self._settled:
            self._changed = False
            self._snapshot = snapshot_of(self._index, self._my_record(), self._my_dn, self._interest)
        return self._snapshot

    @property
    def providers(self) -> int:
        """How many providers have ever taken a write, by the cookie; 0 while none is known."""
        cookie = understood(self.cookie)
        return 0 if cookie is None else len(cookie.csns)

    def ahead_s(self, csn: str) -> float:
        """How far the known CSN of a provider is ahead of that of its latest change: see `SyncCookie.ahead_s`."""
        cookie = understood(self.cookie)
        return 0.0 if cookie is None else cookie.ahead_s(csn)

    @property
    def missing(self) -> tuple[Record, ...]:
        """The entries of interest that are not whole: they must be read directly and given to `fill`."""
        if self._missing is None:
            records = (self._index.get(uuid) for uuid in self._interest.uuids)
            self._missing = tuple(record for record in records if record is not None and record.whole is None)
        return self._missing

    @property
    def cookie(self) -> str:
        """The last cookie: up to which change of each provider the mirror is current; empty while there is none."""
        return self._cookie.value

    @property
    def doubt(self) -> str:
        """Why the mirror may be wrong, so that a search without a cookie is needed; empty while it is trusted.

        While there is a doubt the last snapshot stays.
        """
        return self._doubt

    def distrust(self, reason: str) -> None:
        """Doubt the mirror for a reason found elsewhere; the first reason stays."""
        self._doubt = self._doubt or reason

    @property
    def of_interest(self) -> Mapping[EntryUUID, str]:
        """The entries of interest, each with the CSN of the state in which it is known."""
        return {uuid: self.csn(uuid) for uuid in self._interest.uuids}

    def key(self, uuid: EntryUUID) -> str:
        """The normalised name of a known entry, empty for an unknown one."""
        record = self._index.get(uuid)
        return "" if record is None else record.key

    def finds(self, name: DN) -> bool:
        """Whether a known entry has that name, or had it and no other entry has taken it since."""
        return self._index.named(name.key) is not None

    def csn(self, uuid: EntryUUID) -> str:
        """The CSN of the state in which an entry is known, empty for an unknown one."""
        record = self._index.get(uuid)
        return "" if record is None else record.csn

    @property
    def saved(self) -> Saved | None:
        """What to store now; None during a refresh, before the first complete one, and while there is a doubt."""
        if not self._settled or not (self.cookie and self._cookie.resumable):
            return None
        records = tuple(replace(record, whole=None) if record.whole else record for record in self._index)
        return Saved(self.cookie, self._me, self._index.former, records)

    def apply(self, events: Iterable[SyncEvent]) -> None:
        """Take events in the order they were sent."""
        for event in events:
            self._apply(event)

    def fill(self, entry: Entry) -> bool:
        """Take an entry from a direct read; False where the mirror has a newer state, or no entry of that identity.

        Where another entry has the name here, one of the two is outdated: False, the search will send which.
        """
        known = self._index.get(entry.uuid)
        if known is None or entry.csn < known.csn:
            return False
        if self._index.holder_of(entry.dn.key) not in {None, entry.uuid}:
            return False
        self._put(entry)
        return True

    @property
    def _settled(self) -> bool:
        return self._refreshed and self._refresh is None and not self._doubt

    def _apply(self, event: SyncEvent) -> None:
        match event:
            case Upsert(entry):
                self._send(entry)
            case Present(uuids):
                self._name(uuids)
            case Deleted(uuids):
                self._delete(uuids)
            case Started(_, fresh):
                self._refresh, self._resumed = Refresh(fresh), not fresh
                self._doubt = "" if fresh else self._doubt
            case PresentPhaseEnd():
                self._remove(self._unnamed())
            case RefreshDone():
                self._finish_refresh()
            case Cookie(_, resumable):
                self._cookie = event
                if self._resumed and not resumable:
                    self.distrust(_PASSED_OVER)
            case SearchLost():
                pass  # what was sent stays true; the next search ends a refresh that was cut short

    def _send(self, entry: Entry) -> None:
        self._searched_for.discard(entry.uuid)
        if self._refresh is not None:
            self._refresh.send(entry.uuid)
        self._put(entry)

    def _delete(self, uuids: tuple[EntryUUID, ...]) -> None:
        if self._refresh is not None:
            self._refresh.delete(uuids)
        self._remove(uuids)

    def _name(self, uuids: Iterable[EntryUUID]) -> None:
        if self._refresh is None:
            return
        self._refresh.name(uuids)
        unknown = {uuid for uuid in uuids if uuid not in self._index} - self._searched_for
        if unknown and not self._refresh.fresh:
            self._searched_for |= unknown
            self.distrust(_NOT_SENT)

    def _unnamed(self) -> list[EntryUUID]:
        if self._refresh is None:
            return []
        self._refresh.end_presence()
        return [record.uuid for record in self._index if record.uuid not in self._refresh.named]

    def _finish_refresh(self) -> None:
        if self._refresh is not None and self._refresh.fresh:
            self._remove(self._unnamed())
        elif self._refresh is not None and self._refresh.displaced:
            self.distrust(_NAME_TAKEN)
        elif self._refresh is not None and any(map(self._index.below, self._refresh.emptied)):
            self.distrust(_ORPHANED)
        self._refresh = None
        self._refreshed = True
        if self._changed:
            self._update_interest()

    def _put(self, entry: Entry) -> None:
        """Take an entry and, when it was renamed, move what is below it, which the search does not send."""
        before = self._index.get(entry.uuid)
        if self._put_state(entry, before):
            return
        self._missing = None
        stored = [(entry.uuid, self._store(entry))]
        if before is not None and before.key != entry.dn.key:
            stored += [(uuid, self._move(uuid, before.key, entry.dn)) for uuid in self._below_former(before.key, entry)]
        if any(touched for _, touched in stored):
            self._update_interest()
        self._reduce(uuid for uuid, _ in stored)

    def _put_state(self, entry: Entry, before: Record | None) -> bool:
        """Take a state whose change concerns nothing else, without looking at all the rest; whether it is such."""
        record = reduced(entry)
        interest = self._interest.with_state(before, record) if self._settled else None
        if interest is None or (before is None and self._index.named(record.key) is not None):
            return False
        if before is not None and before.whole is None:
            self._missing = None
        record = whole(entry, record)
        self._cache.keep(entry)
        self._index.put(record)
        self._interest = interest
        if not self._changed and self._snapshot is not None:
            found = with_state(self._snapshot, self._index, before, record)
            self._snapshot, self._changed = found or self._snapshot, found is None
        return True

    def _below_former(self, former: str, entry: Entry) -> Iterable[EntryUUID]:
        """The entries still known by names below the former name of a renamed entry.

        None during a search without a cookie, which sends everything. None either for an entry that has moved below its
        own former name: that name is another entry's by then.
        """
        if self._refresh is not None and self._refresh.fresh:
            return ()
        if entry.dn.key.endswith("," + former):
            self.distrust(_NAME_TAKEN)
            return ()
        return self._index.below(former)

    def _store(self, entry: Entry) -> bool:
        """Take one entry, whole if it may be of interest; return whether the interest may have changed."""
        before, record = self._index.get(entry.uuid), reduced(entry)
        if kinds(entry.attributes):
            self._cache.keep(entry)
        else:
            self._cache.drop(entry.uuid)
        if not (self._interest.touches(before) or self._interest.touches(record)):
            self._take(record)
            return False
        record = whole(entry, record)
        self._take(record)
        return before is None or replace(before, csn=record.csn) != record

    def _reduce(self, uuids: Iterable[EntryUUID]) -> None:
        """Drop the values of entries that are not of interest."""
        for uuid in uuids:
            record = self._index.get(uuid)
            if record is not None and record.whole is not None and uuid not in self._interest.uuids:
                self._index.put(replace(record, whole=None))

    def _move(self, uuid: EntryUUID, former: str, now: DN) -> bool:
        """Move an entry along with the renamed one above it; return whether the interest may have changed.

        An entry that the refresh has sent already has its present name, and no other entry can be there.
        """
        record = self._index.get(uuid)
        if record is None or (self._refresh is not None and uuid in self._refresh.sent):
            return False
        key = record.key.removesuffix(former) + now.key
        if self._refresh is not None and self._index.holder_of(key) in self._refresh.sent:
            self._refresh.displaced.add(uuid)
            self._remove((uuid,))
            return False
        entry = self._cache.get(uuid)
        if entry is not None:
            return self._store(replace(entry, dn=entry.dn.moved(former, now)))
        links = (key.partition(",")[2],) if record.is_state else record.links
        moved = replace(record, key=key, links=links, whole=None)
        self._take(moved)
        return self._interest.touches(record) or self._interest.touches(moved)

    def _take(self, record: Record) -> None:
        """Keep a record. An entry that loses its name to it was deleted, or renamed, which may still be to come."""
        replaced = self._index.put(record)
        if replaced is None:
            return
        self._cache.drop(replaced)
        if self._refresh is not None:
            self._refresh.displaced.add(replaced)
        if self._refresh is None or (self._index.below(record.key) and not self._refresh.fresh):
            self.distrust(_NAME_TAKEN)

    def _remove(self, uuids: Iterable[EntryUUID]) -> None:
        touched, keys = False, set[str]()
        self._missing = None
        for uuid in uuids:
            record = self._index.get(uuid)
            if record is not None:
                touched |= self._interest.touches(record)
                keys.add(record.key)
                self._index.remove(uuid)
                self._cache.drop(uuid)
        if touched:
            self._update_interest()
        if self._refresh is not None:
            self._refresh.emptied |= keys
        elif any(map(self._index.below, keys)):
            self.distrust(_ORPHANED)

    def _update_interest(self) -> None:
        """Find the entries of interest again, make them whole from the cache, and drop the values of the others."""
        before = self._interest.uuids
        self._missing = None
        me = self._my_record()
        if me is not None and self._refresh is None:
            self._me = me.uuid
        self._interest = interest_of(self._index, me, self._my_dn.key)
        self._reduce(before - self._interest.uuids)
        for record in self.missing:
            entry = self._cache.get(record.uuid)
            if entry is not None:
                self._index.put(whole(entry))
        self._missing = None
        self._changed = True

    def _my_record(self) -> Record | None:
        """The entry of this server by its known identity, else by the configured name.

        The identity is only learnt between refreshes: during one the name may be that of an entry that is gone.
        """
        known = None if self._me is None else self._index.get(self._me)
        return known or self._index.named(self._my_dn.key)
