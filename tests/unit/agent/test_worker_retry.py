"""One worker: what failed is tried again at its pace, or at once when what is in the way changes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from relocd.agent.convergence.converge import Report
from relocd.agent.pauses import Pace
from relocd.model.host import UnitState
from relocd.model.settings import AgentSettings, WireSettings
from relocd.model.template_set import Role
from tests.support.fakes import FakeServer, until
from tests.support.plans import goal, placed
from tests.unit.agent.at_work import (
    ACTIVE,
    HELD,
    NEVER_S,
    STANDBY,
    a_while,
    at_work,
    is_active,
    pace,
)


@pytest.fixture
def server():
    return FakeServer()


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
