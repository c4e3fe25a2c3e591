"""The mirror of the directory: RFC 4533 as a state machine that takes events and gives snapshots.

Theory. A search begins with a refresh and then persists. A refresh that sent a cookie names what changed since; then
either a present phase names everything else that still exists (what stays unnamed is gone), or a delete phase names
what is gone. A refresh without a cookie names everything that exists. After the refresh each change arrives as it
happens.

Invariants.
- A snapshot is only taken between refreshes: `snapshot` stays what it was while a refresh runs, and is None before
  the first one is complete. So no decision sees half a directory.
- The cookie that `saved` gives belongs to exactly the content that it gives.
- The state of a service that was renamed goes with it.
- A link whose target was renamed still finds it (`Content`); the snapshot says so as a problem.
- Entries of concern are whole. Those that came to be of concern after they were sent are taken from the spare ones, or
  are `missing` until `fill` brings what a direct read found; until then they are unknown in the snapshot.

What is not here: the connection (`relocd.adapters.ldap_feed`), and the proof that something absent is really gone
(`relocd.agent`): a refresh of an empty or half loaded server would otherwise stop everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from relocd.errors import Invalid
from relocd.model.dn import DN
from relocd.model.entries import Entry, EntryUUID
from relocd.model.parse import STATE_RDN
from relocd.model.snapshot import Snapshot
from relocd.sync.concern import concern_of
from relocd.sync.content import Content, Record, reduced, whole
from relocd.sync.cookie import SyncCookie
from relocd.sync.events import (
    Cookie,
    Deleted,
    Lost,
    Present,
    PresentPhaseEnd,
    RefreshDone,
    Started,
    SyncEvent,
    Upsert,
)
from relocd.sync.spare import Spare
from relocd.sync.view import snapshot_of

__all__ = ["Mirror", "Saved"]


@dataclass(frozen=True, slots=True)
class Saved:
    """What survives a restart: a cookie, the content it belongs to without any values, and remembered identities."""

    cookie: str
    me: EntryUUID | None
    former: Mapping[str, EntryUUID]
    records: tuple[Record, ...]


@dataclass(slots=True)
class _Refresh:
    """A refresh that runs; `mixed_up`: the name of a service went to another one, and whose state it has is open."""

    fresh: bool
    mixed_up: bool = False
    named: set[EntryUUID] = field(default_factory=set)


class Mirror:
    """What the directory says, kept current by `apply`; `my_dn` is the configured name of this server's entry.

    Up to `spare_bytes` are spent on entries that are of no concern yet.
    """

    def __init__(self, my_dn: DN, saved: Saved | None = None, spare_bytes: int = 0) -> None:
        self._my_dn = my_dn
        self._me = saved.me if saved else None
        self._cookie = saved.cookie if saved else ""
        self._content = Content(saved.records, saved.former) if saved else Content()
        self._spare = Spare(spare_bytes)
        self._refresh: _Refresh | None = None
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
        try:
            return len(SyncCookie.parse(self._cookie).csns) if self._cookie else 0
        except Invalid:
            return 0

    @property
    def missing(self) -> tuple[Record, ...]:
        """The entries of concern that must be read directly: `fill` them."""
        records = (self._content.get(uuid) for uuid in self._concern.uuids)
        return tuple(record for record in records if record is not None and record.whole is None)

    @property
    def is_mixed_up(self) -> bool:
        """Whether only a search without a cookie tells what is true: names were given away while nobody listened.

        The order in which a refresh tells of such renames is open, and of what they took along it says nothing. Until
        then the last snapshot stays.
        """
        return self._refresh is not None and self._refresh.mixed_up

    @property
    def concerned(self) -> Mapping[EntryUUID, str]:
        """The entries of concern, each with the change sequence number of the state in which it is known."""
        return {uuid: self.csn(uuid) for uuid in self._concern.uuids}

    def csn(self, uuid: EntryUUID) -> str:
        """The change sequence number of the state in which an entry is known, empty when it is not."""
        record = self._content.get(uuid)
        return "" if record is None else record.csn

    @property
    def saved(self) -> Saved | None:
        """What to store now, or None while a refresh runs or before the first is complete."""
        if not self._settled or not self._cookie:
            return None
        records = tuple(replace(record, whole=None) if record.whole else record for record in self._content)
        return Saved(self._cookie, self._me, self._content.former, records)

    def apply(self, events: Iterable[SyncEvent]) -> None:
        """Take events in the order they were sent."""
        for event in events:
            self._apply(event)

    def fill(self, entry: Entry) -> bool:
        """Take an entry from a direct read; False when the mirror knows a newer one or none of that identity."""
        known = self._content.get(entry.uuid)
        if known is None or entry.csn < known.csn:
            return False
        self._put(entry)
        return True

    @property
    def _settled(self) -> bool:
        return self._refreshed and self._refresh is None

    def _apply(self, event: SyncEvent) -> None:
        match event:
            case Upsert(entry):
                self._name((entry.uuid,))
                self._put(entry)
            case Present(uuids):
                self._name(uuids)
            case Deleted(uuids):
                self._remove(uuids)
            case Started(_, fresh):
                self._refresh = _Refresh(fresh)
            case PresentPhaseEnd():
                self._remove(self._unnamed())
            case RefreshDone():
                self._finish_refresh()
            case Cookie(value):
                self._cookie = value
            case Lost():
                pass  # what was named is true; a refresh that was cut short ends with the next one

    def _name(self, uuids: Iterable[EntryUUID]) -> None:
        if self._refresh is not None:
            self._refresh.named.update(uuids)

    def _unnamed(self) -> list[EntryUUID]:
        if self._refresh is None:
            return []
        return [record.uuid for record in self._content if record.uuid not in self._refresh.named]

    def _finish_refresh(self) -> None:
        if self._refresh is not None and self._refresh.mixed_up:
            return
        if self._refresh is not None and self._refresh.fresh:
            self._remove(self._unnamed())
        self._refresh = None
        self._refreshed = True
        if self._changed:
            self._reconsider()

    def _put(self, entry: Entry) -> None:
        before = self._content.get(entry.uuid)
        self._store(entry, before)
        if before is not None and before.key != entry.dn.key:
            self._move_state(DN(before.key, before.key), entry.dn)

    def _store(self, entry: Entry, before: Record | None) -> None:
        self._spare.keep(entry)
        record = reduced(entry)
        if not (self._concern.touches(before) or self._concern.touches(record)):
            self._take(record)
            return
        record = whole(entry)
        self._take(record)
        if before is None or replace(before, csn=record.csn) != record:
            self._reconsider()
        if record.uuid not in self._concern.uuids:
            self._content.put(reduced(entry))

    def _move_state(self, former: DN, service: DN) -> None:
        """A rename takes what is below along, and no search tells of that; the former name may be given away again.

        What goes below its own former name has taken nothing along: that name is another entry's by then.
        """
        if service.is_within(former):
            return
        state = self._content.named(f"{STATE_RDN},{former.key}")
        if state is None or (self._refresh is not None and state.uuid in self._refresh.named):
            return
        entry, moved = self._spare.get(state.uuid), service.below(STATE_RDN)
        if entry is not None:
            self._put(replace(entry, dn=moved))
            return
        self._content.put(replace(state, key=moved.key, links=(service.key,), whole=None))
        if self._concern.touches(state):
            self._reconsider()

    def _take(self, record: Record) -> None:
        former = self._content.named(record.key)
        replaced = self._content.put(record)
        if replaced is None or former is None:
            return
        self._spare.drop(replaced)
        if self._refresh is not None and not self._refresh.fresh:
            self._refresh.mixed_up |= former.is_state or self._content.named(f"{STATE_RDN},{former.key}") is not None

    def _remove(self, uuids: Iterable[EntryUUID]) -> None:
        touched = False
        for uuid in uuids:
            touched |= self._concern.touches(self._content.get(uuid))
            self._content.remove(uuid)
            self._spare.drop(uuid)
        if touched:
            self._reconsider()

    def _reconsider(self) -> None:
        """Find anew what concerns this server, and let go of the values of what no longer does."""
        before = self._concern.uuids
        me = self._my_record()
        if me is not None and self._refresh is None:
            self._me = me.uuid
        self._concern = concern_of(self._content, me, self._my_dn.key)
        for uuid in before - self._concern.uuids:
            record = self._content.get(uuid)
            if record is not None:
                self._content.put(replace(record, whole=None))
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
