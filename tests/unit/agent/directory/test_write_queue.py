"""The writes of all services wait for each other and not for long in front of the agent's heartbeat."""

from __future__ import annotations

import asyncio

import pytest

from relocd.agent.directory.write_queue import WriteQueue
from relocd.model.dn import DN
from relocd.model.writes import Delete, Done, Modification
from tests.support.fakes import until

AT_ONCE = 4
WRITES = [Modification(DN.parse(f"cn={number}"), (Delete("relocHolder", (b"me",)),)) for number in range(3 * AT_ONCE)]


class HeldWriter:
    """A directory that answers no write before it is told to."""

    def __init__(self):
        self.asked = []
        self.answer = asyncio.Event()

    async def apply(self, write):
        self.asked.append(write.dn)
        await self.answer.wait()
        return Done()

    async def create(self, dn, _attributes):
        self.asked.append(dn)
        await self.answer.wait()
        return Done()

    async def reach(self):
        """It answers."""


@pytest.fixture
async def held():
    return HeldWriter()


@pytest.fixture
async def waiting(held):
    """More writes than may be under way, and a directory that holds the first ones."""
    queue = WriteQueue(held)
    async with asyncio.TaskGroup() as group:
        yield queue, [group.create_task(queue.apply(write)) for write in WRITES]
        held.answer.set()


async def test_few_are_under_way_at_once_and_all_are_made_in_their_order(held, waiting):
    _, tasks = waiting
    await until(lambda: len(held.asked) == AT_ONCE)
    held.answer.set()
    assert await asyncio.gather(*tasks) == [Done()] * len(WRITES)
    assert held.asked == [write.dn for write in WRITES]


async def test_one_that_is_given_up_while_it_waits_is_not_made(held, waiting):
    queue, tasks = waiting
    await until(lambda: len(held.asked) == AT_ONCE)
    tasks[-1].cancel()
    created = asyncio.create_task(queue.create(DN.parse("cn=new"), {}))
    held.answer.set()
    assert await created == Done()
    assert held.asked == [*(write.dn for write in WRITES[:-1]), DN.parse("cn=new")]


async def test_that_the_directory_answers_is_asked_in_front_of_them(held, waiting):
    queue, _ = waiting
    await until(lambda: len(held.asked) == AT_ONCE)
    async with asyncio.timeout(10):
        await queue.reach()
    assert len(held.asked) == AT_ONCE
