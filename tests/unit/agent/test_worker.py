"""One worker: the latest wish counts, bursts settle, failures are retried at their pace, leaving ends it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from relocd.agent.convergence.converge import Report
from relocd.agent.pauses import Pace
from relocd.agent.worker import Leave, Worker
from relocd.model.host import UnitState
from relocd.model.settings import AgentSettings, WireSettings
from relocd.model.template_set import Role
from relocd.reconcile.desired import Footprint
from tests.support.fakes import FakeServer, until
from tests.support.handover_deps import handover_deps
from tests.support.plans import context, goal, placed

ADDRESS = "192.0.2.10/24"
ACTIVE, STANDBY = goal("one", Role.ACTIVE, ADDRESS), goal("one", Role.STANDBY, ADDRESS)
HELD = "192.0.2.10/24 on eth0"
LEAVE = Leave("no longer linked")
CONF = "/etc/app/one.conf"
NEVER_S = 600.0


def pace(*, settle_ms=0.0, retry_s=0.005, retry_max_s=0.02, probe_ms=5.0, burst=1, refresh_s=0.0):
    return Pace(
        AgentSettings(settle_ms=settle_ms, retry_min_s=retry_s, retry_max_s=max(retry_s, retry_max_s)),
        WireSettings(probe_interval_ms=probe_ms, announce_burst=burst, announce_refresh_s=refresh_s),
    )


@asynccontextmanager
async def at_work(server, footprint=None, paced=None):
    """A worker whose run is a task; it hears of units and addresses as in the agent."""
    worker = Worker(server.host, ACTIVE.id, footprint, paced or pace(), handover_deps(server.host), lambda: None)
    server.units.watch(worker.nudge_if_units_matter)
    server.addresses.watch(worker.nudge_if_drifted)
    task = asyncio.create_task(worker.run())
    try:
        yield worker, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def server():
    return FakeServer()


def is_active(worker):
    return worker.footprint is not None and worker.footprint.role is Role.ACTIVE and not worker.report.problems


async def a_while():
    """Long enough for anything that would happen at once."""
    await asyncio.sleep(0.03)


class TestWishes:
    async def test_without_a_wish_nothing_happens(self, server):
        footprint = Footprint("one", Role.ACTIVE, addresses=frozenset({placed()}))
        async with at_work(server, footprint) as (worker, task):
            worker.nudge()
            worker.nudge_if_drifted()
            await a_while()
            assert server.world.effects == []
            assert worker.footprint == footprint
            assert not task.done()

    async def test_the_first_is_carried_out_at_once(self, server):
        async with at_work(server, paced=pace(settle_ms=NEVER_S * 1000)) as (worker, _):
            worker.want(ACTIVE)
            await until(lambda: is_active(worker))

    async def test_the_same_again_changes_nothing(self, server):
        async with at_work(server) as (worker, _):
            worker.want(ACTIVE)
            await until(lambda: is_active(worker))
            server.take_effects()
            worker.want(goal("one", Role.ACTIVE, ADDRESS))
            await a_while()
            assert server.take_effects() == []

    async def test_a_burst_settles_and_ends_on_the_last(self, server):
        async with at_work(server, paced=pace(settle_ms=30)) as (worker, _):
            for number in range(200):
                worker.want(goal("one", Role.ACTIVE, ADDRESS, context=context(number, "active")))
                await asyncio.sleep(0)
            await until(lambda: server.files.text(CONF) == "conf of 199, active")
            await until(lambda: is_active(worker))
            installed = [effect for effect in server.take_effects() if effect.startswith("install")]
            assert len(installed) <= 3

    async def test_the_secrets_of_a_new_link_do_not_wait_for_a_burst_to_settle(self, server):
        """A link comes without them; they are read at once."""
        async with at_work(server, paced=pace(settle_ms=NEVER_S * 1000)) as (worker, _):
            worker.want(ACTIVE)
            await until(lambda: is_active(worker))
            server.renderer.templates["web", "conf.j2"] = "with a secret"
            worker.want(replace(ACTIVE, context=replace(ACTIVE.context, secrets={"password": "x"})))
            await until(lambda: server.files.contents[CONF] == b"with a secret")

    async def test_one_that_comes_while_another_is_carried_out_is_next(self, server):
        server.units.slow.clear()
        async with at_work(server) as (worker, _):
            worker.want(ACTIVE)
            await until(lambda: server.addresses.ours)
            later = replace(ACTIVE, reason="chosen in another way")
            worker.want(later)
            await a_while()
            assert worker.footprint is None
            server.units.slow.set()
            await until(lambda: is_active(worker))

    async def test_a_start_that_hangs_is_given_up_when_the_service_shall_not_be_active_here(self, server):
        server.units.slow.clear()
        async with at_work(server) as (worker, _):
            worker.want(ACTIVE)
            await until(lambda: server.addresses.ours)
            worker.want(STANDBY)
            await until(lambda: not server.addresses.ours)
            server.units.slow.set()
            await until(lambda: worker.footprint and worker.footprint.role is Role.STANDBY)

    async def test_the_name_is_that_of_the_last_wish_or_of_the_footprint(self, server):
        assert Worker(server.host, ACTIVE.id, None, pace(), handover_deps(server.host), lambda: None).name == ACTIVE.id
        worker = Worker(server.host, ACTIVE.id, Footprint("former"), pace(), handover_deps(server.host), lambda: None)
        assert worker.name == "former"
        worker.want(ACTIVE)
        worker.want(LEAVE)
        assert worker.name == "one"


class TestRetry:
    @pytest.mark.parametrize(
        ("report", "attempt", "expected"),
        [
            pytest.param(Report(None), 0, None, id="nothing failed"),
            pytest.param(Report(None, ("x",)), 1, 1.0, id="first failure"),
            pytest.param(Report(None, ("x",)), 2, 2.0, id="second"),
            pytest.param(Report(None, ("x",)), 5, 16.0, id="fifth"),
            pytest.param(Report(None, ("x",)), 7, 60.0, id="not beyond the longest"),
            pytest.param(Report(None, ("x",)), 10_000, 60.0, id="for ever"),
            pytest.param(Report(None, ("x",), busy=True), 1, 0.02, id="busy"),
            pytest.param(Report(None, ("x",), busy=True), 18, 0.08, id="still busy"),
            pytest.param(Report(None, ("x",), busy=True), 10_000, 5.0, id="busy for long"),
        ],
    )
    def test_the_pace(self, report, attempt, expected):
        assert Pace(AgentSettings(), WireSettings()).retry_s(report, attempt) == expected

    def test_without_a_distance_of_probes_a_busy_address_is_still_not_asked_for_without_pause(self):
        paced = Pace(AgentSettings(), WireSettings(probe_interval_ms=0))
        assert paced.retry_s(Report(None, ("x",), busy=True), 1) == 0.01

    async def test_what_failed_is_tried_again(self, server):
        server.units.broken.add("web")
        async with at_work(server) as (worker, _):
            worker.want(ACTIVE)
            await until(lambda: server.world.effects.count("web fails") >= 3)
            assert "web does not start" in worker.report.problems[0]
            server.units.broken.clear()
            await until(lambda: is_active(worker))

    async def test_a_unit_that_fails_to_start_is_not_tried_without_pause(self, server):
        """Its failing changes its state, which nudges the worker: that must not overrule the backoff."""
        server.units.broken.add("web")
        async with at_work(server, paced=pace(retry_s=NEVER_S)) as (worker, _):
            worker.want(ACTIVE)
            await until(lambda: worker.report.problems)
            await a_while()
            assert server.world.effects.count("web fails") <= 2

    async def test_a_busy_address_is_taken_soon_after_it_is_silent(self, server):
        server.wire.answering["192.0.2.10"] = "02:00:00:00:00:99"
        async with at_work(server, paced=pace(retry_s=NEVER_S)) as (worker, _):
            worker.want(ACTIVE)
            await until(lambda: worker.report.busy)
            server.wire.answering.clear()
            await until(lambda: is_active(worker))

    async def test_a_new_wish_does_not_wait_for_the_retry(self, server):
        server.units.broken.add("web")
        async with at_work(server, paced=pace(retry_s=NEVER_S)) as (worker, _):
            worker.want(ACTIVE)
            await until(lambda: worker.report.problems)
            worker.want(STANDBY)
            await until(lambda: worker.footprint.role is Role.STANDBY)
            assert server.addresses.ours == set()

    async def test_a_new_wish_begins_the_pace_anew(self, server):
        server.units.broken.add("web")
        async with at_work(server, paced=pace(retry_max_s=NEVER_S)) as (worker, _):
            worker.want(ACTIVE)
            await until(lambda: server.world.effects.count("web fails") >= 6)
            worker.want(goal("one", Role.ACTIVE, "192.0.2.11/24"))
            failed = server.world.effects.count("web fails")
            await until(lambda: server.world.effects.count("web fails") >= failed + 3, 0.5)

    async def test_a_defect_is_a_problem_and_not_the_end(self, server, caplog):
        good, server.sets.sets["web"] = server.sets.sets["web"], None
        async with at_work(server) as (worker, task):
            worker.want(ACTIVE)
            await until(lambda: worker.report.problems)
            assert worker.report.problems == ("a defect of relocd, see its log: AttributeError",)
            assert "Traceback" in caplog.text
            server.sets.sets["web"] = good
            await until(lambda: is_active(worker))
            assert not task.done()


class TestNudges:
    async def test_an_address_that_somebody_removed_comes_back(self, server):
        async with at_work(server, paced=pace(retry_s=NEVER_S)) as (worker, _):
            worker.want(ACTIVE)
            await until(lambda: is_active(worker))
            server.addresses.remove_by_hand(placed())
            await until(lambda: server.addresses.ours == {HELD})

    @pytest.mark.parametrize("heard", ["during the round", "after it"])
    async def test_what_stops_being_in_the_way_while_it_is_tried_is_tried_again(self, server, heard):
        """The kernel's news may also come just after the end of the round that they were in."""
        addresses, add = server.addresses, server.addresses.add
        server.sets.sets["web"] = replace(server.sets.sets["web"], units=())  # whose states would start a round, too

        async def while_somebody_has_it(*arguments):
            addresses.add = add
            addresses.there[placed()] = False
            addresses.tell()
            await asyncio.sleep(0)
            try:
                await add(*arguments)
            finally:
                del addresses.there[placed()]
                if heard == "during the round":
                    addresses.tell()
                    await asyncio.sleep(0)

        addresses.add = while_somebody_has_it
        async with at_work(server, paced=pace(retry_s=NEVER_S)) as (worker, _):
            worker.want(ACTIVE)
            await until(lambda: worker.report.problems or is_active(worker))
            addresses.tell()
            await until(lambda: is_active(worker))

    async def test_a_unit_that_died_is_started(self, server):
        async with at_work(server, paced=pace(retry_s=NEVER_S)) as (worker, _):
            worker.want(ACTIVE)
            await until(lambda: is_active(worker))
            await a_while()
            server.units.dies("web")
            await until(lambda: server.units.states["web"] is UnitState.ACTIVE)

    async def test_a_unit_that_dies_long_after_another_problem_is_started(self, server):
        async with at_work(server, paced=pace(retry_s=0.05, retry_max_s=NEVER_S)) as (worker, _):
            worker.want(ACTIVE)
            await until(lambda: is_active(worker))
            server.sets.sets.clear()
            worker.nudge()
            await until(lambda: worker.report.problems)
            await asyncio.sleep(0.06)
            server.units.dies("web")
            await until(lambda: server.units.states["web"] is UnitState.ACTIVE)

    async def test_addresses_of_others_are_no_news(self, server):
        async with at_work(server) as (worker, _):
            worker.want(ACTIVE)
            await until(lambda: is_active(worker))
            await a_while()
            server.files.contents.clear()  # which only a look would find
            server.addresses.there[placed("192.0.2.99/24")] = False
            server.addresses.tell()
            await a_while()
            assert server.files.contents == {}
            worker.nudge()
            await until(lambda: server.files.contents)


