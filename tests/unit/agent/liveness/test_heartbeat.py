"""A heartbeat counts from when it was sent, once it has come back; what is wrong with it is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relocd import __version__
from relocd.agent.liveness import heartbeat as module
from relocd.errors import Failed, Unavailable
from relocd.model.settings import HandoverSettings
from relocd.model.status import StatusReport
from tests.support.clock import Clock
from tests.support.entries import status
from tests.support.fakes import until
from tests.unit.agent.liveness.heartbeats import SETTINGS, Heart, brought, stamped

NOON = 1_800_000_000.0


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    clock.set_in(monkeypatch, module)
    return clock


@pytest.fixture
def heart(clock):
    return Heart()


class TestEntry:
    async def test_the_first_heartbeat_creates_it(self, heart):
        heart.said = StatusReport({"cn=web": "active"})
        await heart.beat()
        assert heart.value("objectClass") == ["relocServerStatus"]
        assert heart.value("relocActiveService") == ["cn=web"]
        assert (heart.value("relocLease"), heart.value("relocAgentVersion")) == (["10"], [__version__])
        assert len(heart.value("relocHeartbeat")) == 1
        assert heart.heartbeat.problems == ()

    async def test_the_next_one_replaces_what_it_says(self, heart):
        heart.said = StatusReport({"cn=web": "active"}, ("a problem",))
        first = await heart.beat()
        heart.said = StatusReport({"cn=web": "active", "cn=ntp": "active"})
        await heart.beat()
        assert heart.value("relocActiveService") == ["cn=ntp", "cn=web"]
        assert heart.value("relocProblem") == []
        assert heart.entry.attributes["relocheartbeat"] != first.attributes["relocheartbeat"]

    async def test_it_is_written_soon_after_what_it_says_has_changed(self):
        heart = Heart(HandoverSettings(lease_s=3600))
        task = heart.run()
        await until(lambda: heart.entry)
        heart.said = StatusReport(problems=("a problem",))
        heart.heartbeat.beat_soon()
        await until(lambda: heart.value("relocProblem"))
        await heart.end(task)


class TestConfirmation:
    async def test_before_the_first_nobody_hears_of_this_server(self, heart, clock):
        await heart.beat()
        assert not heart.heartbeat.has_begun
        assert (heart.heartbeat.left_s(clock.now), heart.heartbeat.is_current(clock.now)) == (0.0, False)
        assert heart.heartbeat.clock.now_s(clock.now) is None

    async def test_the_lease_counts_from_the_sending_and_not_from_the_coming_back(self, heart, clock):
        entry, sent_at = await heart.beat(), clock.now
        clock.now += 3
        assert heart.confirm(entry, NOON)
        assert heart.heartbeat.has_begun
        assert heart.heartbeat.left_s(clock.now) == SETTINGS.lease_s - 3
        assert heart.heartbeat.is_current(sent_at + 9.9)
        assert not heart.heartbeat.is_current(sent_at + 10)
        assert heart.heartbeat.left_s(sent_at + 20) == 0

    async def test_one_that_comes_back_after_its_lease_renews_nothing(self, heart, clock):
        entry = await heart.beat()
        clock.now += 11
        heart.confirm(entry, NOON)
        assert not heart.heartbeat.is_current(clock.now)

    async def test_one_that_this_agent_has_not_sent_confirms_nothing(self, heart):
        """An earlier run's, or what somebody else wrote."""
        await heart.beat()
        assert not heart.confirm(status("me"), NOON)
        assert not heart.heartbeat.has_begun

    @pytest.mark.parametrize("csn", ["", "tomorrow"])
    async def test_one_without_the_time_of_a_provider_confirms_nothing(self, heart, csn):
        assert not heart.heartbeat.confirm(replace(await heart.beat(), csn=csn), None)

    async def test_an_entry_without_a_heartbeat_confirms_nothing(self, heart):
        entry = await heart.beat()
        assert not heart.confirm(replace(entry, attributes={"cn": (b"status",)}), NOON)

    async def test_each_confirms_once_and_an_older_one_after_a_newer_not_at_all(self, heart, clock):
        first = await heart.beat()
        clock.now += 2
        second = await heart.beat()
        assert heart.confirm(second, NOON)
        left_s = heart.heartbeat.left_s(clock.now)
        assert not heart.confirm(second, NOON + 1)
        assert not heart.confirm(first, NOON + 1)
        assert heart.heartbeat.left_s(clock.now) == left_s

    async def test_an_older_one_confirms_while_the_newer_is_on_its_way(self, heart, clock):
        first = await heart.beat()
        clock.now += 2
        second = await heart.beat()
        assert heart.confirm(first, NOON)
        assert heart.heartbeat.left_s(clock.now) == 8
        assert heart.confirm(second, NOON)
        assert heart.heartbeat.left_s(clock.now) == 10

    async def test_the_time_of_the_provider_goes_on_from_the_last_one_heard(self, heart, clock):
        heart.confirm(await heart.beat(), NOON)
        assert heart.heartbeat.clock.now_s(clock.now + 5) == pytest.approx(NOON + 5)


