"""How often a service has moved for its health, as one server counts it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

from relocd.agent.health.failures import HealthFailures, HealthMoves
from relocd.election.eligibility import OwnershipView
from relocd.election.observation import Eligible, State
from relocd.model.dn import DN
from relocd.model.entries import EntryUUID
from tests.support.plans import goal
from tests.support.virtual_time import run

ME, OTHER, THIRD = map(EntryUUID, ("me", "other", "third"))
WEB = goal()
MOST = 2


class Counting(HealthMoves):
    """What this server counts; `failed` are the others that publish that the service has failed there."""

    def __init__(self) -> None:
        self.failures, self.failed = HealthFailures(600), set()
        super().__init__(self.failures, self._asked, MOST)

    async def _asked(self, _goal, server, _not_before):
        return server in self.failed

    def see(self, holder, generation):
        ownership = OwnershipView(ME, DN.parse("cn=web"), State(holder, generation=generation), None, Eligible())
        self.note(replace(WEB, ownership=ownership))


@asynccontextmanager
async def counting():
    moves = Counting()
    task = asyncio.create_task(moves.run())
    try:
        yield moves
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def in_virtual_time(play):
    async def whole():
        async with counting() as moves:
            await play(moves)

    return lambda: run(whole)


@in_virtual_time
async def test_a_move_counts_when_the_former_holder_publishes_soon_that_it_failed_there(moves):
    moves.see(OTHER, 1)
    moves.see(THIRD, 2)
    moves.failed.add(OTHER)
    moves.see(OTHER, 3)
    moves.see(ME, 4)
    await asyncio.sleep(2)
    assert moves.is_spent(WEB.id)


@in_virtual_time
async def test_a_move_of_a_healthy_service_does_not(moves):
    for generation, holder in enumerate((OTHER, THIRD, OTHER, ME, OTHER, ME)):
        moves.see(holder, generation)
    await asyncio.sleep(2)
    assert not moves.is_spent(WEB.id)


@in_virtual_time
async def test_this_server_knows_its_own_failures_at_once(moves):
    moves.failures.fail(WEB.id, "HTTP 500")
    moves.see(ME, 1)
    moves.see(OTHER, 2)
    moves.see(ME, 3)
    assert not moves.is_spent(WEB.id)
    moves.see(OTHER, 4)
    assert moves.is_spent(WEB.id)


@in_virtual_time
async def test_a_move_counts_for_ten_minutes(moves):
    moves.failures.fail(WEB.id, "HTTP 500")
    moves.see(ME, 1)
    moves.see(OTHER, 2)
    moves.see(ME, 3)
    await asyncio.sleep(300)
    moves.see(OTHER, 4)
    assert (moves.is_spent(WEB.id), moves.left_s(WEB.id)) == (True, 300)
    await asyncio.sleep(300)
    assert (moves.is_spent(WEB.id), moves.left_s(WEB.id)) == (False, None)


@in_virtual_time
async def test_what_is_no_move_is_not_counted(moves):
    """A first look, a holder that stays, one that was none before, and a backup that was restored."""
    moves.failures.fail(WEB.id, "HTTP 500")
    for holder, generation in ((ME, 5), (ME, 6), (None, 7), (ME, 8), (OTHER, 3), (ME, 3)):
        moves.see(holder, generation)
    await asyncio.sleep(2)
    moves.see(OTHER, 4)
    assert not moves.is_spent(WEB.id)


@in_virtual_time
async def test_the_problem_says_why_it_stays(moves):
    assert moves.problem(WEB.id) == ""
    moves.failures.fail(WEB.id, "HTTP 500")
    assert "HTTP 500" in moves.problem(WEB.id)
    assert "2 times" not in moves.problem(WEB.id)
    for generation, holder in enumerate((ME, OTHER, ME, OTHER), 1):
        moves.see(holder, generation)
    assert "2 times" in moves.problem(WEB.id)


@in_virtual_time
async def test_nothing_is_kept_of_a_goal_that_is_gone(moves):
    moves.failures.fail(WEB.id, "HTTP 500")
    for generation, holder in enumerate((ME, OTHER, ME, OTHER), 1):
        moves.see(holder, generation)
    moves.forget(WEB.id)
    assert not moves.is_spent(WEB.id)