class TestLeaving:
    async def test_it_ends_when_nothing_is_left(self, server):
        async with at_work(server) as (worker, task):
            worker.want(ACTIVE)
            await until(lambda: is_active(worker))
            worker.want(LEAVE)
            await until(task.done)
            assert server.state() == ({}, set(), set(), {})
            assert worker.footprint is None

    async def test_it_ends_at_once_where_nothing_ever_was(self, server):
        async with at_work(server) as (worker, task):
            worker.want(LEAVE)
            await until(task.done)

    async def test_what_a_unit_says_then_shows_no_secret_that_the_service_ever_had(self, server, caplog):
        """The program still has the password of before, and nothing says its secrets any more."""
        server.units.stuck.add("web")
        server.units.said["web"] = "cannot log in with first-one, second-one"
        async with at_work(server) as (worker, _):
            for secret in ("first-one", "second-one"):
                worker.want(replace(ACTIVE, context=replace(ACTIVE.context, secrets={"key": secret})))
                await until(lambda: is_active(worker))
            worker.want(LEAVE)
            await until(lambda: worker.report.problems)
            (problem,) = worker.report.problems
            assert problem.endswith("cannot log in with ********, ********")
            assert "first-one" not in caplog.text + str([record.__dict__ for record in caplog.records])

    async def test_after_a_restart_of_the_agent_nothing_of_it_is_shown(self, server):
        server.units.stuck.add("web")
        server.units.said["web"] = "cannot log in with first-one"
        async with at_work(server) as (worker, _):
            worker.want(ACTIVE)
            await until(lambda: is_active(worker))
            footprint = worker.footprint
        async with at_work(server, footprint) as (worker, _):
            worker.want(LEAVE)
            await until(lambda: worker.report.problems)
            assert "first-one" not in str(worker.report.problems)

    async def test_it_is_tried_until_it_succeeds(self, server):
        async with at_work(server) as (worker, task):
            worker.want(ACTIVE)
            await until(lambda: is_active(worker))
            server.files.refusal = "read-only"
            worker.want(LEAVE)
            await until(lambda: worker.report.problems)
            assert server.addresses.ours == set()
            assert not task.done()
            server.files.refusal = ""
            await until(task.done)
            assert server.files.contents == {}

    async def test_a_link_that_comes_back_meanwhile_wins(self, server):
        async with at_work(server) as (worker, task):
            worker.want(ACTIVE)
            await until(lambda: is_active(worker))
            server.files.refusal = "read-only"
            worker.want(LEAVE)
            await until(lambda: worker.report.problems)
            worker.want(ACTIVE)
            server.files.refusal = ""
            await until(lambda: is_active(worker))
            assert server.addresses.ours == {HELD}
            assert not task.done()

    async def test_what_was_raised_while_the_disk_was_full_is_let_go_too(self, server):
        server.ledger.refusal = "no space left"
        async with at_work(server) as (worker, task):
            worker.want(ACTIVE)
            await until(lambda: server.addresses.ours)
            worker.want(LEAVE)
            await until(lambda: not server.addresses.ours)
            server.ledger.refusal = ""
            await until(task.done)
            assert server.state() == ({}, set(), set(), {})