class TestSteady:
    BEFORE, AFTER = stamped(NOON - 1), stamped(NOON + 1)

    async def test_nothing_is_steady_before_the_first_heartbeat_is_back(self, heart, clock):
        await heart.beat()
        assert not heart.heartbeat.is_steady(clock.now + 5, self.AFTER)

    async def test_with_a_state_from_before_it_has_to_stand_for_half_a_lease(self, heart, clock):
        heart.confirm(await heart.beat(), NOON)
        assert not heart.heartbeat.is_steady(clock.now, self.BEFORE)
        assert not heart.heartbeat.is_steady(clock.now + SETTINGS.steady_s, self.BEFORE)
        assert heart.heartbeat.is_steady(clock.now + SETTINGS.steady_s + 0.1, self.BEFORE)

    async def test_with_a_state_written_since_it_is_steady_at_once(self, heart, clock):
        """Whoever wrote that has seen this server alive."""
        heart.confirm(await heart.beat(), NOON)
        assert heart.heartbeat.is_steady(clock.now, self.AFTER)

    async def test_it_is_not_once_the_lease_is_over(self, heart, clock):
        heart.confirm(await heart.beat(), NOON)
        assert not heart.heartbeat.is_steady(clock.now + 10, self.AFTER)

    async def test_a_state_of_the_future_proves_nothing(self, heart, clock):
        """It was stamped at a provider whose clock is ahead, perhaps before this server was back."""
        heart.confirm(await heart.beat(), NOON)
        assert not heart.heartbeat.is_steady(clock.now, stamped(NOON + 7200))
        assert heart.heartbeat.is_steady(clock.now + SETTINGS.steady_s + 0.1, stamped(NOON + 7200))

    async def away(self, heart, clock):
        """The next heartbeat, after a lease without one; the provider's clock was set back by as much meanwhile."""
        heart.confirm(await heart.beat(), NOON)
        clock.now += 11
        return await heart.beat()

    async def test_a_state_that_was_there_already_was_not_written_since(self, heart, clock):
        """Also where its stamp is the newer one, because the provider's clock was set back."""
        heart.confirm(await self.away(heart, clock), NOON, self.AFTER, "", stamped(NOON - 5))
        assert not heart.heartbeat.is_steady(clock.now, self.AFTER)
        assert heart.heartbeat.is_steady(clock.now, stamped(NOON + 1.1))
        assert heart.heartbeat.is_steady(clock.now + SETTINGS.steady_s + 0.1, self.AFTER)

    async def test_nor_was_one_that_comes_later_in_the_same_refresh(self, heart, clock):
        heart.confirm(await self.away(heart, clock), NOON)
        heart.heartbeat.refreshed(brought(self.AFTER))
        assert not heart.heartbeat.is_steady(clock.now, self.AFTER)
        assert heart.heartbeat.is_steady(clock.now, stamped(NOON + 1.1))

    async def test_one_that_a_later_search_brings_again_was(self, heart, clock):
        heart.confirm(await self.away(heart, clock), NOON)
        heart.heartbeat.search_started()
        heart.heartbeat.refreshed(brought(self.AFTER))
        assert heart.heartbeat.is_steady(clock.now, self.AFTER)

    async def test_a_refresh_before_the_first_heartbeat_says_nothing(self, heart, clock):
        heart.heartbeat.refreshed(brought(self.AFTER))
        heart.confirm(await heart.beat(), NOON)
        assert heart.heartbeat.is_steady(clock.now, self.AFTER)

    async def test_a_state_of_the_future_hinders_no_other_service(self, heart, clock):
        """Its own is waited for as ever: see above."""
        heart.confirm(await self.away(heart, clock), NOON, stamped(NOON + 7200))
        assert heart.heartbeat.is_steady(clock.now, self.AFTER)
        assert not heart.heartbeat.is_steady(clock.now, stamped(NOON + 7200))

    async def test_a_state_of_the_near_future_counts_no_sooner_than_the_heartbeat_is_steady(self, heart, clock):
        heart.confirm(await self.away(heart, clock), NOON, near := stamped(NOON + SETTINGS.steady_s))
        for later_s in (0.0, SETTINGS.steady_s / 2, SETTINGS.steady_s):
            assert not heart.heartbeat.is_steady(clock.now + later_s, near)

    async def test_renewed_in_time_it_stays_steady(self, heart, clock):
        heart.confirm(await heart.beat(), NOON)
        clock.now += 9
        heart.confirm(await heart.beat(), NOON + 9)
        assert heart.heartbeat.is_steady(clock.now, self.BEFORE)

    async def test_missing_for_a_lease_it_begins_anew(self, heart, clock):
        heart.confirm(await heart.beat(), NOON)
        clock.now += 11
        heart.confirm(await heart.beat(), NOON + 11)
        assert not heart.heartbeat.is_steady(clock.now, self.AFTER)
        assert heart.heartbeat.is_steady(clock.now, stamped(NOON + 12))


