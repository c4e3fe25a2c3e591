"""The mirror of the directory: RFC 4533 as a state machine that takes events and gives snapshots.

Theory. A search begins with a refresh and then persists. A refresh that sent a cookie names what changed since; then
either a present phase names everything else that still exists (what stays unnamed is gone), or a delete phase names
what is gone. A refresh without a cookie names everything that exists. After the refresh each change arrives as it
happens.

Invariants.
- A snapshot is only taken between refreshes: `snapshot` stays what it was while a refresh runs, and is None before
  the first one is complete. So no decision sees half a directory.
- The cookie that `saved` gives belongs to exactly the content that it gives.
- What is below an entry that was renamed goes with it: a server tells of the one entry only. So the entries above ours
  are followed, too.
- Where events cannot be true together, or an entry exists of which the search does not tell more, there is a `doubt`:
  the last snapshot stays until a search without a cookie has told everything.
- A link whose target was renamed still finds it (`Index`); the snapshot says so as a problem.
- Entries of concern are whole. Those that came to be of concern after they were sent are taken from the spare ones, or
  are `missing` until `fill` brings what a direct read found; until then they are unknown in the snapshot.

What is not here: the connection (`relocd.adapters.ldap.feed`), and the proof that something absent is really gone
(`relocd.agent`): a refresh of an empty or half loaded server would otherwise stop everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from relocd.errors import Invalid
from relocd.model.dn import DN
from relocd.model.entries import Entry, EntryUUID
from relocd.model.parse import kinds
from relocd.model.snapshot import Snapshot
from relocd.sync.cookie import SyncCookie
from relocd.sync.entry_cache import EntryCache
from relocd.sync.events import (
    Cookie,
    Deleted,
    Present,
    PresentPhaseEnd,
    RefreshDone,
    SearchLost,
    Started,
    SyncEvent,
    Upsert,
)
from relocd.sync.index import Index, Record, reduced, whole
from relocd.sync.interest import concern_of
from relocd.sync.refresh import Refresh
from relocd.sync.view import snapshot_of

__all__ = ["Mirror", "Saved"]


@dataclass(frozen=True, slots=True)
class Saved:
    """What survives a restart: a cookie, the content it belongs to without any values, and remembered identities."""

    cookie: str
    me: EntryUUID | None
    former: Mapping[str, EntryUUID]
    records: tuple[Record, ...]


_UNKNOWN: Final = "entries exist that a search from its cookie does not bring"
_MIXED_UP: Final = "names were given to other entries meanwhile"
_PASSED_OVER: Final = "changes have older numbers than the cookie, so that a search from it may have passed over some"
_EMPTIED: Final = "an entry is gone, and what was below it is not"


class Mirror:
    """What the directory says, kept current by `apply`; `my_dn` is the configured name of this server's entry.

    Up to `spare_bytes` are spent on entries that are of no concern yet.
    """

    def __init__(self, my_dn: DN, saved: Saved | None = None, spare_bytes: int = 0) -> None:
        self._my_dn = my_dn
        self._me = saved.me if saved else None
        self._cookie = Cookie(saved.cookie if saved else "")
        self._doubt = ""
        self._sought: set[EntryUUID] = set()  # unknown entries for which a search without a cookie was wanted already
        self._content = Index(saved.records, saved.former) if saved else Index()
        self._spare = EntryCache(spare_bytes)
        self._refresh: Refresh | None = None
        self._resumed = False  # the search goes on from a cookie
        self._refreshed = False  # at least one refresh is complete
        self._concern = concern_of(self._content, self._my_record(), my_dn.key)
        self._changed = True  # something of concern, since the last snapshot
        self._snapshot: Snapshot | None = None

    def __len__(self) -> int:
        return len(self._content)

    def __contains__(self, uuid: EntryUUID) -> bool:
        return uuid in self._content

    @property
    def snapshot(self) -> Snapshot | None:
        """The directory as of the last complete refresh and all changes since; the same object while unchanged."""
        if self._changed and self._settled:
            self._changed = False
            self._snapshot = snapshot_of(self._content, self._my_record(), self._my_dn, self._concern)
        return self._snapshot

    @property
    def providers(self) -> int:
        """How many providers have ever taken a write, by the cookie; 0 while none is known."""
        cookie = _understood(self.cookie)
        return 0 if cookie is None else len(cookie.csns)

    def ahead_s(self, csn: str) -> float:
        """How far the provider's known number is ahead of a change that it has stamped just now: see `SyncCookie`."""
        cookie = _understood(self.cookie)
        return 0.0 if cookie is None else cookie.ahead_s(csn)

    @property
    def missing(self) -> tuple[Record, ...]:
        """The entries of concern that must be read directly: `fill` them."""
        records = (self._content.get(uuid) for uuid in self._concern.uuids)
        return tuple(record for record in records if record is not None and record.whole is None)

    @property
    def cookie(self) -> str:
        """The last cookie, which says how far each provider's changes are known; empty while there is none."""
        return self._cookie.value

    @property
    def doubt(self) -> str:
        """Why only a search without a cookie tells what is true, empty when nothing speaks against what is known.

        Until then the last snapshot stays.
        """
        return self._doubt

    def distrust(self, reason: str) -> None:
        """Something else speaks against what is known."""
        self._doubt = self._doubt or reason

    @property
    def concerned(self) -> Mapping[EntryUUID, str]:
        """The entries of concern, each with the change sequence number of the state in which it is known."""
        return {uuid: self.csn(uuid) for uuid in self._concern.uuids}

    def key(self, uuid: EntryUUID) -> str:
        """The normalised name by which an entry is known, empty when it is not."""
        record = self._content.get(uuid)
        return "" if record is None else record.key

    def finds(self, name: DN) -> bool:
        """Whether an entry has that name by what is known, or had it and nothing has taken it since."""
        return self._content.named(name.key) is not None

    def csn(self, uuid: EntryUUID) -> str:
        """The change sequence number of the state in which an entry is known, empty when it is not."""
        record = self._content.get(uuid)
        return "" if record is None else record.csn

    @property
    def saved(self) -> Saved | None:
        """What to store now, or None while a refresh runs or before the first is complete."""
        if not self._settled or not (self.cookie and self._cookie.resumable):
            return None
        records = tuple(replace(record, whole=None) if record.whole else record for record in self._content)
        return Saved(self.cookie, self._me, self._content.former, records)

    def apply(self, events: Iterable[SyncEvent]) -> None:
        """Take events in the order they were sent."""
        for event in events:
            self._apply(event)

    def fill(self, entry: Entry) -> bool:
        """Take an entry from a direct read; False when the mirror knows a newer one or none of that identity.

        A name that another entry has here proves that one of the two is outdated: the search will tell which.
        """
        known = self._content.get(entry.uuid)
        if known is None or entry.csn < known.csn:
            return False
        if self._content.holder_of(entry.dn.key) not in {None, entry.uuid}:
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
                pass  # what was named is true; a refresh that was cut short ends with the next one

    def _send(self, entry: Entry) -> None:
        self._sought.discard(entry.uuid)
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
        unknown = {uuid for uuid in uuids if uuid not in self._content} - self._sought
        if unknown and not self._refresh.fresh:
            self._sought |= unknown
            self.distrust(_UNKNOWN)

    def _unnamed(self) -> list[EntryUUID]:
        if self._refresh is None:
            return []
        self._refresh.end_presence()
        return [record.uuid for record in self._content if record.uuid not in self._refresh.named]

    def _finish_refresh(self) -> None:
        if self._refresh is not None and self._refresh.fresh:
            self._remove(self._unnamed())
        elif self._refresh is not None and self._refresh.displaced:
            self.distrust(_MIXED_UP)
        elif self._refresh is not None and any(map(self._content.below, self._refresh.emptied)):
            self.distrust(_EMPTIED)
        self._refresh = None
        self._refreshed = True
        if self._changed:
            self._reconsider()

    def _put(self, entry: Entry) -> None:
        """Take an entry, and all that is below it along when it was renamed, which no search tells of."""
        before = self._content.get(entry.uuid)
        stored = [(entry.uuid, self._store(entry))]
        if before is not None and before.key != entry.dn.key:
            stored += [(uuid, self._move(uuid, before.key, entry.dn)) for uuid in self._taken_along(before.key, entry)]
        if any(touched for _, touched in stored):
            self._reconsider()
        self._reduce(uuid for uuid, _ in stored)

    def _taken_along(self, former: str, entry: Entry) -> Iterable[EntryUUID]:
        """What is still known by names below the former one of an entry.

        A search without a cookie tells everything anyway. What goes below its own former name has taken nothing along:
        that name is another entry's by then.
        """
        if self._refresh is not None and self._refresh.fresh:
            return ()
        if entry.dn.key.endswith("," + former):
            self.distrust(_MIXED_UP)
            return ()
        return self._content.below(former)

    def _store(self, entry: Entry) -> bool:
        """Take one entry, whole if it may concern this server; whether what does may be another now."""
        before, record = self._content.get(entry.uuid), reduced(entry)
        if kinds(entry.attributes):
            self._spare.keep(entry)
        else:
            self._spare.drop(entry.uuid)
        if not (self._concern.touches(before) or self._concern.touches(record)):
            self._take(record)
            return False
        record = whole(entry)
        self._take(record)
        return before is None or replace(before, csn=record.csn) != record

    def _reduce(self, uuids: Iterable[EntryUUID]) -> None:
        """Let go of the values of entries that do not concern this server."""
        for uuid in uuids:
            record = self._content.get(uuid)
            if record is not None and record.whole is not None and uuid not in self._concern.uuids:
                self._content.put(replace(record, whole=None))

    def _move(self, uuid: EntryUUID, former: str, now: DN) -> bool:
        """Give an entry the name that it has since the one above it has another; whether that may concern this server.

        What the refresh has sent already came with its present name, and where such an entry is now, this one is not.
        """
        record = self._content.get(uuid)
        if record is None or (self._refresh is not None and uuid in self._refresh.sent):
            return False
        key = record.key.removesuffix(former) + now.key
        if self._refresh is not None and self._content.holder_of(key) in self._refresh.sent:
            self._refresh.displaced.add(uuid)
            self._remove((uuid,))
            return False
        entry = self._spare.get(uuid)
        if entry is not None:
            return self._store(replace(entry, dn=entry.dn.moved(former, now)))
        links = (key.partition(",")[2],) if record.is_state else record.links
        moved = replace(record, key=key, links=links, whole=None)
        self._take(moved)
        return self._concern.touches(record) or self._concern.touches(moved)

    def _take(self, record: Record) -> None:
        """Keep a record. An entry that has lost its name to it is gone, or was renamed and that is yet to be told."""
        replaced = self._content.put(record)
        if replaced is None:
            return
        self._spare.drop(replaced)
        if self._refresh is not None:
            self._refresh.displaced.add(replaced)
        if self._refresh is None or (self._content.below(record.key) and not self._refresh.fresh):
            self.distrust(_MIXED_UP)

    def _remove(self, uuids: Iterable[EntryUUID]) -> None:
        touched, keys = False, set[str]()
        for uuid in uuids:
            record = self._content.get(uuid)
            if record is not None:
                touched |= self._concern.touches(record)
                keys.add(record.key)
                self._content.remove(uuid)
                self._spare.drop(uuid)
        if touched:
            self._reconsider()
        if self._refresh is not None:
            self._refresh.emptied |= keys
        elif any(map(self._content.below, keys)):
            self.distrust(_EMPTIED)

    def _reconsider(self) -> None:
        """Find anew what concerns this server, and let go of the values of what no longer does."""
        before = self._concern.uuids
        me = self._my_record()
        if me is not None and self._refresh is None:
            self._me = me.uuid
        self._concern = concern_of(self._content, me, self._my_dn.key)
        self._reduce(before - self._concern.uuids)
        for record in self.missing:
            entry = self._spare.get(record.uuid)
            if entry is not None:
                self._content.put(whole(entry))
        self._changed = True

    def _my_record(self) -> Record | None:
        """My entry by the identity that I know, else by the configured name.

        While a refresh runs the name proves nothing: it may belong to two entries, one of which is not sent yet.
        """
        known = None if self._me is None else self._content.get(self._me)
        return known or self._content.named(self._my_dn.key)


@lru_cache(maxsize=4)
def _understood(cookie: str) -> SyncCookie | None:
    """The cookie of that value, which is asked for many times; None for one that says nothing."""
    try:
        return SyncCookie.parse(cookie)
    except Invalid:
        return None
