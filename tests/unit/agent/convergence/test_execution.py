"""Carrying out a plan: what a failure keeps from being done, and what it does not."""

from __future__ import annotations

import time

import pytest

from relocd.agent.convergence.execution import ExecContext, announce, execute, find_conflict
from relocd.agent.convergence.permit import ServePermit
from relocd.errors import Failed
from relocd.model.host import UnitState
from relocd.model.template_set import Command, Moment, UnitAction
from relocd.reconcile.diff import (
    AddAddress,
    Announce,
    DropAddress,
    InstallFiles,
    ProbeAddresses,
    RemoveFile,
    RunCommand,
    UseUnit,
)
from tests.support.fakes import FakeServer
from tests.support.plans import ETH0, interface, new_file, placed

V4, V6 = placed("192.0.2.10/24"), placed("2001:db8::10/64")
INSTALL = InstallFiles((new_file("/etc/app/a", "1"),))
BAD_FILE = InstallFiles((new_file("/etc/app/a", "BAD"),))
PROBE = ProbeAddresses((V4,))
RAISE, RAISE6 = AddAddress(V4), AddAddress(V6)
START, START_DB = UseUnit("web", UnitAction.START), UseUnit("db", UnitAction.START)
RELOAD = UseUnit("web", UnitAction.RELOAD)
STOP = UseUnit("web", UnitAction.STOP)
RUN = RunCommand(Command(Moment.ACTIVATE, ("promote", "x")))
ANNOUNCE = Announce((V4,))
DROP_OTHER = DropAddress(placed("192.0.2.99/24"))
REMOVE = RemoveFile("/etc/app/old")
ENTER = [INSTALL, PROBE, RAISE, RAISE6, START_DB, START, RUN, ANNOUNCE]


@pytest.fixture
def server():
    found = FakeServer()
    found.addresses.there[placed("192.0.2.99/24")] = True
    found.files.contents["/etc/app/old"] = b""
    return found


async def outcomes_of(server, actions, *, entering=True, permit=None):
    context = ExecContext("web", "a test", entering, permit=permit or ServePermit())
    return await execute(server.host, actions, context)


def done(outcomes):
    return [outcome.action for outcome in outcomes if outcome.problem is None]


async def test_all_is_done_in_order(server):
    outcomes = await outcomes_of(server, ENTER)
    assert done(outcomes) == ENTER
    assert server.take_effects() == [
        "install /etc/app/a",
        "raise 192.0.2.10/24 on eth0",
        "raise 2001:db8::10/64 on eth0",
        "start db",
        "start web",
        "run promote x",
        "announce 192.0.2.10/24 on eth0",
    ]
    assert not any(outcome.busy for outcome in outcomes)


async def test_nothing_is_raised_after_an_early_unit_that_did_not_start(server):
    server.units.broken.add("db")
    outcomes = await outcomes_of(server, [INSTALL, PROBE, START_DB, RAISE, START, DROP_OTHER, ANNOUNCE])
    assert done(outcomes) == [INSTALL, PROBE, DROP_OTHER]
    assert not server.addresses.there.get(V4)


async def test_what_a_program_says_shows_no_secret(server, caplog):
    server.commands.failing.add("promote x")
    server.commands.said["promote x"] = "bind with top\tsecret\n failed\n"
    (outcome,) = await execute(server.host, [RUN], ExecContext("web", "a test", secrets=("top\tsecret",)))
    assert outcome.problem == "promote x: no end within 30 s: bind with ******** | failed"
    assert caplog.records[-1].fields["problem"] == outcome.problem


async def test_nothing_of_it_is_shown_where_the_secrets_are_not_known(server):
    server.units.stuck.add("web")
    server.units.said["web"] = "cannot log in with geheim"
    (outcome,) = await execute(server.host, [STOP], ExecContext("web", "a test", secrets=None))
    assert "geheim" not in outcome.problem


async def test_a_unit_that_stops_badly_and_has_stopped_shows_nothing_of_it_in_the_log(server, caplog):
    server.units.stuck.add("web")
    server.units.fail_to = UnitState.FAILED
    server.units.said["web"] = "cannot log in with geheim"
    (outcome,) = await outcomes_of(server, [STOP])
    assert outcome.problem is None
    (record,) = [each for each in caplog.records if each.getMessage() == "unit stopped badly"]
    assert "geheim" not in record.fields["problem"]


@pytest.mark.parametrize(
    ("entering", "expected"),
    [
        pytest.param(True, [], id="on entering nothing is raised or started"),
        pytest.param(False, [PROBE, RAISE, RAISE6, START_DB, START, ANNOUNCE], id="what serves is repaired"),
    ],
)
async def test_files_that_do_not_pass(server, entering, expected):
    outcomes = await outcomes_of(server, [BAD_FILE, *ENTER[1:]], entering=entering)
    assert done(outcomes) == expected
    assert "its check says that it is bad" in outcomes[0].problem


@pytest.mark.parametrize("action", [RELOAD, UseUnit("web", UnitAction.RESTART), RUN])
@pytest.mark.parametrize("failing", [BAD_FILE, REMOVE])
async def test_nothing_is_reloaded_after_files_that_failed(server, action, failing):
    server.files.refusal = "read-only" if failing is REMOVE else ""
    assert done(await outcomes_of(server, [failing, action], entering=False)) == []


async def test_an_address_that_another_host_has_is_waited_for(server):
    server.wire.answering["192.0.2.10"] = "02:00:00:00:00:99"
    outcomes = await outcomes_of(server, ENTER)
    assert done(outcomes) == [INSTALL]
    assert outcomes[-1].busy
    assert outcomes[-1].problem == "192.0.2.10 is answered by 02:00:00:00:00:99; waiting until it is silent"


