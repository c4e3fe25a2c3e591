"""The releases of many services: the directory is asked for all of them whether it answers, and few drop at once."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from relocd.agent.handover import releases as module
from relocd.agent.handover.releases import Releases
from relocd.errors import Unavailable
from tests.support.clock import Clock
from tests.support.entries import server
from tests.support.fake_directory import FakeDirectory
from tests.support.fakes import until

AT_ONCE = 4
SEVERAL_TURNS_S = 0.2


@pytest.fixture
def directory():
    return FakeDirectory(server("me"))


@pytest.fixture
def releases(directory):
    return Releases(directory.writer)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    clock.set_in(monkeypatch, module)
    return clock


async def test_that_the_directory_has_answered_counts_for_a_moment_only(directory, releases, clock):
    await releases.reach()
    directory.writer.unreachable = Unavailable("no server answers")
    clock.now += 0.04
    await releases.reach()
    clock.now += 0.02
    with pytest.raises(Unavailable):
        await releases.reach()


class TestAskedEarly:
    """The question is under way before the service is released, and nothing waits for it until then."""

    @pytest.fixture
    def asked(self, directory, monkeypatch):
        """When the directory was asked."""
        asked, reach = [], directory.writer.reach

        async def noted():
            asked.append(None)
            await reach()

        monkeypatch.setattr(directory.writer, "reach", noted)
        return asked

    async def test_its_answer_counts(self, releases, asked):
        releases.reach_early()
        await until(lambda: asked)
        await releases.reach()
        assert len(asked) == 1

    async def test_one_that_is_under_way_is_waited_for_and_not_repeated(self, releases, asked):
        releases.reach_early()
        releases.reach_early()
        await asyncio.gather(releases.reach(), releases.reach())
        assert len(asked) == 1

    async def test_after_an_error_it_is_asked_again(self, directory, releases, asked):
        directory.writer.unreachable = Unavailable("no server answers")
        releases.reach_early()
        await until(lambda: asked)
        with pytest.raises(Unavailable):
            await releases.reach()
        directory.writer.unreachable = None
        await releases.reach()
        assert len(asked) == 3

    async def test_an_answer_that_is_too_old_does_not_count(self, directory, releases, clock):
        releases.reach_early()
        await releases.reach()
        directory.writer.unreachable = Unavailable("no server answers")
        clock.now += 0.06
        with pytest.raises(Unavailable):
            await releases.reach()


class TestTurns:
    """A service's addresses are dropped in its turn, which ends when the directory has answered its write."""

    @pytest.fixture
    async def begun(self, releases):
        """As many turns as there are at once, each with its write under way."""
        with ExitStack() as stack:
            turns = [stack.enter_context(releases.turn()) for _ in range(AT_ONCE)]
            for turn in turns:
                await turn.begin()
                turn.keep()
            yield turns

    async def test_the_next_one_begins_when_a_write_is_answered(self, releases, begun):
        with releases.turn() as turn:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(SEVERAL_TURNS_S):
                    await turn.begin()
            begun[0].__exit__(None, None, None)
            await turn.begin()

    async def test_one_that_does_not_come_to_its_write_holds_up_none(self, releases):
        with ExitStack() as stack:
            for _ in range(3 * AT_ONCE):
                async with asyncio.timeout(10):
                    await stack.enter_context(releases.turn()).begin()

    async def test_all_addresses_of_a_service_are_dropped_in_one(self, begun):
        async with asyncio.timeout(10):
            await begun[0].begin()

    async def test_one_that_is_given_up_while_it_is_waited_for_is_not_taken(self, releases, begun):
        with releases.turn() as turn:
            waiting = asyncio.create_task(turn.begin())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        for each in begun:
            each.__exit__(None, None, None)
        with ExitStack() as stack:
            for _ in range(AT_ONCE):
                async with asyncio.timeout(10):
                    await stack.enter_context(releases.turn()).begin()

    async def test_no_address_is_dropped_when_the_directory_does_not_answer_by_then(self, directory, releases):
        directory.writer.unreachable = Unavailable("no server answers")
        for _ in range(2 * AT_ONCE):
            with pytest.raises(Unavailable), releases.turn() as turn:
                await turn.begin()
