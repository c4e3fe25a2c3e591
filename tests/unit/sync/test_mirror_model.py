"""The mirror against a model directory: whatever changes, however it is refreshed, it ends with what is there."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from relocd.model.dn import DN
from relocd.model.entries import EntryUUID
from relocd.sync.index import Index, reduced, whole
from relocd.sync.mirror import Mirror
from relocd.sync.session import SearchLost, Upsert
from relocd.sync.view import interest_of, snapshot_of
from tests.support.directory import ModelDirectory
from tests.support.entries import ME, cluster, server, service

NAMES = ["me", "n1", "n2", "c1", "c2", "s1", "s2", "s3"]
_name = st.sampled_from(NAMES)
_names = st.lists(_name, max_size=2, unique=True)


@st.composite
def _entries(draw: st.DrawFn, name: str, uuid: EntryUUID):
    """An entry of a name: mostly of the kind that its letter says, sometimes one that cannot be understood."""
    kind = draw(st.sampled_from([*({"m": "n"}.get(name[0], name[0]) * 5), "n", "c", "s"]))
    bad = draw(st.integers(0, 9)) == 0
    if kind == "s":
        return service(
            name, uuid=uuid, relocParameter=f"x={draw(st.integers(0, 2))}", relocExclusive="?" if bad else ()
        )
    if kind == "c":
        found = {"services": draw(_names), "active": draw(st.none() | _name)}
        return cluster(name, uuid=uuid, relocFailover="?" if bad else (), **found)
    return server(name, uuid=uuid, services=draw(_names), clusters=draw(_names), relocFenced="?" if bad else ())


class MirrorOfADirectory(RuleBasedStateMachine):
    """Changes at any time; the mirror listens, is cut off, and refreshes in every way, also only in part."""

    existing = Bundle("existing")

    def __init__(self) -> None:
        super().__init__()
        self.directory = ModelDirectory()
        self.mirror = Mirror(DN.parse(ME))
        self.cookie: str | None = None  # of the last complete state, as the feed keeps it
        self.listening = False
        self.frozen = None  # the snapshot that must not change while a refresh is incomplete
        self.added = 0

    @initialize(cache_bytes=st.sampled_from([0, 3000, 10**6]))
    def begin(self, cache_bytes):
        self.cache_bytes = cache_bytes
        self.mirror = Mirror(DN.parse(ME), None, cache_bytes)
        self.has_all_in_stock = cache_bytes == 10**6

    @rule(target=existing, data=st.data(), name=_name)
    def add(self, data, name):
        self.added += 1
        uuid = EntryUUID(f"{self.added:08}")
        if self.directory.named(name) is None:
            self._changed(self.directory.put(data.draw(_entries(name, uuid))))
        return uuid

    @rule(data=st.data(), uuid=existing)
    def modify(self, data, uuid):
        entry = self.directory.entries.get(uuid)
        if entry is not None:
            self._changed(self.directory.put(data.draw(_entries(entry.dn.name, uuid))))

    @rule(uuid=existing, name=_name)
    def rename(self, uuid, name):
        if uuid in self.directory.entries and self.directory.named(name) is None:
            self._changed(self.directory.rename(uuid, name))

    @rule(uuid=consumes(existing))
    def delete(self, uuid):
        if uuid in self.directory.entries:
            self._changed(self.directory.delete(uuid))

    @rule(uuid=existing)
    def fill_late(self, uuid):
        """A direct read may answer at any time, with what the directory says now."""
        if uuid in self.directory.entries:
            self.mirror.fill(self.directory.entries[uuid])

    @rule(data=st.data(), fresh=st.booleans(), deletes=st.booleans(), whole_of_it=st.integers(0, 2))
    def refresh(self, data, fresh, deletes, whole_of_it):
        if self.frozen is None:
            self.frozen = self.mirror.snapshot
        events = self._in_any_order(data, self.directory.refresh(None if fresh else self.cookie, deletes=deletes))
        if not whole_of_it:
            self.listening = False
            self.mirror.apply([*events[: data.draw(st.integers(1, len(events) - 2))], SearchLost("cut off")])
            return
        self.mirror.apply(events)
        self.frozen, self.listening, self.cookie = None, True, self.directory.cookie

    @rule()
    @precondition(lambda self: self.listening)
    def lose(self):
        self.listening = False
        self.mirror.apply([SearchLost("cut off")])

    @rule()
    @precondition(lambda self: self.mirror.saved is not None)
    def restart(self):
        self.listening = False
        self.frozen = None
        self.mirror = Mirror(DN.parse(ME), self.mirror.saved, self.cache_bytes)
        self.has_all_in_stock = False

    @invariant()
    def the_snapshot_is_frozen_while_a_refresh_is_incomplete(self):
        if self.frozen is not None:
            assert self.mirror.snapshot is self.frozen

    @invariant()
    def what_is_listened_to_is_what_is_there(self):
        if not self.listening:
            return
        assert not (self.has_all_in_stock and self.mirror.missing)
        for record in self.mirror.missing:
            self.mirror.fill(self.directory.entries[record.uuid])
        index = self.mirror._index
        assert {record.uuid: _bare(record) for record in index} == {
            uuid: reduced(entry) for uuid, entry in self.directory.entries.items()
        }
        interest, expected = self._from_nothing(index.former)
        assert {record.uuid for record in index if record.whole} == interest.uuids
        assert self.mirror.snapshot == expected

    def _from_nothing(self, former):
        """The interest and the snapshot, computed once from the whole directory instead of step by step."""
        entries, my_name = self.directory.entries.values(), DN.parse(ME)
        index = Index(map(reduced, entries), former)
        me = index.get(self.mirror._me) or index.named(my_name.key)
        interest = interest_of(index, me, my_name.key)
        index = Index((whole(each) if each.uuid in interest.uuids else reduced(each) for each in entries), former)
        return interest, snapshot_of(index, me, my_name, interest)

    def _changed(self, events) -> None:
        if self.listening:
            self.mirror.apply(events)
            self.cookie = self.directory.cookie

    @staticmethod
    def _in_any_order(data, events):
        upserts = [event for event in events if isinstance(event, Upsert)]
        shuffled = iter(data.draw(st.permutations(upserts)))
        return [next(shuffled) if isinstance(event, Upsert) else event for event in events]


def _bare(record):
    return type(record)(record.uuid, record.key, record.csn, record.links, record.servers)


TestMirrorOfADirectory = MirrorOfADirectory.TestCase
TestMirrorOfADirectory.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