async def test_with_a_permit_that_has_expired_nothing_is_raised_or_started(server):
    """The process may have hung since, and another server may serve by now."""
    outcomes = await outcomes_of(server, ENTER, permit=ServePermit(until=time.monotonic()))
    assert done(outcomes) == [INSTALL, PROBE]
    assert outcomes[-1].busy
    assert isinstance(outcomes[-1].action, AddAddress)
    assert server.take_effects() == ["install /etc/app/a"]


async def test_an_address_is_raised_for_as_long_as_the_warrant_says(server):
    await outcomes_of(server, [RAISE], permit=ServePermit(lifetime_s=7))
    await outcomes_of(server, [RAISE6])
    assert server.addresses.lifetimes == {V4: 7, V6: None}


async def test_units_wait_for_the_ones_before_them(server):
    server.units.broken.add("db")
    outcomes = await outcomes_of(server, ENTER)
    assert done(outcomes) == [INSTALL, PROBE, RAISE, RAISE6, ANNOUNCE]
    assert [str(outcome.action) for outcome in outcomes if outcome.problem] == ["start db"]


async def test_a_command_that_fails_keeps_later_ones_from_running(server):
    server.commands.failing.add("promote x")
    assert done(await outcomes_of(server, [RUN, RUN, START])) == []


async def test_one_address_that_fails_does_not_keep_the_other_from_being_raised(server):
    server.addresses.refused.add(V4)
    outcomes = await outcomes_of(server, ENTER)
    assert RAISE not in done(outcomes)
    assert RAISE6 in done(outcomes)


@pytest.mark.parametrize("entering", [True, False])
@pytest.mark.parametrize("failing", ["files", "probe", "unit"])
async def test_letting_go_is_never_blocked(server, failing, entering):
    server.wire.answering["192.0.2.10"] = "02:00:00:00:00:99"
    server.units.broken.add("db")
    first = {"files": BAD_FILE, "probe": PROBE, "unit": START_DB}[failing]
    assert done(await outcomes_of(server, [first, STOP, DROP_OTHER, REMOVE], entering=entering)) == [
        STOP,
        DROP_OTHER,
        REMOVE,
    ]


async def test_a_unit_that_does_not_stop_keeps_nothing_from_being_done(server):
    server.units.stuck.add("web")
    outcomes = await outcomes_of(server, [STOP, DROP_OTHER, START_DB])
    assert done(outcomes) == [DROP_OTHER, START_DB]


async def test_what_is_skipped_has_no_outcome(server):
    outcomes = await outcomes_of(server, [BAD_FILE, RAISE, START])
    assert [outcome.action for outcome in outcomes] == [BAD_FILE]


async def test_a_unit_with_nothing_to_do_is_left_alone(server):
    assert done(await outcomes_of(server, [UseUnit("web", UnitAction.NONE)]))
    assert server.take_effects() == []


async def test_an_interface_that_is_gone_is_a_problem_that_says_so(server):
    server.addresses.links.clear()
    outcomes = await outcomes_of(server, ENTER)
    assert done(outcomes) == [INSTALL]
    assert outcomes[-1].problem.startswith("there is no interface eth0 here any more")


async def test_another_host_is_found_on_one_interface_while_another_has_no_carrier(server):
    server.addresses.links = [ETH0, interface("eth1", up=False)]
    both = [placed("192.0.2.10/24"), placed("2001:db8::10/64", on="eth1")]
    with pytest.raises(Failed):
        await find_conflict(server.host, both)
    server.wire.answering["192.0.2.10"] = "02:00:00:00:00:99"
    assert "192.0.2.10" in await find_conflict(server.host, both)


async def test_a_defect_in_one_action_is_its_problem_and_does_not_lose_the_rest(server, caplog):
    broken = AddAddress(None)
    outcomes = await outcomes_of(server, [INSTALL, broken, START])
    assert done(outcomes) == [INSTALL, START]
    assert "defect" in outcomes[1].problem
    assert "Traceback" in caplog.text


class TestAnnounce:
    async def test_only_addresses_that_are_here_are_announced(self, server):
        await announce(server.host, [V4, V6])
        assert server.take_effects() == []
        server.addresses.there |= {V4: True, V6: False}
        await announce(server.host, [V4, V6])
        assert server.take_effects() == ["announce 192.0.2.10/24 on eth0"]

    async def test_each_interface_has_its_own_announcement(self, server):
        server.addresses.links = [ETH0, interface("eth1")]
        other = placed("192.0.2.11/24", on="eth1")
        server.addresses.there |= {V4: True, V6: True, other: True}
        await announce(server.host, [V4, other, V6])
        assert server.take_effects() == [
            "announce 192.0.2.10/24 2001:db8::10/64 on eth0",
            "announce 192.0.2.11/24 on eth1",
        ]


async def test_each_change_is_one_line_with_its_reason(server, caplog):
    caplog.set_level("DEBUG")
    server.wire.answering["192.0.2.10"] = "02:00:00:00:00:99"
    await outcomes_of(server, [INSTALL, PROBE, RAISE])
    said = [(record.levelname, record.message, record.fields["action"]) for record in caplog.records]
    assert said == [
        ("INFO", "action done", str(INSTALL)),
        ("DEBUG", "action waits", str(PROBE)),
        ("DEBUG", "action skipped", str(RAISE)),
    ]
    assert caplog.records[0].fields["reason"] == "a test"
