"""The handover rules in random schedules: none may break an invariant, and each broken rule must break one."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.simulation import schedule as schedules
from tests.simulation.directory import Content, Write
from tests.simulation.kind import Kind
from tests.simulation.mutants import CAUGHT, UNSEEN, not_reading_fences, right
from tests.simulation.schedule import TICKS, Schedule, Violation, run, schedule, shrunk
from tests.simulation.scripts import fenced_and_back
from tests.simulation.view import Mirrored
from tests.simulation.world import World

SCHEDULES = {1: 4000, 2: 1500}
PARTS = 4
PATIENCE = 3000
GUARANTEES = Path(__file__).parents[2] / "docs" / "guarantees.md"


class Unconditional(World):
    """Two providers for which the conditions are forgotten."""

    def begin_doubt(self) -> None:
        pass


def first_violation(make, providers: int, seeds: int) -> int | None:
    for seed in range(seeds):
        try:
            run(schedule(seed, providers), make)
        except Violation:
            return seed
    return None


def events_in(violation: Violation) -> int:
    return str(violation).count("* ")


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("providers", SCHEDULES)
def test_no_schedule_breaks_an_invariant(providers, part):
    for seed in range(part, SCHEDULES[providers], PARTS):
        run(schedule(seed, providers), right)


@pytest.mark.parametrize("providers", SCHEDULES)
def test_no_schedule_breaks_an_invariant_when_agents_see_through_the_real_mirror(providers):
    for seed in range(150):
        run(schedule(seed, providers, Mirrored), right)


def test_the_quick_view_is_what_the_real_mirror_shows():
    """A schedule goes the same way whichever of the two the agents see through."""
    for seed in range(10):
        assert run(schedule(seed), right).trace == run(schedule(seed, seeing=Mirrored), right).trace


@pytest.mark.parametrize("name", CAUGHT)
def test_each_broken_rule_is_caught(name):
    mutant = CAUGHT[name]
    make, providers = mutant if isinstance(mutant, tuple) else (mutant, 1)
    assert first_violation(make, providers, PATIENCE) is not None


@pytest.mark.parametrize("providers", SCHEDULES)
@pytest.mark.parametrize("name", UNSEEN)
def test_what_no_schedule_can_tell_apart_is_named(name, providers):
    """When a schedule learns to tell it apart, it belongs among the caught ones."""
    make, reason = UNSEEN[name]
    assert reason
    assert first_violation(make, providers, 200) is None


def test_a_holder_that_booted_reads_its_fence_also_once_another_server_has_asked():
    """Too rare by chance, so all schedules are of one script."""
    broken = 0
    for seed in range(600):
        planned = Schedule(seed, Kind(providers=2), TICKS // 2, fenced_and_back(Random(seed)))  # noqa: S311
        run(planned, right)
        try:
            run(planned, not_reading_fences)
        except Violation:
            broken += 1
            break
    assert broken


def test_two_providers_need_their_conditions():
    def make(random, kind):
        world = right(random, kind)
        return Unconditional(random, kind, world.decide, world.care)

    assert first_violation(make, 2, PATIENCE) is not None


def test_a_violation_is_shrunk_to_a_short_trace():
    make = CAUGHT["R8 one fact is enough"]
    seed = first_violation(make, 1, PATIENCE)
    assert seed is not None
    whole = schedule(seed)
    violation = shrunk(whole, make)
    assert violation is not None
    with pytest.raises(Violation) as found:
        run(whole, make)
    assert 0 < events_in(violation) < events_in(found.value)


def test_a_seed_gives_the_run_again():
    assert run(schedule(7, 2), right).trace == run(schedule(7, 2), right).trace


def test_two_providers_end_with_the_newer_of_two_changes():
    """Both sides, whichever hears of the other first."""
    world = right(Random(0), Kind(providers=2))  # noqa: S311 - a simulation must be repeatable
    first, second = world.providers
    first.write(Write((), (("holder", "a"),)), 1)
    second.write(Write((), (("holder", "b"),)), 2)
    for _ in range(5):
        world.tick()
    assert first.now == second.now != Content()
    assert first.now.state.holder == "b"


def test_the_page_of_guarantees_promises_in_the_same_words():
    assert schedules.__doc__ is not None
    promises = schedules.__doc__.partition("\n\n")[2].strip()
    assert " ".join(promises.split()) in " ".join(GUARANTEES.read_text().split())  # lines may break elsewhere
