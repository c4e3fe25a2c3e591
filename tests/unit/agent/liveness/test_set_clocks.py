"""The provider's clock is set while heartbeats are compared, and what looking for the first time costs."""

from __future__ import annotations

import pytest

from relocd.agent.liveness import failure_detector as detector_module
from relocd.agent.liveness import heartbeat as heartbeat_module
from relocd.election.observation import Life
from relocd.errors import Unavailable
from tests.support.clock import Clock
from tests.support.fakes import until
from tests.unit.agent.liveness.court import Court


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    clock.set_in(monkeypatch, heartbeat_module, detector_module)
    return clock


async def dies_after_a_lease(court):
    """The holder is dead a lease after the first look, which is now, and not before."""
    await court.life()
    await court.passes(9.9)
    assert await court.life() is Life.SUSPECT
    await court.passes(0.2)
    assert await court.life() is Life.DEAD


class TestSetClock:
    """The provider's clock is set; whatever its stamps seem to say then, nobody who lives is taken for dead.

    I never looked at the holder before, or my own watching would tell.
    """

    @pytest.fixture
    async def court(self, clock):
        court = Court(clock)
        await court.confirm()
        await court.passes(30, looks=False)
        return court

    @pytest.mark.parametrize("late_s", [0.1, 2.4])
    @pytest.mark.parametrize("forward_s", [11, 7200])
    async def test_forward_after_the_last_heartbeat(self, court, forward_s, late_s):
        court.beats()
        court.set_clock(forward_s)
        for _ in range(3):
            await court.passes(late_s / 3)
            assert await court.life() is not Life.DEAD

    @pytest.mark.parametrize("forward_s", [11, 7200])
    async def test_forward_before_my_own_last_heartbeat(self, court, forward_s):
        court.beats()
        court.clock.now += 0.1
        court.set_clock(forward_s)
        await court.confirm()
        assert await court.life() is Life.SUSPECT
        await court.confirm()
        assert await court.life() is Life.SUSPECT

    async def test_back_before_the_last_heartbeat(self, court):
        court.set_clock(-7200)
        court.clock.now += 0.1
        court.beats()
        assert await court.life() is Life.SUSPECT, "its stamp seems two hours old"
        court.clock.now += 0.1
        await court.confirm()
        assert await court.life() is Life.ALIVE

    async def test_back_and_right_again(self, court):
        court.set_clock(-7200)
        court.clock.now += 0.1
        await court.confirm()
        court.beats()
        court.clock.now += 2.4
        court.set_clock(7200)
        await court.confirm()
        assert await court.life() is Life.SUSPECT
        court.clock.now += 0.1
        await court.confirm()
        assert await court.life() is Life.SUSPECT
        court.beats()
        court.clock.now += 0.1
        assert await court.life() is Life.ALIVE

    async def test_a_stamp_from_before_it_was_set_proves_death_once_it_is_a_lease_old(self, court):
        court.beats()
        court.set_clock(7200)
        court.clock.now += 1
        await court.confirm()
        await court.passes(8.9)
        assert await court.life() is Life.SUSPECT
        await court.passes(0.2)
        assert await court.life() is Life.DEAD

    @pytest.mark.parametrize("set_s", [-7200, -11, 11, 7200])
    async def test_a_dead_holder_is_dead_a_lease_after_the_first_look_at_the_latest(self, court, set_s):
        court.beats()
        court.clock.now += 11
        court.set_clock(set_s)
        await court.life()
        await court.passes(10)
        assert await court.life() is Life.DEAD


class TestFirstLook:
    """How soon a holder that is dead for long is found dead by an agent that looks at it for the first time."""

    @pytest.fixture
    def court(self, clock):
        court = Court(clock)
        court.beats()
        clock.now += 60
        return court

    async def test_an_agent_that_has_run_for_a_lease_needs_one_heartbeat_of_its_own(self, court):
        await court.confirm()
        await court.passes(10, looks=False)
        life, _, again_s = await court.asked()
        assert life is Life.SUSPECT
        assert again_s < 0.1
        court.clock.now += 0.01
        await court.confirm()
        assert await court.life() is Life.DEAD

    async def test_that_heartbeat_is_asked_for(self, court):
        await court.confirm()
        await court.passes(10, looks=False)
        before, task = court.heart.entry, court.heart.run()
        await until(lambda: court.heart.entry != before)
        before = court.heart.entry
        await court.life()
        await until(lambda: court.heart.entry != before, 1.0)
        await court.heart.end(task)

    async def test_one_that_has_just_begun_waits_for_a_lease(self, court):
        await court.confirm()
        await dies_after_a_lease(court)

    async def test_so_does_one_that_was_silent_itself_for_a_lease(self, court):
        """The clock may have been set more than once meanwhile."""
        await court.confirm()
        await court.passes(20, looks=False)
        court.clock.now += 10.1
        await court.confirm()
        await dies_after_a_lease(court)

    async def test_a_shorter_outage_costs_nothing(self, court):
        await court.confirm()
        await court.passes(20, looks=False)
        court.clock.now += 9.9
        await court.confirm()
        await court.life()
        court.clock.now += 0.1
        await court.confirm()
        assert await court.life() is Life.DEAD

    async def test_nothing_is_proved_while_my_own_heartbeats_do_not_come_back(self, court):
        await court.confirm()
        await court.passes(10, looks=False)
        for _ in range(3):
            court.clock.now += 3
            assert await court.life() is Life.SUSPECT


class TestSilence:
    """Of a server that holds nothing, so that there is nothing to ask for on the network."""

    @pytest.fixture
    async def court(self, clock):
        court = Court(clock)
        await court.confirm()
        await court.passes(30, looks=False)
        court.beats("third")
        return court

    @pytest.mark.parametrize("forward_s", [11, 7200])
    async def test_one_that_lives_is_not_silent_when_the_clock_is_set_forward(self, court, forward_s):
        court.set_clock(forward_s)
        for _ in range(3):
            await court.passes(0.1)
            assert not await court.silent("third")

    async def test_one_that_has_left_none_for_a_lease_is(self, court):
        await court.passes(9.9)
        assert not await court.silent("third")
        await court.passes(0.2)
        assert await court.silent("third")

    async def test_one_that_was_never_heard_is_once_it_was_watched_for_a_lease(self, clock):
        court = Court(clock)
        await court.confirm()
        assert not await court.silent("third")
        for _ in range(5):
            await court.passes(2.1)
            last = await court.silent("third")
        assert last

    async def test_one_whose_status_cannot_be_read_is_not(self, court):
        await court.passes(30)
        court.heart.directory.reader.refusal = Unavailable("no server answers")
        assert not await court.silent("third")
