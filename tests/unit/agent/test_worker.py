"""One worker: the latest goal counts, bursts settle, leaving ends it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from relocd.agent.worker import Worker
from relocd.model.template_set import Role
from relocd.reconcile.desired import Footprint
from tests.support.fakes import FakeServer, until
from tests.support.handover_deps import handover_deps
from tests.support.plans import context, goal, placed
from tests.unit.agent.at_work import (
    ACTIVE,
    ADDRESS,
    CONF,
    HELD,
    LEAVE,
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
