"""The handover rules in random schedules: none may break an invariant, and each broken rule must break one."""

from __future__ import annotations

import pytest

from tests.simulation.mutants import CAUGHT, UNSEEN, right
from tests.simulation.schedule import Violation, run, shrunk

SCHEDULES = 5000
PATIENCE = 3000


def first_violation(make, schedules: int) -> int | None:
    for seed in range(schedules):
        try:
            run(seed, make)
        except Violation:
            return seed
    return None


@pytest.mark.parametrize("part", range(5))
def test_no_schedule_breaks_an_invariant(part):
    for seed in range(part * SCHEDULES // 5, (part + 1) * SCHEDULES // 5):
        run(seed, right)


@pytest.mark.parametrize("name", CAUGHT)
def test_each_broken_rule_is_caught(name):
    assert first_violation(CAUGHT[name], PATIENCE) is not None


@pytest.mark.parametrize("name", UNSEEN)
def test_what_no_schedule_can_tell_apart_is_named(name):
    """When a schedule learns to tell it apart, it belongs among the caught ones."""
    make, reason = UNSEEN[name]
    assert reason
    assert first_violation(make, 500) is None


def test_a_violation_is_shrunk_to_a_short_trace():
    make = CAUGHT["R8 one witness is enough"]
    seed = first_violation(make, PATIENCE)
    assert seed is not None
    violation = shrunk(seed, make)
    assert violation is not None
    assert "active on" in str(violation)
