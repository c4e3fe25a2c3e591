"""The agent killed at any step: the next run, with what the ledger has kept, reaches the same end."""

from __future__ import annotations

import pytest

from relocd.agent.convergence.converge import converge, leave
from relocd.model.template_set import FileSpec, Role, UnitSpec
from relocd.reconcile.desired import Footprint
from tests.support.fakes import FakeServer, Killed
from tests.support.plans import context, goal, template_set

ADDRESSES = ("192.0.2.10/24", "2001:db8::10/64")
ACTIVE, STANDBY = goal("one", Role.ACTIVE, *ADDRESSES), goal("one", Role.STANDBY, *ADDRESSES)
CHANGED = goal("one", Role.ACTIVE, "192.0.2.11/24", context=context("changed", "active"))
BOTH = frozenset(Role)
SET = template_set(
    files=(FileSpec("a", "/etc/app/{name}.conf", roles=BOTH), FileSpec("b", "/etc/app/{name}.live")),
    units=(UnitSpec("db"), UnitSpec("web-{name}")),
)


async def wish(server, wanted):
    """What a worker does that finds a footprint in the ledger."""
    footprint = server.ledger.stored.get(ACTIVE.id)
    if wanted is not None:
        return await converge(server.host, wanted, footprint or Footprint("one"))
    return await leave(server.host, ACTIVE.id, footprint, "no longer linked") if footprint else None


async def server_after(*wishes):
    server = FakeServer()
    server.install_set(SET, "conf of {service[name]}, {role}")
    for wanted in wishes:
        await wish(server, wanted)
    return server


PATHS = [
    pytest.param([], ACTIVE, id="activate"),
    pytest.param([], STANDBY, id="standby"),
    pytest.param([STANDBY], ACTIVE, id="standby to active"),
    pytest.param([ACTIVE], STANDBY, id="active to standby"),
    pytest.param([ACTIVE], CHANGED, id="change"),
    pytest.param([ACTIVE], None, id="leave active"),
    pytest.param([STANDBY], None, id="leave standby"),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("past", "wanted"), PATHS)
async def test_killed_at_each_step_and_started_again_it_reaches_the_same_end(past, wanted, after):
    expected = await server_after(*past, wanted)
    number = 0
    while True:
        server = await server_after(*past)
        server.world.ends_at, server.world.ends_after = len(server.world.effects) + number, after
        try:
            await wish(server, wanted)
        except Killed:
            number += 1
        else:
            break
        server.world.ends_at = None
        await wish(server, wanted)
        assert server.state() == expected.state()
    assert number >= 3


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_killed_at_each_step_and_wished_away_meanwhile_nothing_is_left(after):
    for number in range(8):
        server = await server_after()
        server.world.ends_at, server.world.ends_after = number, after
        with pytest.raises(Killed):
            await wish(server, ACTIVE)
        server.world.ends_at = None
        await wish(server, None)
        assert server.state() == ({}, set(), set(), {})


async def test_a_reload_that_the_crash_prevented_is_made_up_for():
    server = await server_after(ACTIVE)
    server.take_effects()
    server.world.ends_at, server.world.ends_after = 2, True  # kept, dropped, installed
    with pytest.raises(Killed):
        await wish(server, CHANGED)
    server.world.ends_at = None
    await wish(server, CHANGED)
    assert {"reload web-one", "restart db"} & set(server.take_effects())
