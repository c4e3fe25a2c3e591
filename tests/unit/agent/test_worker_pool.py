"""The worker pool: a worker for each goal, absence confirmed before it is left, orphans dropped when all is known."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from relocd.agent.worker_pool import WorkerPool
from relocd.errors import Failed, Unavailable
from relocd.model.settings import AgentSettings, DirectorySettings, ServerSettings, Settings, WireSettings
from relocd.model.template_set import Role
from relocd.reconcile.desired import Footprint
from relocd.reconcile.goals import Goal, GoalId, Goals
from tests.support.entries import ME
from tests.support.fakes import FakeServer, until
from tests.support.handover_deps import handover_deps
from tests.support.plans import context, goal, placed, template_set

WEB = goal("one", Role.ACTIVE, "192.0.2.10/24")
DB = goal("two", Role.ACTIVE, "192.0.2.11/24", sets=())
HOSTS = Goal(GoalId("server:hosts"), "hosts", Role.ACTIVE, "", ("hosts",), context("all of it", "active"))
SETTINGS = Settings(
    ServerSettings(ME),
    DirectorySettings(("ldap://localhost",), "", retry_min_s=0.005, retry_max_s=0.01),
    wire=WireSettings(announce_burst=1, announce_refresh_s=0),
    agent=AgentSettings(settle_ms=0, retry_min_s=0.005, retry_max_s=0.01),
)


def wanted(*goals, unknown=(), complete=True):
    return Goals({each.id: each for each in goals}, frozenset(unknown), complete)


class Directory:
    """What a direct read says of a goal: gone or not, or the error that it raises."""

    def __init__(self):
        self.gone = {}
        self.open = asyncio.Event()
        self.open.set()

    async def is_gone(self, goal):
        await self.open.wait()
        answer = self.gone.get(goal, False)
        if isinstance(answer, Exception):
            raise answer
        return answer


@asynccontextmanager
async def at_work(server, settings=SETTINGS):
    """A worker pool in a task group of its own; whatever ends the group ends the test."""
    pool = WorkerPool(server.host, settings, handover_deps(server.host), lambda: None)
    begun = asyncio.Event()

    async def work():
        async with asyncio.TaskGroup() as group:
            pool.begin(group)
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await begun.wait()
    try:
        yield pool
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def server():
    found = FakeServer()
    found.install_set(template_set("hosts", units=()), "conf of {service[name]}, {role}")
    return found


@pytest.fixture
def directory():
    return Directory()


def consider(pool, directory, found, deleted=()):
    """What the agent does with a new snapshot."""
    pool.confirm(pool.want(found, lambda uuid: uuid not in deleted), directory.is_gone)


async def serving(pool, directory, *goals):
    consider(pool, directory, wanted(*goals))
    await until(lambda: all(worker.footprint and worker.footprint.role for worker in pool.workers))
    assert len(pool.workers) == len(goals)


async def a_while():
    await asyncio.sleep(0.03)


async def test_each_goal_has_a_worker(server, directory):
    async with at_work(server) as pool:
        await serving(pool, directory, WEB, DB)
        assert server.addresses.ours == {"192.0.2.10/24 on eth0", "192.0.2.11/24 on eth0"}


async def test_one_that_cannot_go_on_does_not_hold_up_the_others(server, directory):
    server.units.slow.clear()
    async with at_work(server) as pool:
        consider(pool, directory, wanted(WEB, DB))
        await until(lambda: DB.id in server.ledger.stored and server.ledger.stored[DB.id].role is Role.ACTIVE)


class TestFromTheLedger:
    FOOTPRINT = Footprint("one", Role.ACTIVE, addresses=frozenset({placed()}))

    async def test_what_an_earlier_run_left_stays_until_there_is_a_wish(self, server):
        server.ledger.stored[WEB.id] = self.FOOTPRINT
        server.addresses.there[placed()] = True
        async with at_work(server) as pool:
            await a_while()
            assert server.world.effects == []
            assert [worker.name for worker in pool.workers] == ["one"]

    async def test_what_is_not_linked_any_more_is_left_once_confirmed(self, server, directory):
        server.ledger.stored[WEB.id] = self.FOOTPRINT
        server.addresses.there[placed()] = True
        directory.gone[WEB.id] = True
        async with at_work(server) as pool:
            consider(pool, directory, wanted())
            await until(lambda: not pool.workers)
            assert server.state() == ({}, set(), set(), {})

    async def test_what_is_unknown_stays(self, server, directory):
        server.ledger.stored[WEB.id] = self.FOOTPRINT
        server.addresses.there[placed()] = True
        directory.gone[WEB.id] = True
        async with at_work(server) as pool:
            consider(pool, directory, wanted(unknown=[WEB.id], complete=False))
            await a_while()
            assert server.addresses.ours


class TestAbsence:
    async def test_it_is_left_once_a_direct_read_confirms_it(self, server, directory):
        async with at_work(server) as pool:
            await serving(pool, directory, WEB, DB)
            directory.gone[WEB.id] = True
            consider(pool, directory, wanted(DB))
            await until(lambda: len(pool.workers) == 1)
            assert server.addresses.ours == {"192.0.2.11/24 on eth0"}
            assert pool.problems == ()

    @pytest.mark.parametrize("answer", [False, Unavailable("the directory is silent"), Failed("insufficient access")])
    async def test_while_nothing_confirms_it_all_stays_and_a_problem_says_why(self, server, directory, answer):
        async with at_work(server) as pool:
            await serving(pool, directory, WEB)
            directory.gone[WEB.id] = answer
            consider(pool, directory, wanted())
            await until(lambda: pool.problems)
            await a_while()
            (problem,) = pool.problems
            assert str(problem).startswith("one: seems not to be linked any more, but stays: ")
            assert server.addresses.ours
            directory.gone[WEB.id] = True
            await until(lambda: not pool.workers)
            assert pool.problems == ()

    async def test_a_link_that_comes_back_while_the_directory_is_asked_wins(self, server, directory):
        async with at_work(server) as pool:
            await serving(pool, directory, WEB)
            server.take_effects()
            directory.gone[WEB.id] = True
            directory.open.clear()
            consider(pool, directory, wanted())
            await asyncio.sleep(0)
            consider(pool, directory, wanted(WEB))
            directory.open.set()
            await a_while()
            assert server.take_effects() == []
            assert (len(pool.workers), pool.problems) == (1, ())

    async def test_the_next_absence_is_asked_about_at_once(self, server, directory):
        patient = replace(SETTINGS, directory=replace(SETTINGS.directory, retry_min_s=600, retry_max_s=600))
        async with at_work(server, patient) as pool:
            await serving(pool, directory, WEB)
            consider(pool, directory, wanted())
            await until(lambda: pool.problems)
            consider(pool, directory, wanted(WEB))
            assert pool.problems == ()
            directory.gone[WEB.id] = True
            consider(pool, directory, wanted())
            await until(lambda: not pool.workers)

    async def test_a_link_that_comes_back_while_it_is_left_wins(self, server, directory):
        async with at_work(server) as pool:
            await serving(pool, directory, WEB)
            directory.gone[WEB.id] = True
            server.files.refusal = "read-only"
            consider(pool, directory, wanted())
            await until(lambda: not server.addresses.ours)
            consider(pool, directory, wanted(WEB))
            server.files.refusal = ""
            await until(lambda: server.addresses.ours)
            await until(lambda: all(worker.footprint.role is Role.ACTIVE for worker in pool.workers))

    async def test_after_it_was_left_it_can_come_back(self, server, directory):
        async with at_work(server) as pool:
            await serving(pool, directory, WEB)
            directory.gone[WEB.id] = True
            consider(pool, directory, wanted())
            await until(lambda: not pool.workers)
            await serving(pool, directory, WEB)


class TestForTheWholeServer:
    """A set of scope `server` is rendered from all links: it changes and goes only when all of them are known."""

    def test_which_service_seems_gone_is_in_doubt_until_it_leaves(self):
        host = FakeServer().host
        assert not WorkerPool(host, SETTINGS, handover_deps(host), lambda: None).doubting

    async def test_it_is_begun_in_doubt_but_not_changed(self, server, directory):
        other = replace(HOSTS, context=context("half of it", "active"))
        async with at_work(server) as pool:
            consider(pool, directory, wanted(HOSTS, complete=False))
            await until(lambda: server.files.text("/etc/app/hosts.conf") == "conf of all of it, active")
            await until(lambda: HOSTS.id in server.ledger.stored and server.ledger.stored[HOSTS.id].role)
            consider(pool, directory, wanted(other, complete=False))
            await a_while()
            assert server.files.text("/etc/app/hosts.conf") == "conf of all of it, active"
            consider(pool, directory, wanted(other))
            await until(lambda: server.files.text("/etc/app/hosts.conf") == "conf of half of it, active")

    async def test_it_stays_while_a_link_is_not_understood(self, server, directory):
        directory.gone[HOSTS.id] = True
        async with at_work(server) as pool:
            await serving(pool, directory, HOSTS)
            consider(pool, directory, wanted(complete=False))
            await a_while()
            assert server.files.contents
            consider(pool, directory, wanted())
            await until(lambda: not pool.workers)
            assert server.files.contents == {}

    async def test_a_service_that_seems_gone_is_a_doubt_until_that_is_confirmed(self, server, directory):
        async with at_work(server) as pool:
            await serving(pool, directory, WEB, HOSTS)
            consider(pool, directory, wanted(HOSTS))
            assert pool.doubting
            directory.gone[WEB.id] = True
            await until(lambda: not pool.doubting)


class TestOrphans:
    ORPHAN = placed("192.0.2.66/24")

    async def dropped(self, server, directory, found):
        server.addresses.there |= {self.ORPHAN: True, placed("192.0.2.77/24"): False}
        async with at_work(server) as pool:
            consider(pool, directory, found)
            await a_while()
        return self.ORPHAN not in server.addresses.there

    async def test_an_address_that_nothing_knows_is_dropped(self, server, directory):
        assert await self.dropped(server, directory, wanted())
        assert server.addresses.there == {placed("192.0.2.77/24"): False}

    async def test_one_that_cannot_be_dropped_is_said_and_ends_nothing(self, server, directory, caplog):
        server.addresses.refused.add(self.ORPHAN)
        assert not await self.dropped(server, directory, wanted())
        assert "cannot drop the address" in caplog.text

    async def test_not_while_anything_is_in_doubt(self, server, directory):
        assert not await self.dropped(server, directory, wanted(complete=False))

    async def test_not_one_that_a_goal_wants(self, server, directory):
        server.sets.sets.clear()
        assert not await self.dropped(server, directory, wanted(goal("one", Role.ACTIVE, "192.0.2.66/24")))

    async def test_not_one_that_the_ledger_knows(self, server, directory):
        server.ledger.stored[GoalId("x")] = Footprint("x", Role.ACTIVE, addresses=frozenset({self.ORPHAN}))
        assert not await self.dropped(server, directory, wanted())

    async def test_later_when_all_is_known(self, server, directory):
        server.addresses.there[self.ORPHAN] = True
        async with at_work(server) as pool:
            consider(pool, directory, wanted(complete=False))
            await a_while()
            consider(pool, directory, wanted())
            await until(lambda: not server.addresses.there)


class TestAddedAnew:
    """An entry that was deleted and added again has another identity and the same name."""

    AGAIN = replace(WEB, id=GoalId("another uuid"))

    async def test_what_it_had_here_goes_over_without_interruption(self, server, directory):
        directory.gone[WEB.id] = True
        async with at_work(server) as pool:
            await serving(pool, directory, WEB)
            server.take_effects()
            consider(pool, directory, wanted(self.AGAIN), deleted=[WEB.id])
            await until(lambda: WEB.id not in server.ledger.stored)
            await a_while()
            assert server.take_effects() == []
            assert [worker.goal for worker in pool.workers] == [self.AGAIN.id]
            assert server.ledger.stored.keys() == {self.AGAIN.id}

    async def test_that_the_ledger_cannot_be_kept_does_not_hold_it_up(self, server, directory, caplog):
        async with at_work(server) as pool:
            await serving(pool, directory, WEB)
            server.ledger.refusal = "no space left"
            server.take_effects()
            consider(pool, directory, wanted(self.AGAIN), deleted=[WEB.id])
            await until(lambda: any(worker.report.problems for worker in pool.workers))
            assert "cannot keep the ledger" in caplog.text
            assert server.take_effects() == []
            server.ledger.refusal = ""
            await until(lambda: not any(worker.report.problems for worker in pool.workers))
            assert self.AGAIN.id in server.ledger.stored

    async def test_while_the_old_one_is_acting_the_new_one_ends_up_whole(self, server, directory):
        directory.gone[WEB.id] = True
        server.units.slow.clear()
        async with at_work(server) as pool:
            consider(pool, directory, wanted(WEB))
            await until(lambda: server.addresses.ours)
            consider(pool, directory, wanted(self.AGAIN), deleted=[WEB.id])
            server.units.slow.set()
            await until(lambda: len(pool.workers) == 1)
            (worker,) = pool.workers
            await until(lambda: server.addresses.ours and "/etc/app/one.conf" in server.files.contents)
            await until(lambda: not worker.acting and worker.footprint.role is Role.ACTIVE)

    async def test_a_set_of_the_whole_server_takes_nothing_over(self, server, directory):
        named_alike = replace(HOSTS, name="one")
        async with at_work(server) as pool:
            await serving(pool, directory, WEB)
            consider(pool, directory, wanted(named_alike), deleted=[WEB.id])
            await a_while()
            assert len(pool.workers) == 2
            assert server.addresses.ours

    async def test_two_of_one_name_are_two(self, server, directory):
        async with at_work(server) as pool:
            await serving(pool, directory, WEB)
            consider(pool, directory, wanted(self.AGAIN))
            await a_while()
            assert len(pool.workers) == 2


class TestNudges:
    async def test_a_changed_template_set_reaches_every_service(self, server, directory):
        async with at_work(server) as pool:
            await serving(pool, directory, WEB)
            server.install_set(template_set(), "new")
            pool.nudge_all()
            await until(lambda: server.files.text("/etc/app/one.conf") == "new")

    async def test_units_and_addresses(self, server, directory):
        server.units.watch(lambda: pool.nudge_units())
        server.addresses.watch(lambda: pool.nudge_drifted())
        async with at_work(server) as pool:
            await serving(pool, directory, WEB)
            server.addresses.remove_by_hand(placed())
            await until(lambda: server.addresses.ours)
            server.units.dies("web")
            await until(lambda: server.take_effects()[-1:] == ["start web"])
