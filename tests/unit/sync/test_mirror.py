"""The mirror as a state machine (RFC 4533): refreshes whole and cut short, identity, concern, what is saved."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relocd.model.dn import DN
from relocd.sync.mirror import Mirror
from relocd.sync.saved import Saved
from relocd.sync.session import (
    Cookie,
    Deleted,
    Present,
    PresentPhaseEnd,
    RefreshDone,
    SearchLost,
    Started,
    Upsert,
)
from tests.support.directory import URI, ModelDirectory
from tests.support.entries import ME, cluster, dn, server, service, state, uuid_of

MY_DN = DN.parse(ME)


def filled(mirror: Mirror, directory: ModelDirectory) -> Mirror:
    for record in mirror.missing:
        mirror.fill(directory.entries[record.uuid])
    return mirror


def mirror_of(directory: ModelDirectory, saved: Saved | None = None, **how) -> Mirror:
    mirror = Mirror(MY_DN, saved)
    mirror.apply(directory.refresh(saved.cookie if saved else None, **how))
    return filled(mirror, directory)


def names(mirror: Mirror) -> set[str]:
    return {record.key.partition("=")[2].partition(",")[0] for record in mirror._index}


@pytest.fixture
def directory():
    return ModelDirectory([server("me", services=["web"]), service("web", relocParameter="a=1"), server("twin")])


class TestRefresh:
    def test_without_a_cookie_it_names_everything(self, directory):
        mirror = mirror_of(directory)
        assert names(mirror) == {"me", "web", "twin"}
        assert mirror.snapshot.me.name == "me"
        assert mirror.snapshot.services[uuid_of("web")].parameters == {"a": "1"}

    @pytest.mark.parametrize("deletes", [True, False], ids=["delete phase", "present phase"])
    def test_with_a_cookie_it_names_what_changed_and_what_is_gone(self, directory, deletes):
        saved = mirror_of(directory).saved
        directory.delete(uuid_of("twin"))
        directory.put(server("new"))
        directory.put(service("web", relocParameter="a=2"))
        mirror = mirror_of(directory, saved, deletes=deletes)
        assert names(mirror) == {"me", "web", "new"}
        assert mirror.snapshot.services[uuid_of("web")].parameters == {"a": "2"}

    def test_a_delete_phase_leaves_what_it_does_not_name(self, directory):
        mirror = mirror_of(directory)
        mirror.apply([Started(URI, fresh=False), Deleted((uuid_of("twin"),)), RefreshDone(), Cookie("9")])
        assert names(mirror) == {"me", "web"}

    def test_a_present_phase_ends_what_it_does_not_name(self, directory):
        mirror = mirror_of(directory)
        everything = Present((uuid_of("me"), uuid_of("web")))
        mirror.apply([Started(URI, fresh=False), everything, PresentPhaseEnd(), RefreshDone()])
        assert names(mirror) == {"me", "web"}

    def test_a_delete_phase_may_follow_a_present_phase(self, directory):
        mirror = mirror_of(directory)
        everything = Present((uuid_of("me"), uuid_of("web"), uuid_of("twin")))
        gone = Deleted((uuid_of("twin"),))
        mirror.apply([Started(URI, fresh=False), everything, PresentPhaseEnd(), gone, RefreshDone()])
        assert names(mirror) == {"me", "web"}

    def test_a_search_that_starts_anew_after_refresh_required_drops_what_is_not_named(self, directory):
        """`e-syncRefreshRequired`: the cookie was too old, so nothing says what was deleted since."""
        mirror = mirror_of(directory)
        directory.delete(uuid_of("twin"))
        mirror.apply([Started(URI, fresh=False), SearchLost("refresh required"), *directory.refresh(None)])
        assert names(mirror) == {"me", "web"}

    def test_repeated_it_changes_nothing(self, directory):
        mirror = mirror_of(directory)
        before = mirror.snapshot
        for how in ({"cookie": "0"}, {"cookie": directory.cookie}, {"cookie": directory.cookie, "deletes": True}, {}):
            mirror.apply(directory.refresh(**how))
            assert mirror.snapshot is before

    def test_an_entry_added_while_it_runs_and_deleted_again_is_gone(self, directory):
        mirror = Mirror(MY_DN)
        events = directory.refresh()
        mirror.apply([*events[:2], Upsert(service("new")), *events[2:-2], Deleted((uuid_of("new"),)), RefreshDone()])
        assert names(mirror) == {"me", "web", "twin"}

    def test_of_an_empty_directory_leaves_me_unknown(self, directory):
        mirror = mirror_of(directory)
        mirror.apply(ModelDirectory().refresh())
        assert len(mirror) == 0
        assert mirror.snapshot.me is None
        assert mirror.snapshot.problems


class TestIncompleteRefresh:
    def test_there_is_no_snapshot_before_the_first_is_complete(self, directory):
        mirror = Mirror(MY_DN)
        assert mirror.snapshot is None
        for event in directory.refresh()[:-2]:
            mirror.apply([event])
            assert (mirror.snapshot, mirror.saved) == (None, None)

    def test_the_snapshot_is_frozen_while_one_runs(self, directory):
        mirror = mirror_of(directory)
        before = mirror.snapshot
        directory.delete(uuid_of("web"))
        directory.put(server("me", services=["ntp"]))
        *events, done, cookie = directory.refresh()
        for event in events:
            mirror.apply([event])
            assert mirror.snapshot is before
            assert mirror.saved is None
        mirror.apply([done, cookie])
        assert mirror.snapshot.me.service_links == {DN.parse(dn("ntp"))}
        assert mirror.snapshot.services == {}

    @pytest.mark.parametrize("length", range(1, 6))
    def test_one_that_was_cut_short_ends_nothing(self, directory, length):
        mirror = mirror_of(directory)
        before = mirror.snapshot
        mirror.apply([*directory.refresh()[:length], SearchLost("cut off")])
        assert mirror.snapshot is before
        assert names(mirror) == {"me", "web", "twin"}

    def test_the_next_one_forgets_what_the_cut_one_named(self, directory):
        mirror = mirror_of(directory)
        mirror.apply([Started(URI, fresh=False), Present((uuid_of("twin"),)), SearchLost("cut off")])
        directory.delete(uuid_of("twin"))
        mirror.apply(directory.refresh())
        assert names(mirror) == {"me", "web"}

    def test_losing_the_search_alone_changes_nothing(self, directory):
        mirror = mirror_of(directory)
        before = mirror.snapshot
        mirror.apply([SearchLost("cut off")])
        assert mirror.snapshot is before
        assert mirror.saved is not None


class TestInterest:
    def test_the_snapshot_stays_the_same_object_while_others_change(self, directory):
        mirror = mirror_of(directory)
        before = mirror.snapshot
        mirror.apply(directory.put(service("far", relocParameter="a=1")))
        mirror.apply(directory.put(server("twin", services=["far"])))
        mirror.apply(directory.delete(uuid_of("far")))
        assert mirror.snapshot is before

    def test_only_what_concerns_me_is_kept_whole(self):
        directory = ModelDirectory(service(f"s{number}", relocParameter="a=1") for number in range(20))
        directory.put(server("me", services=["s3"]))
        directory.put(server("you", services=["s4"]))
        mirror = mirror_of(directory)
        assert {record.uuid for record in mirror._index if record.whole} == {uuid_of("me"), uuid_of("s3")}

    def test_the_values_of_what_concerns_me_no_more_are_dropped(self, directory):
        mirror = mirror_of(directory)
        mirror.apply(directory.put(server("me")))
        assert {record.uuid for record in mirror._index if record.whole} == {uuid_of("me")}
        assert mirror.snapshot.services == {}

    def test_a_new_link_makes_its_target_missing_until_it_is_filled(self, directory):
        directory.put(service("ntp"))
        mirror = mirror_of(directory)
        mirror.apply(directory.put(server("me", services=["web", "ntp"])))
        assert [record.uuid for record in mirror.missing] == [uuid_of("ntp")]
        assert mirror.snapshot.unknown == {uuid_of("ntp")}
        assert mirror.fill(directory.entries[uuid_of("ntp")])
        assert mirror.missing == ()
        assert mirror.snapshot.unknown == frozenset()
        assert uuid_of("ntp") in mirror.snapshot.services

    def test_a_new_cluster_shows_in_turn_what_it_is_linked_to(self, directory):
        for entry in (cluster("pair", services=["ntp"]), service("ntp"), server("other", clusters=["pair"])):
            directory.put(entry)
        mirror = mirror_of(directory)
        mirror.apply(directory.put(server("me", clusters=["pair"])))
        assert {record.uuid for record in mirror.missing} == {uuid_of("pair"), uuid_of("ntp"), uuid_of("other")}
        assert filled(mirror, directory).snapshot.linked(mirror.snapshot.me) == {uuid_of("ntp")}

    def test_a_link_to_what_does_not_exist_finds_it_when_it_appears(self, directory):
        directory.put(server("me", services=["later"]))
        mirror = mirror_of(directory)
        assert mirror.snapshot.problems
        mirror.apply(directory.put(service("later")))
        assert mirror.missing == ()
        assert uuid_of("later") in mirror.snapshot.services
        assert mirror.snapshot.problems == ()

    @pytest.mark.parametrize("role", ["holder", "candidate"])
    def test_a_state_that_comes_to_name_me_shows_what_i_am_in_without_a_link(self, directory, role):
        """A write that a hung directory carries out late may come after the link has gone."""
        directory.put(service("ntp"))
        mirror = mirror_of(directory)
        mirror.apply(directory.put(state("ntp", **{role: "me"})))
        assert filled(mirror, directory).snapshot.held_by(mirror.snapshot.me) == {uuid_of("ntp")}
        assert uuid_of("ntp") in mirror.snapshot.services
        mirror.apply(directory.put(state("ntp")))
        assert uuid_of("ntp") not in mirror.snapshot.services

    def test_my_entry_may_appear_later(self):
        directory = ModelDirectory([service("web")])
        mirror = mirror_of(directory)
        assert mirror.snapshot.me is None
        mirror.apply(directory.put(server("me", services=["web"])))
        assert filled(mirror, directory).snapshot.me.name == "me"


class TestFill:
    def test_what_is_older_than_what_is_known_is_refused(self, directory):
        mirror = mirror_of(directory)
        old = directory.entries[uuid_of("web")]
        mirror.apply(directory.put(service("web", relocParameter="a=2")))
        before = mirror.snapshot
        assert not mirror.fill(old)
        assert mirror.snapshot is before

    def test_what_is_gone_meanwhile_is_refused(self, directory):
        mirror = mirror_of(directory)
        old = directory.entries[uuid_of("web")]
        mirror.apply(directory.delete(uuid_of("web")))
        assert not mirror.fill(old)
        assert names(mirror) == {"me", "twin"}

    def test_what_is_newer_than_the_search_has_told_is_taken(self, directory):
        mirror = mirror_of(directory)
        told_later = directory.put(service("web", relocParameter="a=2"))
        assert mirror.fill(directory.entries[uuid_of("web")])
        assert mirror.snapshot.services[uuid_of("web")].parameters == {"a": "2"}
        before = mirror.snapshot
        mirror.apply(told_later)
        assert mirror.snapshot is before

    def test_it_does_not_thaw_the_snapshot_of_a_running_refresh(self, directory):
        mirror = mirror_of(directory)
        before = mirror.snapshot
        mirror.apply([Started(URI, fresh=True)])
        directory.put(service("web", relocParameter="a=2"))
        assert mirror.fill(directory.entries[uuid_of("web")])
        assert mirror.snapshot is before

    def test_where_the_server_sends_no_change_numbers_it_is_taken(self, directory):
        mirror = mirror_of(directory)
        entry = directory.entries[uuid_of("web")]
        bare = type(entry)(entry.uuid, entry.dn, "", service("web", relocParameter="a=2").attributes)
        mirror.apply([Upsert(bare)])
        assert mirror.fill(bare)


class TestIdentity:
    def test_a_service_renamed_before_its_link_is_corrected_still_resolves(self, directory):
        mirror = mirror_of(directory)
        mirror.apply(directory.rename(uuid_of("web"), "www"))
        me = mirror.snapshot.me
        assert mirror.snapshot.linked(me) == {uuid_of("web")}
        assert mirror.snapshot.services[uuid_of("web")].name == "www"
        assert [problem.message for problem in mirror.snapshot.problems] == [
            f"links to {dn('web')}, which was renamed to {dn('www')}; correct the link"
        ]
        mirror.apply(directory.put(server("me", services=["web", "ntp"])))
        assert mirror.snapshot.linked(mirror.snapshot.me) == {uuid_of("web")}
        mirror.apply(directory.put(server("me", services=["www"])))
        assert mirror.snapshot.linked(mirror.snapshot.me) == {uuid_of("web")}
        assert mirror.snapshot.problems == ()

    @pytest.mark.parametrize("cache_bytes", [0, 1 << 20])
    def test_a_renamed_service_keeps_its_state_when_another_one_takes_its_name(self, directory, cache_bytes):
        directory.put(state("web", holder="me", generation=7))
        mirror = Mirror(MY_DN, cache_bytes=cache_bytes)
        mirror.apply(directory.refresh())
        mirror.apply(directory.rename(uuid_of("web"), "www"))
        mirror.apply(directory.put(service("web", uuid=uuid_of("web again"))))
        mirror.apply(directory.put(server("me", services=["web", "www"])))
        found = filled(mirror, directory).snapshot.states
        assert found[uuid_of("web")].generation == 7
        assert uuid_of("web again") not in found
        mirror.apply(directory.put(replace(state("web", generation=1), uuid=uuid_of("its own state"))))
        found = filled(mirror, directory).snapshot.states
        assert [found[uuid_of(name)].generation for name in ("web", "web again")] == [7, 1]

    def test_my_renamed_entry_is_still_me(self, directory):
        mirror = mirror_of(directory)
        mirror.apply(directory.rename(uuid_of("me"), "myself"))
        assert mirror.snapshot.me.uuid == uuid_of("me")
        assert mirror.snapshot.me.name == "myself"

    def test_another_entry_that_takes_my_name_is_not_me(self, directory):
        mirror = mirror_of(directory)
        mirror.apply(directory.rename(uuid_of("me"), "myself"))
        mirror.apply(directory.put(server("me", uuid=uuid_of("impostor"))))
        assert mirror.snapshot.me.uuid == uuid_of("me")

    @pytest.mark.parametrize("mine_first", [True, False])
    def test_also_when_a_refresh_names_the_other_first(self, directory, mine_first):
        """Within a refresh both have the name for a moment; that proves nothing."""
        saved = mirror_of(directory).saved
        mirror = mirror_of(directory)
        cookie = directory.cookie
        directory.rename(uuid_of("me"), "myself")
        directory.put(server("me", uuid=uuid_of("impostor")))
        started, *changed, end, done, last = directory.refresh(cookie)
        *upserts, present = changed
        events = [started, *(upserts if mine_first else reversed(upserts)), present, end, done, last]
        for each in (mirror, Mirror(MY_DN, saved)):
            each.apply(events)
            assert filled(each, directory).snapshot.me.uuid == uuid_of("me")

    def test_my_entry_deleted_and_added_anew_is_me(self, directory):
        mirror = mirror_of(directory)
        mirror.apply(directory.delete(uuid_of("me")))
        assert mirror.snapshot.me is None
        mirror.apply(directory.put(server("me", uuid=uuid_of("me again"), services=["web"])))
        assert filled(mirror, directory).snapshot.me.uuid == uuid_of("me again")

    def test_a_renamed_active_server_is_still_the_active_one(self, directory):
        directory.put(server("me", clusters=["pair"]))
        directory.put(cluster("pair", services=["web"], active="me"))
        mirror = mirror_of(directory)
        mirror.apply(directory.rename(uuid_of("me"), "myself"))
        (pair,) = mirror.snapshot.clusters.values()
        assert mirror.snapshot.targets([pair.active]) == {uuid_of("me")}

    def test_a_service_deleted_and_added_anew_is_another_one(self, directory):
        mirror = mirror_of(directory)
        mirror.apply(directory.delete(uuid_of("web")))
        mirror.apply(directory.put(service("web", uuid=uuid_of("web again"))))
        assert mirror.snapshot.linked(mirror.snapshot.me) == {uuid_of("web again")}


class TestSaved:
    def test_it_holds_no_values_and_the_cookie_of_its_content(self, directory):
        saved = mirror_of(directory).saved
        assert saved.cookie == directory.cookie
        assert saved.me == uuid_of("me")
        assert len(saved.records) == 3
        assert not any(record.whole for record in saved.records)

    def test_a_mirror_that_begins_with_it_has_no_snapshot_and_is_filled_after_its_refresh(self, directory):
        saved = mirror_of(directory).saved
        mirror = Mirror(MY_DN, saved)
        assert (mirror.snapshot, mirror.saved) == (None, None)
        mirror.apply(directory.refresh(saved.cookie))
        assert mirror.snapshot.me is None
        assert {record.uuid for record in mirror.missing} == {uuid_of("me"), uuid_of("web")}
        assert filled(mirror, directory).snapshot == mirror_of(directory).snapshot

    def test_former_names_and_my_identity_survive_a_restart(self, directory):
        mirror = mirror_of(directory)
        mirror.apply(directory.rename(uuid_of("web"), "www"))
        mirror.apply(directory.rename(uuid_of("me"), "myself"))
        later = mirror_of(directory, mirror.saved)
        assert later.snapshot == mirror.snapshot
        assert later.saved == mirror.saved

    def test_without_a_cookie_there_is_nothing_to_save(self, directory):
        mirror = Mirror(MY_DN)
        mirror.apply([*directory.refresh()[:-1], Cookie("")])
        assert mirror.snapshot is not None
        assert mirror.saved is None
