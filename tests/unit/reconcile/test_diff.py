"""The smallest ordered change: what is done, in which order, and what is left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relocd.model.host import UnitState
from relocd.model.template_set import Command, First, Moment, Role, UnitAction
from relocd.reconcile.desired import Desired, Footprint, Observed
from relocd.reconcile.diff import InstallFiles, RemoveFile, RunCommand, UseUnit, actions, after, before, leaving
from tests.support.plans import new_file, placed, unit
from tests.unit.reconcile.hosts import Host, converged, state_of

CONF = new_file("/etc/app/a.conf", "one")
CONF2 = new_file("/etc/app/a.conf", "two")
V4, V6 = placed("192.0.2.10/24"), placed("2001:db8::10/64")
ACTIVE = Desired(Role.ACTIVE, (CONF,), (V4, V6), (unit("db"), unit("web")), probe=True)
STANDBY = Desired(Role.STANDBY, (CONF,), (), (unit("db", UnitAction.STOP), unit("web", UnitAction.STOP)))
NOTHING = Footprint("a")
RUNNING = {"db": UnitState.ACTIVE, "web": UnitState.ACTIVE}
SERVING, SERVED, _ = converged(Host(), ACTIVE, NOTHING)


def said(found):
    return [str(action) for action in found]


def planned(wanted, host=SERVING, footprint=SERVED):
    return said(actions(wanted, host.observed(), footprint))


class TestForeignFile:
    FOREIGN = Host(files={CONF.target: state_of(CONF2)})

    def test_it_is_kept_before_it_is_replaced(self):
        assert planned(ACTIVE, self.FOREIGN, NOTHING)[:2] == [
            f"keep what is at {CONF.target} as {CONF.target}.relocd-orig",
            f"install {CONF.target}",
        ]

    def test_with_the_wanted_content_there_is_nothing_to_keep(self):
        host = Host(files={CONF.target: replace(state_of(CONF), mode=0o600)})
        assert planned(ACTIVE, host, NOTHING)[0] == f"install {CONF.target}"

    def test_a_change_by_hand_of_what_relocd_installed_is_no_foreign_file(self):
        drifted = replace(SERVING, files={CONF.target: state_of(CONF2)})
        assert planned(ACTIVE, drifted)[0] == f"install {CONF.target}"


class TestActivate:
    def test_files_then_probe_then_addresses_then_units_then_announcement(self):
        assert planned(ACTIVE, Host(), NOTHING) == [
            "install /etc/app/a.conf",
            "probe 192.0.2.10/24 on eth0, 2001:db8::10/64 on eth0",
            "raise 192.0.2.10/24 on eth0",
            "raise 2001:db8::10/64 on eth0",
            "start db",
            "start web",
            "announce 192.0.2.10/24 on eth0, 2001:db8::10/64 on eth0",
        ]

    def test_what_is_as_it_shall_be_needs_nothing(self):
        assert planned(ACTIVE) == []

    def test_a_shared_service_is_not_probed_for(self):
        assert "probe" not in " ".join(planned(replace(ACTIVE, probe=False), Host(), NOTHING))

    def test_adopting_what_is_there_only_announces(self):
        """After the ledger was lost: address up, files in place, units running."""
        assert planned(replace(ACTIVE, units=()), SERVING, NOTHING) == [
            "announce 192.0.2.10/24 on eth0, 2001:db8::10/64 on eth0"
        ]

    def test_commands_run_after_the_units(self):
        commands = tuple(Command(moment, (moment,)) for moment in Moment)
        found = planned(replace(ACTIVE, commands=commands), Host(), NOTHING)
        assert found[-2:] == ["run activate", "announce 192.0.2.10/24 on eth0, 2001:db8::10/64 on eth0"]
        assert not {"run standby", "run change"} & set(found)

    def test_an_early_unit_starts_before_the_addresses_and_after_the_probe(self):
        wanted = replace(ACTIVE, units=(unit("data", early=True), unit("web")), addresses=(V4,))
        assert planned(wanted, Host(), NOTHING)[1:] == [
            "probe 192.0.2.10/24 on eth0",
            "start data",
            "raise 192.0.2.10/24 on eth0",
            "start web",
            "announce 192.0.2.10/24 on eth0",
        ]

    def test_from_standby_a_running_unit_gets_its_new_files(self):
        standby = Desired(Role.STANDBY, (CONF,), (), (unit("web"),))
        host, footprint, _ = converged(Host(), standby, NOTHING)
        active = Desired(Role.ACTIVE, (CONF2,), (V4,), (unit("web"),))
        assert planned(active, host, footprint) == [
            "install /etc/app/a.conf",
            "raise 192.0.2.10/24 on eth0",
            "reload web",
            "announce 192.0.2.10/24 on eth0",
        ]

    def test_a_unit_that_is_reloaded_on_entering_is_reloaded_once(self):
        wanted = Desired(Role.ACTIVE, (), (), (unit("web", UnitAction.RELOAD),))
        host, footprint, plan = converged(Host(units=RUNNING), wanted, NOTHING)
        assert said(plan) == ["reload web"]
        assert planned(wanted, host, footprint) == []


class TestRepair:
    def test_a_lost_address_is_probed_for_raised_and_announced(self):
        assert planned(ACTIVE, replace(SERVING, addresses=frozenset({V6}))) == [
            "probe 192.0.2.10/24 on eth0",
            "raise 192.0.2.10/24 on eth0",
            "announce 192.0.2.10/24 on eth0, 2001:db8::10/64 on eth0",
        ]

    @pytest.mark.parametrize("state", [UnitState.INACTIVE, UnitState.FAILED, UnitState.DEACTIVATING, UnitState.UNKNOWN])
    def test_a_unit_that_stopped_is_started(self, state):
        assert planned(ACTIVE, replace(SERVING, units={**RUNNING, "web": state})) == ["start web"]

    def test_a_unit_that_starts_is_left_alone(self):
        assert planned(ACTIVE, replace(SERVING, units={**RUNNING, "web": UnitState.ACTIVATING})) == []

    def test_a_unit_of_which_nobody_could_say_is_started(self):
        assert planned(ACTIVE, replace(SERVING, units={"db": UnitState.ACTIVE})) == ["start web"]

    @pytest.mark.parametrize(
        "state",
        [
            pytest.param(None, id="removed"),
            pytest.param(state_of(CONF2), id="other content"),
            pytest.param(replace(state_of(CONF), mode=0o600), id="other mode"),
            pytest.param(replace(state_of(CONF), owner="nobody"), id="other owner"),
            pytest.param(replace(state_of(CONF), group="nogroup"), id="other group"),
        ],
    )
    def test_a_file_that_was_changed_is_installed(self, state):
        files = {} if state is None else {CONF.target: state}
        assert planned(ACTIVE, replace(SERVING, files=files)) == ["install /etc/app/a.conf"]


class TestChange:
    def test_new_content_is_installed_and_running_units_reloaded(self):
        assert planned(replace(ACTIVE, files=(CONF2,))) == ["install /etc/app/a.conf", "reload db", "reload web"]

    def test_each_unit_changes_as_it_says(self):
        units = (unit("db", change=UnitAction.NONE), unit("web", change=UnitAction.RESTART))
        assert planned(replace(ACTIVE, files=(CONF2,), units=units)) == ["install /etc/app/a.conf", "restart web"]

    def test_a_unit_that_does_not_run_is_started_and_not_reloaded_too(self):
        host = replace(SERVING, units={"db": UnitState.ACTIVE, "web": UnitState.FAILED})
        assert planned(replace(ACTIVE, files=(CONF2,)), host) == ["install /etc/app/a.conf", "reload db", "start web"]

    def test_a_reload_that_failed_is_tried_again_though_the_file_is_there(self):
        wanted = replace(ACTIVE, files=(CONF2,))
        host, footprint, _ = converged(SERVING, wanted, SERVED, cut_after=1)
        assert footprint.role is Role.ACTIVE
        assert planned(wanted, host, footprint) == ["reload db", "reload web"]

    def test_commands_of_the_change_run(self):
        commands = tuple(Command(moment, (moment,)) for moment in Moment)
        found = planned(replace(ACTIVE, files=(CONF2,), commands=commands))
        assert found == ["install /etc/app/a.conf", "reload db", "reload web", "run change"]

    def test_a_file_that_is_not_wanted_any_more_is_removed(self):
        more = replace(ACTIVE, files=(CONF, new_file("/etc/app/b.conf")))
        host, footprint, _ = converged(Host(), more, NOTHING)
        assert planned(ACTIVE, host, footprint) == ["remove /etc/app/b.conf", "reload db", "reload web"]

    def test_an_address_that_is_not_wanted_any_more_is_dropped_first(self):
        other = placed("192.0.2.11/24")
        assert planned(replace(ACTIVE, addresses=(V6, other))) == [
            "drop 192.0.2.10/24 on eth0",
            "probe 192.0.2.11/24 on eth0",
            "raise 192.0.2.11/24 on eth0",
            "announce 2001:db8::10/64 on eth0, 192.0.2.11/24 on eth0",
        ]

    def test_an_address_moves_to_another_interface(self):
        moved = placed("192.0.2.10/24", on="eth1")
        assert planned(replace(ACTIVE, addresses=(moved, V6), probe=False)) == [
            "drop 192.0.2.10/24 on eth0",
            "raise 192.0.2.10/24 on eth1",
            "announce 192.0.2.10/24 on eth1, 2001:db8::10/64 on eth0",
        ]

    @pytest.mark.parametrize(
        ("removed", "expected"),
        [
            (UnitAction.STOP, ["stop db"]),
            (UnitAction.RELOAD, ["reload db"]),
            (UnitAction.NONE, []),
        ],
    )
    def test_a_unit_that_is_not_wanted_any_more_is_treated_as_removed(self, removed, expected):
        footprint = replace(SERVED, units=(unit("db", removed=removed), unit("web")))
        assert planned(replace(ACTIVE, units=(unit("web"),)), SERVING, footprint) == expected


class TestStandby:
    def test_units_in_reverse_order_then_addresses(self):
        assert planned(STANDBY) == [
            "stop web",
            "stop db",
            "drop 192.0.2.10/24 on eth0",
            "drop 2001:db8::10/64 on eth0",
        ]

    def test_addresses_first_where_the_manifest_says_so(self):
        assert planned(replace(STANDBY, first=First.ADDRESSES))[:3] == [
            "drop 192.0.2.10/24 on eth0",
            "drop 2001:db8::10/64 on eth0",
            "stop web",
        ]

    @pytest.mark.parametrize(
        ("first", "expected"),
        [
            (First.UNITS, ["stop web", "drop 192.0.2.10/24 on eth0", "stop data"]),
            (First.ADDRESSES, ["drop 192.0.2.10/24 on eth0", "stop web", "stop data"]),
        ],
    )
    def test_early_units_stop_last(self, first, expected):
        wanted = Desired(Role.ACTIVE, (), (V4,), (unit("data", early=True), unit("web")), first=first)
        host, footprint, _ = converged(Host(), wanted, NOTHING)
        stopping = tuple(replace(each, enter=UnitAction.STOP) for each in wanted.units)
        assert planned(replace(wanted, role=Role.STANDBY, addresses=(), units=stopping), host, footprint) == expected
        assert said(leaving(host.observed(), footprint)) == expected

    def test_letting_go_comes_before_new_files(self):
        assert planned(replace(STANDBY, files=(CONF2,)))[-1] == "install /etc/app/a.conf"

    def test_commands_of_the_standby_role_run(self):
        commands = tuple(Command(moment, (moment,)) for moment in Moment)
        assert planned(replace(STANDBY, commands=commands))[-1] == "run standby"

    def test_a_unit_that_stops_already_or_of_which_nobody_could_say_is_stopped(self):
        host = replace(SERVING, units={"db": UnitState.DEACTIVATING})
        assert planned(STANDBY, host)[:2] == ["stop web", "stop db"]

    @pytest.mark.parametrize("state", [UnitState.INACTIVE, UnitState.FAILED, UnitState.UNKNOWN])
    def test_a_unit_that_is_down_or_not_there_is_left_alone(self, state):
        assert "stop web" not in planned(STANDBY, replace(SERVING, units={**RUNNING, "web": state}))

    def test_a_unit_that_stays_in_standby_is_left_alone(self):
        stays = replace(STANDBY, units=(unit("db", UnitAction.NONE), unit("web", UnitAction.START)))
        assert planned(stays)[0].startswith("drop")


class TestLeave:
    def test_units_in_reverse_order_then_addresses_then_files(self):
        assert said(leaving(SERVING.observed(), SERVED)) == [
            "stop web",
            "stop db",
            "drop 192.0.2.10/24 on eth0",
            "drop 2001:db8::10/64 on eth0",
            "remove /etc/app/a.conf",
        ]

    def test_addresses_first_where_the_manifest_said_so(self):
        found = said(leaving(SERVING.observed(), replace(SERVED, first=First.ADDRESSES)))
        assert found[0] == "drop 192.0.2.10/24 on eth0"
        assert found[2:] == ["stop web", "stop db", "remove /etc/app/a.conf"]

    def test_a_unit_that_others_use_is_reloaded_without_the_files(self):
        footprint = replace(SERVED, units=(unit("web", removed=UnitAction.RELOAD),), addresses=frozenset())
        assert said(leaving(SERVING.observed(), footprint)) == ["remove /etc/app/a.conf", "reload web"]

    def test_what_is_gone_already_needs_nothing(self):
        assert leaving(Observed(units={"db": UnitState.INACTIVE, "web": UnitState.UNKNOWN}), SERVED) == ()

    def test_addresses_of_others_stay(self):
        host = replace(SERVING, addresses=SERVING.addresses | {placed("192.0.2.99/24")})
        assert "192.0.2.99" not in " ".join(said(leaving(host.observed(), SERVED)))


class TestWithoutFiles:
    """`files` is None while they cannot be prepared."""

    KEEPING = replace(ACTIVE, files=None)

    def test_old_files_stay_and_nothing_is_reloaded(self):
        assert planned(self.KEEPING) == []
        assert planned(self.KEEPING, replace(SERVING, files={})) == []

    def test_addresses_and_units_are_repaired(self):
        host = replace(SERVING, addresses=frozenset({V6}), units={**RUNNING, "db": UnitState.FAILED})
        assert planned(self.KEEPING, host)[-2:] == [
            "start db",
            "announce 192.0.2.10/24 on eth0, 2001:db8::10/64 on eth0",
        ]

    def test_the_footprint_still_knows_them(self):
        kept = after(self.KEEPING, before(self.KEEPING, (), SERVED))
        assert (kept.files, kept.applied) == (SERVED.files, SERVED.applied)


class TestFootprint:
    def test_before_acting_it_holds_whatever_may_be_left_behind(self):
        wanted = Desired(Role.ACTIVE, (CONF2,), (placed("192.0.2.11/24"),), (unit("new"),), first=First.ADDRESSES)
        kept = before(wanted, [CONF2.target, "/etc/app/b.conf"], SERVED)
        assert kept.role is Role.ACTIVE
        assert kept.files == {CONF.target, "/etc/app/b.conf"}
        assert kept.applied == SERVED.applied
        assert kept.addresses == {V4, V6, placed("192.0.2.11/24")}
        assert [each.name for each in kept.units] == ["db", "web", "new"]
        assert kept.first is First.ADDRESSES

    @pytest.mark.parametrize(("had", "wanted"), [(None, ACTIVE), (Role.STANDBY, ACTIVE), (Role.ACTIVE, STANDBY)])
    def test_while_the_role_changes_it_has_none(self, had, wanted):
        assert before(wanted, (), replace(SERVED, role=had)).role is None

    def test_after_success_it_is_what_was_wanted(self):
        kept = after(ACTIVE, before(ACTIVE, [CONF.target], NOTHING))
        assert kept == Footprint(
            "a",
            Role.ACTIVE,
            frozenset({CONF.target}),
            {CONF.target: CONF.digest},
            frozenset({V4, V6}),
            ACTIVE.units,
            First.UNITS,
        )


def test_actions_show_no_content():
    secret = new_file("/etc/app/key", "s3cret", secret=True)
    for action in (InstallFiles((secret,)), RemoveFile("/etc/app/key")):
        assert "s3cret" not in f"{action} {action!r}"
    assert str(RunCommand(Command(Moment.CHANGE, ("a", "b")))) == "run a b"
    assert str(UseUnit("web", UnitAction.RESTART)) == "restart web"
