"""A write of unknown outcome is sent until it is answered, before anything else is written."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from relocd.agent.handover import writes as module
from relocd.agent.handover.writes import Writes
from relocd.election.observation import State
from relocd.election.steps import BecomeCandidate, SwapIn
from relocd.election.writes import write_of
from relocd.errors import Failed, Unavailable
from relocd.model.entries import EntryUUID
from relocd.model.writes import Unknown
from tests.support.clock import Clock
from tests.support.entries import server, service, state
from tests.support.fake_directory import FakeDirectory
from tests.unit.election.ownerships import ownership_of

ME = EntryUUID("me")
VACANT = State(generation=7)
TAKE = write_of(SwapIn(VACANT, ME, ""), ownership_of(VACANT))
CREATE = write_of(BecomeCandidate(State(), ME, ""), ownership_of(None))
ASK = write_of(BecomeCandidate(VACANT, ME, ""), ownership_of(VACANT))
PROMPT_S = 0.05
BEFORE, TAKEN = (None, None, None, 7), ("me", None, None, 8)
DOUBT = "the outcome of a write is unknown: no answer"


@pytest.fixture
def directory():
    return FakeDirectory(service("web"), server("me"), server("twin"), state("web", generation=7))


@pytest.fixture
def writes(directory):
    return Writes(directory.writer, PROMPT_S)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    clock.set_in(monkeypatch, module)
    return clock


def held(directory):
    return directory.model.named_state("web")


async def test_one_that_is_done_leaves_nothing_to_settle(directory, writes):
    assert await writes.send(TAKE, "view") == ""
    assert held(directory) == TAKEN
    assert await writes.settle(steady=True) == ""
    assert held(directory) == TAKEN


async def test_one_that_is_lost_is_no_problem_and_leaves_nothing_to_settle(directory, writes):
    directory.put(state("web", holder="twin", generation=8))
    assert await writes.send(TAKE, "view") == ""
    directory.put(state("web", generation=7))
    assert await writes.settle(steady=True) == ""
    assert held(directory) == BEFORE


@pytest.mark.parametrize("error", [Unavailable("no server answers"), Failed("insufficient access")])
async def test_one_that_was_never_written_is_a_problem_and_leaves_nothing_to_settle(directory, writes, error):
    directory.writer.refusal = error
    assert await writes.send(TAKE, "view") == str(error)
    directory.writer.refusal = None
    assert await writes.settle(steady=True) == ""
    assert held(directory) == BEFORE


async def settled(writes):
    """What is still unknown when no copy can be on its way any more."""
    await asyncio.sleep(PROMPT_S)
    return await writes.settle(steady=True)


class TestUnknown:
    async def test_one_that_was_not_carried_out_is_done_when_it_is_sent_again(self, directory, writes):
        directory.writer.lost_requests = True
        assert await writes.send(TAKE, "view") == DOUBT
        assert held(directory) == BEFORE
        directory.writer.lost_requests = False
        assert await settled(writes) == ""
        assert held(directory) == TAKEN

    async def test_one_that_was_carried_out_is_lost_when_it_is_sent_again_and_done_once(self, directory, writes):
        directory.writer.lost_answers = True
        assert await writes.send(TAKE, "view") == DOUBT
        directory.writer.lost_answers = False
        assert await settled(writes) == ""
        assert held(directory) == TAKEN
        assert len(directory.writer.written) == 1

    async def test_one_that_somebody_was_faster_than_changes_nothing(self, directory, writes):
        directory.writer.lost_requests = True
        await writes.send(TAKE, "view")
        directory.writer.lost_requests = False
        directory.put(state("web", holder="twin", generation=8))
        assert await settled(writes) == ""
        assert held(directory) == ("twin", None, None, 8)

    async def test_a_change_of_holder_waits_until_this_server_is_steady(self, directory, writes):
        directory.writer.lost_requests = True
        await writes.send(TAKE, "view")
        directory.writer.lost_requests = False
        assert "once the own heartbeat is steady" in await writes.settle(steady=False)
        assert held(directory) == BEFORE
        assert await settled(writes) == ""
        assert held(directory) == TAKEN

    async def test_what_keeps_the_holder_waits_for_nothing(self, directory, writes):
        directory.writer.lost_requests = True
        await writes.send(ASK, "view")
        directory.writer.lost_requests = False
        assert await writes.settle(steady=False) == ""
        assert held(directory) == (None, "me", None, 7)

    async def test_what_is_given_as_again_is_sent_in_its_place(self, directory, writes):
        directory.writer.lost_requests = True
        await writes.send(TAKE, "view", ASK)
        directory.writer.lost_requests = False
        assert await settled(writes) == ""
        assert held(directory) == (None, "me", None, 7)

    async def test_nothing_is_done_while_a_copy_of_a_change_of_holder_may_be_on_its_way(self, directory, writes, clock):
        directory.writer.lost_requests = True
        await writes.send(TAKE, "view")
        directory.writer.lost_requests = False
        assert await writes.settle(steady=True) == "a write of unknown outcome may still be on its way"
        clock.now += PROMPT_S
        assert await writes.settle(steady=True) == ""
        assert len(directory.writer.written) == 1

    @pytest.mark.parametrize(("sent_before_s", "left_s"), [(0.04, 0.01), (None, PROMPT_S)])
    async def test_its_way_begins_when_it_is_sent_however_long_it_waited_for_others(
        self, directory, writes, clock, monkeypatch, sent_before_s, left_s
    ):
        async def waits_and_gets_no_answer(_):
            clock.now += 10.0
            return Unknown("no answer", sent_before_s and clock.now - sent_before_s)

        monkeypatch.setattr(directory.writer, "apply", waits_and_gets_no_answer)
        await writes.send(TAKE, "view")
        monkeypatch.undo()
        clock.set_in(monkeypatch, module)
        clock.now += left_s - 0.001
        assert await writes.settle(steady=True) == "a write of unknown outcome may still be on its way"
        clock.now += 0.002
        assert await settled(writes) == ""

    async def test_a_creation_that_was_carried_out_exists(self, directory, writes):
        directory.delete(state("web").uuid)
        directory.writer.lost_answers = True
        assert await writes.send(CREATE, "view") == DOUBT
        directory.writer.lost_answers = False
        assert await settled(writes) == ""
        assert held(directory) == (None, "me", None, 0)

    async def test_it_is_sent_until_it_is_answered_at_once_and_then_with_growing_pauses(self, directory, writes, clock):
        directory.writer.lost_requests = True
        await writes.send(TAKE, "view")
        for pause_s in (PROMPT_S / 2, PROMPT_S, PROMPT_S * 2, PROMPT_S * 4, PROMPT_S * 4):
            assert await writes.settle(steady=True) == DOUBT
            assert "sent again soon" in await writes.settle(steady=True)
            assert writes.resent_s(0.0) == pytest.approx(pause_s)
            clock.now += pause_s
        directory.writer.lost_requests = False
        assert await settled(writes) == ""
        assert held(directory) == TAKEN

    async def test_a_directory_that_cannot_be_reached_answers_nothing(self, directory, writes):
        directory.writer.lost_requests = True
        await writes.send(TAKE, "view")
        directory.writer.lost_requests, directory.writer.refusal = False, Unavailable("no server answers")
        assert await writes.settle(steady=True) == "no server answers"
        directory.writer.refusal = None
        assert await settled(writes) == ""
        assert held(directory) == TAKEN


class TestAwaited:
    """What was written by a view is not written again by the same view, before it can have come back."""

    @pytest.fixture(autouse=True)
    def turned(self, clock):
        """The time goes by the test's clock."""

    async def test_it_is_waited_for_a_second_at_most(self, writes, clock):
        assert writes.awaited_s(VACANT) == 0
        await writes.send(TAKE, VACANT)
        assert writes.awaited_s(VACANT) == 1
        clock.now += 0.75
        assert writes.awaited_s(VACANT) == 0.25
        clock.now += 0.75
        assert writes.awaited_s(VACANT) == 0

    async def test_an_equal_view_is_the_same_and_another_is_not(self, writes):
        await writes.send(TAKE, VACANT)
        assert writes.awaited_s(replace(VACANT)) == 1
        assert writes.awaited_s(State(generation=8)) == 0

    async def test_what_was_never_written_is_not_waited_for(self, directory, writes):
        directory.writer.refusal = Unavailable("no server answers")
        await writes.send(TAKE, VACANT)
        assert writes.awaited_s(VACANT) == 0
