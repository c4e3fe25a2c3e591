"""Checks of the whole server count for every service."""

from __future__ import annotations

import asyncio

from relocd.model.settings import ServerCheck
from tests.unit.agent.health.world import WEB, World


def test_a_program_that_fails_fails_every_service_until_it_succeeds_again():
    world = World()

    async def acts():
        world.lab.server.commands.failing.add("look")
        await asyncio.sleep(8)
        assert "look" in world.lab.failures.failed(WEB)
        assert world.failed is None
        world.lab.server.commands.failing.clear()
        await asyncio.sleep(5)
        assert world.lab.failures.failed(WEB) is None

    world.play(acts, ServerCheck(command=("look",)))


def test_while_it_has_failed_but_not_often_enough_nothing_is_taken_over_here():
    world = World()

    async def acts():
        world.lab.server.commands.failing.add("look")
        await asyncio.sleep(3)
        assert "look" in world.lab.failures.doubt
        assert world.lab.failures.failed(WEB) is None
        await asyncio.sleep(5)
        assert world.lab.failures.doubt == ""
        assert world.lab.failures.failed(WEB)

    world.play(acts, ServerCheck(command=("look",)))


def test_a_gateway_that_does_not_answer():
    world = World()
    world.lab.server.wire.answering["192.0.2.254"] = "02:00:00:00:00:01"

    async def acts():
        assert world.lab.failures.failed(WEB) is None
        world.lab.server.wire.answering.clear()
        await asyncio.sleep(8)
        assert "no answer within 1 s" in world.lab.failures.failed(WEB)

    world.play(acts, ServerCheck(ping="192.0.2.254"))


def test_an_interface_without_a_carrier():
    world = World()

    async def acts():
        assert world.lab.failures.failed(WEB) is None
        await asyncio.sleep(15)
        assert "eth9" in world.lab.failures.failed(WEB)

    world.play(acts, ServerCheck(interface="eth9"), ServerCheck(interface="eth0"))
