"""A question that goes out before the work beside it."""

from __future__ import annotations

import asyncio

import pytest

from relocd.agent.convergence.converge import asked
from relocd.errors import Failed, Unavailable


class Directory:
    """Is asked, and answers or fails when it is told to."""

    def __init__(self) -> None:
        self.told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.is_asked = self.is_given_up = False

    async def ask(self) -> str:
        self.is_asked = True
        try:
            return await self.told
        except asyncio.CancelledError:
            self.is_given_up = True
            raise


@pytest.fixture
async def directory():
    return Directory()


async def test_it_is_out_before_the_block_begins(directory):
    async with asked(directory.ask()) as answer:
        assert (directory.is_asked, answer.done()) == (True, False)
        directory.told.set_result("yes")
        assert await answer == "yes"


async def test_its_error_reaches_who_waits_for_the_answer(directory):
    async with asked(directory.ask()) as answer:
        directory.told.set_exception(Unavailable("no server answers"))
        with pytest.raises(Unavailable):
            await answer


async def test_who_leaves_the_block_without_it_gives_it_up(directory):
    async with asked(directory.ask()):
        pass
    assert directory.is_given_up


async def test_the_blocks_own_error_counts_before_that_of_the_question(directory):
    async def plan():
        async with asked(directory.ask()):
            directory.told.set_exception(Unavailable("no server answers"))
            raise Failed("the plan cannot be made")

    with pytest.raises(Failed):
        await plan()
