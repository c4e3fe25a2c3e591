"""For how long a server has been ready to become active again, by its own clock."""

from __future__ import annotations

import pytest

from relocd.agent.health import readiness
from relocd.agent.health.readiness import Readiness
from relocd.model.entries import EntryUUID
from tests.support.clock import Clock
from tests.support.entries import cluster, understood

ACTIVE, OTHER = EntryUUID("active"), EntryUUID("other")
GAP_S, LEAST_S = 10.0, 2.5
PAIR = understood(cluster("pair", relocFailback="60"))
AT_ONCE = understood(cluster("pair", relocFailback="0"))
NEVER = understood(cluster("pair"))


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    clock.set_in(monkeypatch, readiness)
    return clock


@pytest.fixture
def ready(clock):
    return Readiness(GAP_S, LEAST_S)


def passed(clock, ready, seconds, active=ACTIVE):
    """Be ready for so long, and say for how long that is counted."""
    for _ in range(int(seconds)):
        ready.ready_s(PAIR, active)
        clock.now += 1.0
    return ready.ready_s(PAIR, active)


def test_it_counts_from_the_first_note(clock, ready):
    assert ready.ready_s(PAIR, ACTIVE) == 0.0
    assert passed(clock, ready, 60) == 60.0


@pytest.mark.parametrize(
    "gap",
    [
        pytest.param(lambda _, ready: ready.not_ready(PAIR), id="not ready"),
        pytest.param(lambda _, ready: ready.none_ready(), id="no heartbeat"),
        pytest.param(lambda _, ready: ready.ready_s(PAIR, OTHER), id="another active member"),
        pytest.param(lambda clock, _: setattr(clock, "now", clock.now + GAP_S + 0.1), id="suspended"),
    ],
)
def test_it_begins_again_after_a_gap(clock, ready, gap):
    passed(clock, ready, 30)
    gap(clock, ready)
    assert ready.ready_s(PAIR, ACTIVE) == 0.0


def test_a_cluster_without_failback_requires_nothing_and_one_of_zero_seconds_a_moment(ready):
    assert (ready.required_s(NEVER), ready.required_s(AT_ONCE), ready.required_s(PAIR)) == (None, LEAST_S, 60.0)


def failback(clock, ready, lasts_s):
    """Become active, and another one after so long."""
    ready.failed_back(PAIR)
    ready.note_active(PAIR, is_me=False)  # the search has not brought it yet
    for _ in range(int(lasts_s)):
        ready.note_active(PAIR, is_me=True)
        clock.now += 1.0
    ready.note_active(PAIR, is_me=True)
    ready.note_active(PAIR, is_me=False)


def test_a_failback_that_does_not_last_doubles_the_time_until_the_next(clock, ready):
    for times in range(1, 4):
        failback(clock, ready, 5)
        assert ready.required_s(PAIR) == 60.0 * 2**times


def test_one_that_lasts_ends_the_doubling(clock, ready):
    failback(clock, ready, 5)
    failback(clock, ready, 120)
    assert ready.required_s(PAIR) == 60.0


def test_the_doubling_ends_somewhere(clock, ready):
    for _ in range(50):
        failback(clock, ready, 1)
    assert ready.required_s(PAIR) == 60.0 * 1024


def test_what_an_administrator_moves_before_any_failback_doubles_nothing(clock, ready):
    ready.note_active(PAIR, is_me=True)
    ready.note_active(PAIR, is_me=False)
    assert ready.required_s(PAIR) == 60.0
