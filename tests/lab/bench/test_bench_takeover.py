"""The takeovers of the bench, one round each with a short lease: that every way to fail is measured and judged."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.bench.takeover import ANSWER, GONE, NOBODY, SERIES, SILENCE
from tests.lab.probers.watch import REPOSITORY

LEASE_S = 4
BENCH = [sys.executable, "-m", "tests.lab.bench", "takeover"]
FEW = ["--rounds", "1", "--lease", str(LEASE_S)]
GROUPS = [["fenced", "dead"], ["long-dead"], ["hung"]]  # side by side, because they wait most of the time


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """What the benches have written, by series."""
    folder = tmp_path_factory.mktemp("figures")
    benches = [
        subprocess.Popen(
            [*BENCH, *FEW, "--json", str(folder / f"{number}.json"), "--series", *names],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number, names in enumerate(GROUPS)
    ]
    try:
        outputs = [bench.communicate(timeout=60)[0] for bench in benches]
    finally:
        for bench in benches:
            bench.terminate()  # nothing happens to one that has ended
            bench.wait(20)
    assert all(bench.returncode in {0, 1} for bench in benches), "\n".join(outputs)  # 1: slower than on a quiet machine
    assert not [left for bench in benches for left in Path("/run/netns").glob(f"relocd-{bench.pid}-*")]
    written = [json.loads((folder / f"{number}.json").read_text()) for number in range(len(GROUPS))]
    assert all(each["title"] in "".join(outputs) for document in written for each in document["series"].values())
    return {name: each for document in written for name, each in document["series"].items()}


def test_every_series_has_its_round_and_no_two_answer_at_once(series):
    assert set(series) == set(SERIES)
    assert all(len(each["rounds"]) == 1 and not each["doubles"] for each in series.values())
    assert all(set(each["summaries"]) == set(SERIES[name].figures) for name, each in series.items())


def test_what_is_waited_for_differs(series):
    """What differs by construction: a fence needs no lease, a death does, the kernel is sooner than the lease."""
    first = {name: each["rounds"][0] for name, each in series.items()}
    assert first["fenced"][ANSWER] < 1000
    assert first["dead"][SILENCE] > LEASE_S * 1000
    assert first["long-dead"][ANSWER] < LEASE_S * 1000
    assert first["hung"][GONE] < LEASE_S * 1000 < first["hung"][SILENCE]
    assert first["hung"][NOBODY] > 0