class TestAnnouncements:
    def announced(self, server):
        return server.world.effects.count("announce 192.0.2.10/24 on eth0")

    async def test_they_are_repeated_in_a_burst(self, server):
        async with at_work(server, paced=pace(burst=3)) as (worker, _):
            worker.want(ACTIVE)
            await until(lambda: self.announced(server) == 3)
            await a_while()
            assert self.announced(server) == 3

    async def test_and_then_at_a_low_rate_until_the_address_is_given_away(self, server):
        async with at_work(server, paced=pace(refresh_s=0.002)) as (worker, _):
            worker.want(ACTIVE)
            await until(lambda: self.announced(server) > 5)
            worker.want(STANDBY)
            await until(lambda: worker.footprint.role is Role.STANDBY)
            last = self.announced(server)
            await a_while()
            assert self.announced(server) == last

    async def test_an_adopted_address_is_announced_in_the_same_way(self, server):
        async with at_work(server) as (worker, _):
            worker.want(ACTIVE)
            await until(lambda: is_active(worker))
        server.take_effects()
        async with at_work(server, server.ledger.stored[ACTIVE.id], pace(refresh_s=0.002)) as (worker, _):
            worker.want(ACTIVE)
            await until(lambda: self.announced(server) > 2)
            assert set(server.take_effects()) == {"announce 192.0.2.10/24 on eth0"}


async def test_ending_the_worker_changes_nothing_on_the_server(server):
    async with at_work(server, paced=pace(refresh_s=0.002)) as (worker, task):
        worker.want(ACTIVE)
        await until(lambda: is_active(worker))
        before = server.state()
        task.cancel()
        worker.nudge()  # at the same moment
        await asyncio.wait([task])
        assert task.cancelled()
        server.take_effects()
        await a_while()
        assert server.take_effects() == []
        assert server.state() == before
