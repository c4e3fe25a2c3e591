"""An agent that starts again goes on from the heartbeats of the one before it; one of a cloned machine is noticed."""

from __future__ import annotations

import pytest

from relocd.agent.liveness import heartbeat as module
from relocd.model.host import SentHeartbeats
from tests.support.clock import Clock
from tests.support.entries import status
from tests.unit.agent.liveness.heartbeats import SETTINGS, Heart, stamped

NOON = 1_800_000_000.0
LONG_AGO = stamped(NOON - 100)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    clock.set_in(monkeypatch, module)
    return clock


@pytest.fixture
async def heart(clock):
    """A server whose heartbeat has stood for long."""
    heart = Heart()
    heart.confirm(await heart.beat(), NOON)
    clock.now += 9
    heart.confirm(await heart.beat(), NOON + 9)
    await heart.beat()
    return heart


class TestRestart:
    """Killed and started again within the lease."""

    async def restarted(self, heart, clock, after_s):
        last = heart.entry
        clock.now += after_s
        heart.restart()
        await heart.beat()
        return last

    async def test_the_last_heartbeat_in_the_directory_counts_from_when_it_was_sent(self, heart, clock):
        last = await self.restarted(heart, clock, 1)
        assert heart.confirm(last, NOON + 9)
        assert heart.heartbeat.left_s(clock.now) == SETTINGS.lease_s - 1

    async def test_who_was_not_silent_for_a_lease_is_steady_once_no_former_write_is_on_its_way(self, heart, clock):
        """Also with a state from long before: the server has stood since then."""
        heart.confirm(await self.restarted(heart, clock, 1), NOON + 9)
        assert not heart.heartbeat.is_steady(clock.now + SETTINGS.prompt_s - 0.1, stamped(NOON + 5))
        assert heart.heartbeat.is_steady(clock.now + SETTINGS.prompt_s + 0.1, stamped(NOON + 5))
        assert heart.heartbeat.is_steady(clock.now + SETTINGS.prompt_s + 0.1, LONG_AGO)

    async def test_a_state_from_before_it_last_came_back_waits_as_ever(self, clock):
        heart = Heart()
        heart.confirm(await heart.beat(), NOON)
        await heart.beat()
        heart.confirm(await self.restarted(heart, clock, 1), NOON + 1)
        assert not heart.heartbeat.is_steady(clock.now + SETTINGS.prompt_s + 0.1, LONG_AGO)
        assert heart.heartbeat.is_steady(clock.now + SETTINGS.prompt_s + 0.1, stamped(NOON + 0.5))

    async def test_after_a_lease_it_begins_anew(self, heart, clock):
        last = await self.restarted(heart, clock, 11)
        assert not heart.confirm(last, NOON + 9)
        heart.confirm(heart.entry, NOON + 20)
        assert not heart.heartbeat.is_steady(clock.now + SETTINGS.prompt_s + 0.1, stamped(NOON + 5))

    async def test_where_the_former_one_was_silent_for_a_lease_it_begins_anew(self, clock):
        """Its last heartbeat is young, but none had come back for too long."""
        heart = Heart()
        heart.confirm(await heart.beat(), NOON)
        clock.now += 11
        await heart.beat()
        heart.confirm(await self.restarted(heart, clock, 1), NOON + 11)
        assert not heart.heartbeat.is_steady(clock.now + SETTINGS.prompt_s + 0.1, stamped(NOON + 5))

    async def test_after_a_boot_nothing_is_known_of_it(self, heart, clock):
        heart.record.kept = SentHeartbeats()
        last = await self.restarted(heart, clock, 1)
        assert not heart.confirm(last, NOON + 9)
        assert not heart.heartbeat.has_begun
        assert heart.heartbeat.is_alone(clock.now)


class TestClone:
    """Two agents go by one server entry."""

    FOREIGN = status("me", heartbeat="20260101000000.5Z")

    async def test_a_heartbeat_that_no_agent_of_this_machine_sent_is_another_agents(self, heart, clock):
        assert not heart.confirm(self.FOREIGN, NOON + 10)
        assert [problem.subject for problem in heart.heartbeat.problems] == ["heartbeat"]
        assert heart.heartbeat.clones == heart.heartbeat.problems
        assert heart.heartbeat.is_current(clock.now)
        assert not heart.heartbeat.is_steady(clock.now, stamped(NOON + 9.1))
        assert not heart.heartbeat.may_take(clock.now)

    async def test_it_is_over_once_none_was_heard_for_a_lease(self, heart, clock):
        heart.confirm(self.FOREIGN, NOON + 10)
        clock.now += SETTINGS.lease_s + 0.1
        heart.confirm(await heart.beat(), NOON + 20)
        assert heart.heartbeat.clones == ()
        assert heart.heartbeat.may_take(clock.now)
        assert heart.heartbeat.is_steady(clock.now, stamped(NOON + 20.1))

    async def test_what_was_there_before_this_run_may_be_of_an_earlier_boot(self, clock):
        heart = Heart()
        assert not heart.confirm(self.FOREIGN, NOON - 1)
        heart.confirm(await heart.beat(), NOON)
        heart.confirm(self.FOREIGN, NOON - 1)
        assert heart.heartbeat.is_alone(clock.now)

    async def test_a_late_heartbeat_of_the_agent_before_is_none(self, heart, clock):
        """It had been sent, and was written after the first one of this agent."""
        last = heart.entry
        clock.now += 1
        heart.restart()
        heart.confirm(await heart.beat(), NOON + 10)
        heart.confirm(last, NOON + 11)
        assert heart.heartbeat.is_alone(clock.now)

    async def test_own_ones_that_were_given_up_as_missed_are_none(self, heart, clock):
        late = await heart.beat()
        for _ in range(40):
            await heart.beat()
        heart.confirm(await heart.beat(), NOON + 20)
        heart.confirm(late, NOON + 21)
        assert heart.heartbeat.is_alone(clock.now)

    async def test_it_is_noticed_also_once_the_clock_of_the_provider_was_set_back(self, heart, clock):
        """Its stamps are older than that of the first heartbeat of this run then."""
        clock.now += 1
        heart.confirm(await heart.beat(), NOON - 3600)
        assert heart.heartbeat.is_alone(clock.now)
        heart.confirm(self.FOREIGN, NOON - 3599)
        assert not heart.heartbeat.is_alone(clock.now)
