"""When a check fails or is well again, and what is done about it, by a clock of numbers."""

from __future__ import annotations

import pytest

from relocd.agent.health.judge import CheckState, Judgement, Remedy, Treatment, judged, next_remedy
from relocd.model.health import HealthLimits

LIMITS = HealthLimits(fall=3, rise=2, start_s=10.0, restarts=1)
OK, FAILING, STARTING = CheckState.OK, CheckState.FAILING, CheckState.STARTING


def after(results, *, limits=LIMITS, begin=None, every_s=2.0):
    """The state after each result, one letter for each: `o` a success, `x` a failure."""
    now, states = 0.0, []
    judgement = begin or Judgement.starting(0.0, limits.start_s)
    for result in results:
        now += every_s
        judgement = judged(judgement, "no answer" if result == "x" else "", limits, now)
        states.append(judgement.state)
    return states


def letters(states):
    return "".join({OK: "o", FAILING: "x", STARTING: "s"}[state] for state in states)


@pytest.mark.parametrize(
    ("results", "states"),
    [
        pytest.param("oooo", "oooo", id="well"),
        pytest.param("oxxxx", "oooxx", id="fall"),
        pytest.param("oxxoxxoxx", "ooooooooo", id="never three in a row"),
        pytest.param("oxxxoxo", "oooxxxx", id="never two successes in a row"),
        pytest.param("oxxxooo", "oooxxoo", id="rise"),
        pytest.param("xxxxxx", "ssssss", id="failures within the start"),
        pytest.param("xxxxxxx", "ssssssx", id="failures after the start count from its end"),
        pytest.param("xxxxxoxxx", "sssssooox", id="the first success ends the start"),
        pytest.param("xoxxx", "soo" + "ox", id="also an early one"),
    ],
)
def test_states_of_a_check(results, states):
    assert letters(after(results)) == states


def test_one_failure_is_enough_where_fall_is_one():
    limits = HealthLimits(fall=1, rise=1, start_s=0.0)
    assert letters(after("xoxo", limits=limits)) == "xoxo"


def test_the_last_failure_stays_known_and_the_state_its_time():
    well = judged(Judgement.starting(0.0, 0.0), "", LIMITS, 1.0)
    sick = judged(judged(judged(well, "a", LIMITS, 2.0), "b", LIMITS, 3.0), "c", LIMITS, 4.0)
    assert (sick.state, sick.since, sick.failure) == (FAILING, 4.0, "c")
    assert judged(sick, "", LIMITS, 5.0).failure == "c"
    assert judged(sick, "d", LIMITS, 6.0).since == 4.0


class TestRemedy:
    def test_restart_then_fail_then_recover(self):
        remedy, treatment = next_remedy(Treatment(), [LIMITS], all_well=False, now=0.0)
        assert (remedy, treatment.restarted_at) == (Remedy.RESTART, (0.0,))
        remedy, treatment = next_remedy(treatment, [], all_well=True, now=10.0)
        assert remedy is Remedy.NONE
        remedy, treatment = next_remedy(treatment, [LIMITS], all_well=False, now=20.0)
        assert (remedy, treatment.failed) == (Remedy.FAIL, True)
        assert next_remedy(treatment, [], all_well=False, now=21.0)[0] is Remedy.NONE
        remedy, treatment = next_remedy(treatment, [], all_well=True, now=30.0)
        assert (remedy, treatment.failed) == (Remedy.RECOVER, False)

    def test_a_restart_counts_for_ten_minutes(self):
        treatment = Treatment(restarted_at=(0.0,))
        assert next_remedy(treatment, [LIMITS], all_well=False, now=599.0)[0] is Remedy.FAIL
        assert next_remedy(treatment, [LIMITS], all_well=False, now=600.0)[0] is Remedy.RESTART

    def test_the_check_that_allows_the_fewest_restarts_decides(self):
        none = HealthLimits(restarts=0)
        assert next_remedy(Treatment(), [LIMITS, none], all_well=False, now=0.0)[0] is Remedy.FAIL

    def test_while_it_is_still_served_here_it_is_restarted_again_with_growing_pauses(self):
        _, treatment = next_remedy(Treatment(), [HealthLimits(restarts=1)], all_well=False, now=0.0)
        restarts = []
        for second in range(1, 3000):
            remedy, treatment = next_remedy(treatment, [LIMITS], all_well=False, now=float(second))
            if remedy is Remedy.RESTART:
                restarts.append(second)
        assert restarts == [61, 181, 421, 901, 1501, 2101, 2701]

    def test_where_a_restart_does_not_help_it_is_never_restarted(self):
        treatment, none = Treatment(), HealthLimits(restarts=0)
        remedies = []
        for second in range(3000):
            remedy, treatment = next_remedy(treatment, [none], all_well=False, now=float(second))
            remedies.append(remedy)
        assert remedies[0] is Remedy.FAIL
        assert set(remedies[1:]) == {Remedy.NONE}
