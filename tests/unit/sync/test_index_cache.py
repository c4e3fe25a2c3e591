"""Entries that are not of interest yet: cached within a limit, replaced by their newest state, removed when gone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relocd.model.dn import DN
from relocd.sync.index import EntryCache
from relocd.sync.mirror import Mirror
from tests.support.directory import ModelDirectory
from tests.support.entries import ME, server, service, uuid_of

LARGE = 10**6


def test_what_is_kept_is_the_latest():
    cache = EntryCache(LARGE)
    cache.keep(service("web", relocParameter="a=1"))
    cache.keep(service("web", relocParameter="a=2"))
    assert cache.get(uuid_of("web")) == service("web", relocParameter="a=2")


def test_what_is_dropped_is_gone():
    cache = EntryCache(LARGE)
    cache.keep(service("web"))
    cache.drop(uuid_of("web"))
    cache.drop(uuid_of("web"))
    assert cache.get(uuid_of("web")) is None


def test_without_room_nothing_is_kept_and_nothing_old_either():
    cache = EntryCache(2000)
    cache.keep(service("web"))
    assert cache.get(uuid_of("web"))
    cache.keep(service("web", relocParameter="a=" + "x" * 2000))
    assert cache.get(uuid_of("web")) is None
    cache.keep(service("ntp"))
    assert cache.get(uuid_of("ntp"))


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.none() | st.integers(0, 3000))))
def test_the_limit_holds_whatever_comes_and_goes(changes):
    cache = EntryCache(5000)
    for name, length in changes:
        if length is None:
            cache.drop(uuid_of(name))
        else:
            cache.keep(service(name, relocParameter="a=" + "x" * length))
        kept = [entry for each in "abcdef" if (entry := cache.get(uuid_of(each)))]
        assert sum(len(value) for entry in kept for value in entry.attributes.get("relocparameter", ())) <= 5000
    for name in "abcdef":
        cache.drop(uuid_of(name))
    cache.keep(service("again", relocParameter="a=" + "x" * 3000))
    assert cache.get(uuid_of("again")), "all room is free again"


class TestInTheMirror:
    def mirror_of(self, directory):
        mirror = Mirror(DN.parse(ME), None, LARGE)
        mirror.apply(directory.refresh())
        return mirror

    def test_a_new_link_finds_its_target_without_a_read(self):
        directory = ModelDirectory([service("web", relocParameter="a=1"), server("me")])
        mirror = self.mirror_of(directory)
        mirror.apply(directory.put(server("me", services=["web"])))
        assert mirror.missing == ()
        assert mirror.snapshot.services[uuid_of("web")].parameters == {"a": "1"}

    def test_in_its_latest_form(self):
        directory = ModelDirectory([service("web", relocParameter="a=1"), server("me")])
        mirror = self.mirror_of(directory)
        mirror.apply(directory.put(service("web", relocParameter="a=2")))
        mirror.apply(directory.put(server("me", services=["web"])))
        assert mirror.snapshot.services[uuid_of("web")].parameters == {"a": "2"}

    def test_what_was_deleted_makes_room(self):
        directory = ModelDirectory([server("me"), service("web")])
        mirror = Mirror(DN.parse(ME), None, 2500)
        mirror.apply(directory.refresh())
        mirror.apply(directory.delete(uuid_of("web")))
        mirror.apply(directory.put(service("ntp")))
        mirror.apply(directory.put(server("me", services=["ntp"])))
        assert mirror.missing == ()

    def test_what_lost_its_name_to_another_makes_room(self):
        directory = ModelDirectory([server("me"), service("web")])
        mirror = Mirror(DN.parse(ME), None, 2500)
        mirror.apply(directory.refresh())
        directory.delete(uuid_of("web"))
        again = directory.put(service("web", uuid=uuid_of("again")))
        mirror.apply(again)
        mirror.apply(directory.put(service("web", uuid=uuid_of("again"))))
        mirror.apply(directory.put(server("me", services=["web"])))
        assert mirror.missing == ()

    def test_nothing_that_was_deleted_comes_back(self):
        directory = ModelDirectory([service("web"), server("me")])
        mirror = self.mirror_of(directory)
        mirror.apply(directory.delete(uuid_of("web")))
        mirror.apply(directory.put(server("me", services=["web"])))
        assert mirror.snapshot.services == {}
