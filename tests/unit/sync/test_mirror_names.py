"""Names that were given away while nobody listened: what a refresh leaves open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relocd.model.dn import DN
from relocd.sync.mirror import Mirror
from relocd.sync.session import Upsert
from tests.support.directory import ModelDirectory
from tests.support.entries import dn, server, service, state, uuid_of
from tests.unit.sync.test_mirror import MY_DN, filled


class TestNamesGivenAwayMeanwhile:
    """Two services swapped their names while nobody listened; a search that goes on says nothing of their states."""

    @pytest.fixture
    def directory(self):
        found = ModelDirectory([server("me", services=["a", "b"]), service("a"), service("b")])
        found.put(state("a", holder="me", generation=7))
        found.put(state("b", holder="me", generation=9))
        return found

    @staticmethod
    def swap(directory):
        for name, new in (("a", "x"), ("b", "a"), ("a", "b")):
            directory.rename(uuid_of(name), new)

    @pytest.mark.parametrize("deletes", [False, True], ids=["present phase", "delete phase"])
    @pytest.mark.parametrize("cache_bytes", [0, 1 << 20])
    def test_the_last_snapshot_stays_until_a_search_from_the_beginning(self, directory, cache_bytes, deletes):
        mirror = Mirror(MY_DN, cache_bytes=cache_bytes)
        mirror.apply(directory.refresh())
        before = filled(mirror, directory).snapshot
        self.swap(directory)
        mirror.apply(directory.refresh(mirror.saved.cookie, deletes=deletes))
        assert (bool(mirror.doubt), mirror.snapshot, mirror.saved) == (True, before, None)
        mirror.apply(directory.refresh())
        states = filled(mirror, directory).snapshot.states
        assert not mirror.doubt
        assert (states[uuid_of("a")].generation, states[uuid_of("b")].generation) == (7, 9)


def test_an_entry_that_seems_to_lie_below_itself_moves_nothing_else():
    """Its former name is another entry's by then, which a server has not told of yet, or never does."""
    directory = ModelDirectory([server("me", services=["a"]), service("a"), state("a")])
    mirror = Mirror(MY_DN, cache_bytes=1 << 20)
    mirror.apply(directory.refresh())
    for depth in (f"cn=state,{dn('a')}", f"cn=state,cn=state,cn=state,{dn('a')}"):
        mirror.apply([Upsert(replace(service("a"), dn=DN.parse(depth)))])
    assert mirror.doubt
    mirror.apply(directory.refresh())
    assert not mirror.doubt
    assert filled(mirror, directory).snapshot.me.uuid == uuid_of("me")
