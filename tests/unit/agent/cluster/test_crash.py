"""An agent killed at any step of a move and started again: the move ends as if nothing had happened, and never two.

All the crashes of one side are tried at once, each in a cluster of its own: most of the time is spent waiting.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.support.fakes import until
from tests.unit.agent.cluster.cluster import BOTH, SOON_S, running_cluster


def has_moved(lab):
    """Whether the newcomer serves, and nothing is left of it where it was."""
    return lab.is_settled("twin") and lab.links() == {"twin"} and not lab.me.server.ledger.stored


async def effects_of_a_move(side):
    """How many effects a move that nothing disturbs has on one side."""
    async with running_cluster(*BOTH) as lab:
        await lab.serves("me")
        before = len(lab.nodes[side].server.world.effects)
        lab.link("twin", "web")
        await until(lambda: has_moved(lab), SOON_S)
        return len(lab.nodes[side].server.world.effects) - before


async def move_with_a_crash(lab, side, number, *, after):
    """Begin a move, and kill the agent of one side at its effect of that number; whether it came to that."""
    await lab.serves("me")
    world, agent = lab.nodes[side].server.world, lab.nodes[side].task
    world.ends_at, world.ends_after = len(world.effects) + number, after
    lab.link("twin", "web")
    await until(lambda: agent.done() or has_moved(lab), SOON_S)
    world.ends_at = None
    return agent.done()


async def moved_in_spite_of(side, number, *, after):
    """Move, with an agent that dies and is started again; whether it came to that."""
    async with running_cluster(*BOTH) as lab:
        died = await move_with_a_crash(lab, side, number, after=after)
        await lab.nodes[side].stop()
        lab.nodes[side].start()
        await until(lambda: has_moved(lab), SOON_S)
        return died


async def taken_in_spite_of(number, *, after):
    """Move, from a server that is lost on the way; whether it came to that."""
    async with running_cluster(*BOTH) as lab:
        died = await move_with_a_crash(lab, "me", number, after=after)
        await lab.me.power_off()
        await lab.serves("twin")
        lab.me.said.status = {}
        lab.me.start()
        await until(lambda: lab.me.said.status.get("directory", {}).get("state") == "current")
        await until(lambda: has_moved(lab), SOON_S)
        return died


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("side", ["me", "twin"], ids=["the holder", "the newcomer"])
async def test_killed_at_each_step_and_started_again_the_move_ends_where_it_should(side, after):
    number = await effects_of_a_move(side)
    died = await asyncio.gather(*(moved_in_spite_of(side, each, after=after) for each in range(number)))
    assert number >= 6
    assert sum(died) >= number - 2, "what the old one does last depends on what it hears first"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_with_the_holders_server_lost_at_each_step_the_newcomer_takes_over(after):
    number = await effects_of_a_move("me")
    died = await asyncio.gather(*(taken_in_spite_of(each, after=after) for each in range(number)))
    assert sum(died) >= number - 2
