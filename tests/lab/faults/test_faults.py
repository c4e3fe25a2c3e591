"""The campaign of faults: that its judge can fail, and that quick kinds of it are good."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.faults.campaign import cases
from tests.lab.faults.observer import Sample
from tests.lab.faults.registry import KINDS
from tests.lab.faults.table import document, table
from tests.lab.faults.verdict import Observation, Outcome, Result, Terms, judged
from tests.lab.probers.judgement import Probe
from tests.lab.probers.watch import REPOSITORY
from tests.lab.timeline import Claim

MS = 1_000_000
TERMS = Terms(lease_s=4.0)
QUICK = ["handover-quiet", "activation-fails", "stop-fails"]


def answers(host, begin_ms, end_ms, asked=""):
    """An answer in every second millisecond of a span, to the client or to the frames that went to the host."""
    return [Probe(at * MS, asked, host, at * MS + 1000) for at in range(begin_ms, end_ms, 2)]


def one_after_the_other(gap_ms=10, overlap_ms=0):
    """node1 answers for a second, then node2 does."""
    return [
        *answers("node1", 0, 1000),
        *answers("node2", 1000 + gap_ms, 10_000),
        *answers("node1", 0, 1000 + overlap_ms, "node1"),
        *answers("node2", 1000 + gap_ms * (not overlap_ms), 10_000, "node2"),
    ]


def observation(probes=None, **more):
    """What was seen of a round in which node1 was healed after a second, and all was at rest after nine."""
    facts = {"samples": [], "began_ns": 0, "healed_ns": 1000 * MS, "settled_ns": 9000 * MS, "ended_ns": 9990 * MS}
    return Observation(probes=one_after_the_other() if probes is None else probes, **(facts | more))


def looks(*sets):
    """Looks into the kernels, ten milliseconds apart."""
    return [Sample(number * 10 * MS, frozenset(names)) for number, names in enumerate(sets)]


def test_a_quiet_move_is_good():
    outcome = judged(observation())
    assert outcome.faults(TERMS) == []
    assert (outcome.double_ms, outcome.recovery_ms) == (0, 0)
    assert 10 < outcome.outage_ms < 15


@pytest.mark.parametrize("overlap_ms", [2, 40])
def test_two_that_answer_at_once_are_not_good(overlap_ms):
    outcome = judged(observation(one_after_the_other(overlap_ms=overlap_ms)))
    assert outcome.double_ms == pytest.approx(overlap_ms, abs=4)
    assert outcome.faults(TERMS)
    assert not outcome.faults(Terms(4.0, double_ms=100))
    assert not outcome.faults(Terms(4.0, double_ms=None))


def test_a_double_answer_longer_than_is_allowed_is_not_good():
    outcome = judged(observation(one_after_the_other(overlap_ms=120)))
    assert outcome.faults(Terms(4.0, double_ms=100))


def test_what_the_disturbance_itself_makes_answer_does_not_count():
    probes = one_after_the_other(overlap_ms=40)
    assert not judged(observation(probes, excuses=[(0, 1500 * MS)])).faults(TERMS)
    assert judged(observation(probes, excuses=[(0, 900 * MS)])).faults(TERMS)


def test_two_kernels_with_the_address_are_not_good():
    both, one = ("node1", "node2"), ("node1",)
    outcome = judged(observation(samples=looks(one, both, both, both, one)))
    assert outcome.double_ms == 20
    assert outcome.faults(TERMS)


def test_one_look_alone_is_no_proof_for_it_takes_one_kernel_after_the_other():
    assert not judged(observation(samples=looks(("node1",), ("node1", "node2"), ("node2",)))).faults(TERMS)


def test_a_unit_that_runs_twice_is_not_good():
    running = {"web": frozenset(("node1", "node2"))}
    samples = [Sample(number * 10 * MS, frozenset(["node1"]), running) for number in range(3)]
    assert judged(observation(samples=samples)).double_ms == 20


@pytest.mark.parametrize(
    ("gap_ms", "good"), [pytest.param(3900, True, id="within the lease"), pytest.param(4100, False, id="after it")]
)
def test_recovery_is_counted_from_the_healing_and_lasts_a_lease_at_most(gap_ms, good):
    outcome = judged(observation(one_after_the_other(gap_ms=gap_ms)))
    assert outcome.recovery_ms == pytest.approx(gap_ms, abs=5)
    assert (outcome.faults(TERMS) == []) is good


def test_an_outage_before_the_healing_is_shown_and_no_late_recovery():
    outcome = judged(observation(one_after_the_other(gap_ms=5000), healed_ns=6500 * MS))
    assert outcome.outage_ms == pytest.approx(5000, abs=5)
    assert outcome.recovery_ms == 0


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"settled_ns": None}, id="never at rest"),
        pytest.param({"lost": ["a move"]}, id="an order lost"),
        pytest.param({"claims": [Claim("holds", holds=False)]}, id="a claim that does not hold"),
        pytest.param({"probes": []}, id="no answer"),
    ],
)
def test_a_round_that_lost_something_is_not_good(more):
    assert judged(observation(**more)).faults(TERMS)


def result(*rounds):
    return Result("kind", "keep", 1, TERMS, rounds)


GOOD = Outcome(10.0, 0.0, 0.0, (), ())
BAD = Outcome(10.0, 0.0, None, ("a move",), ())


def test_one_bad_round_makes_a_kind_bad_and_with_it_the_run():
    assert not result(GOOD, GOOD).faults
    assert result(GOOD, BAD).faults
    assert result(GOOD, BAD).recovery_ms is None
    assert document([result(GOOD)], {})["good"]
    assert not document([result(GOOD), result(BAD)], {})["good"]


def test_nothing_done_is_not_good():
    assert result().faults
    assert not document([], {})["good"]


def test_the_table_has_a_row_for_each_kind():
    assert table([result(GOOD), result(BAD)]).row_count == 2


def test_every_kind_is_asked_for_only_where_it_makes_a_difference():
    asked = list(cases(list(KINDS.values()), ("keep", "release"), (1, 2)))
    assert {case.kind.name for case in asked} == set(KINDS)
    assert all(case.providers in case.kind.providers and case.isolation in case.kind.isolations for case in asked)
    assert len(set(asked)) == len(asked)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """A campaign of quick kinds: its exit code, what it printed, and what it has written."""
    path = tmp_path_factory.mktemp("faults") / "faults.json"
    argv = [sys.executable, "-m", "tests.lab.faults", "--rounds", "1", "--isolation", "keep", "--json", str(path)]
    with subprocess.Popen(
        [*argv, "--providers", "1", "--kind", *QUICK],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            printed = process.communicate(timeout=100)[0]
        finally:
            process.terminate()  # nothing happens to one that has ended
    assert not list(Path("/run/netns").glob(f"relocd-{process.pid}-*"))
    return process.returncode, printed, json.loads(path.read_text())


def test_quick_kinds_are_good(campaign):
    code, printed, written = campaign
    assert written["good"], printed
    assert code == 0
    assert [each["kind"] for each in written["kinds"]] == QUICK
    assert all(len(each["rounds"]) == 1 for each in written["kinds"])
    assert all(name in printed for name in QUICK)