class TestMissed:
    """A heartbeat that was written and does not come back: the search tells nothing any more."""

    async def later(self, heart, clock, seconds, *, comes_back=False):
        """How often one was missed until the next, which comes so much later."""
        task = heart.run()
        await until(lambda: heart.entry)
        first = heart.entry
        if comes_back:
            heart.confirm(first, NOON)
        clock.now += seconds
        heart.heartbeat.beat_soon()
        await until(lambda: heart.entry != first)
        await heart.end(task)
        return heart.missed

    async def test_after_half_a_lease_it_is_missed(self, heart, clock):
        assert await self.later(heart, clock, 5.1) == 1

    async def test_before_that_it_is_not(self, heart, clock):
        assert await self.later(heart, clock, 4.9) == 0

    async def test_one_that_came_back_is_not(self, heart, clock):
        assert await self.later(heart, clock, 5.1, comes_back=True) == 0

    async def test_one_that_could_not_be_written_is_not(self, heart, clock):
        heart.directory.writer.refusal = Unavailable("no server answers")
        task = heart.run()
        await until(lambda: heart.heartbeat.problem)
        clock.now += 6
        heart.directory.writer.refusal = None
        heart.heartbeat.beat_soon()
        await until(lambda: heart.entry)
        await heart.end(task)
        assert heart.missed == 0


class TestProblems:
    @pytest.mark.parametrize("error", [Unavailable("no server answers"), Failed("insufficient access")])
    async def test_a_refusal_is_a_problem_until_the_next_one_is_written(self, heart, error):
        heart.directory.writer.refusal = error
        task = heart.run()
        await until(lambda: heart.changed == 1)
        (problem,) = heart.heartbeat.problems
        assert str(problem) == (f"heartbeat: {error}; without a heartbeat this server takes over no exclusive service")
        heart.directory.writer.refusal = None
        heart.heartbeat.beat_soon()
        await until(lambda: heart.changed == 2)
        assert heart.heartbeat.problems == ()
        await heart.end(task)

    async def test_a_server_without_an_entry_is_told(self, heart):
        heart.directory.delete(*heart.directory.model.entries)
        task = heart.run()
        await until(lambda: heart.heartbeat.problem)
        assert "does not exist" in heart.heartbeat.problem
        await heart.end(task)

    async def test_one_whose_outcome_is_unknown_is_a_problem_and_counts_when_it_comes_back(self, heart, clock):
        heart.directory.writer.lost_answers = True
        entry = await heart.beat()
        await until(lambda: heart.heartbeat.problem == "no answer")
        assert heart.confirm(entry, NOON)
        assert heart.heartbeat.is_current(clock.now)
