"""The bench of many services with a few: that every case is measured, and how events become figures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.bench.mass import FIRST, MOVE, SERIES, START, TAKEOVER, changed
from tests.lab.bench.movers import Route
from tests.lab.probers.kernels import AddressEvent
from tests.lab.probers.watch import REPOSITORY

THERE = Route("node1", "node2")


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """What the bench has written, by series."""
    figures = tmp_path_factory.mktemp("figures") / "figures.json"
    bench = subprocess.Popen(
        [sys.executable, "-m", "tests.lab.bench", "mass", "--services", "3", "--json", str(figures)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output, _ = bench.communicate(timeout=120)
    assert bench.returncode == 0, output
    assert not list(Path("/run/netns").glob(f"relocd-{bench.pid}-*"))
    found = json.loads(figures.read_text())["series"]["3"]
    assert all(each["title"] in output for each in found.values())
    return found


@pytest.mark.parametrize("name", SERIES)
def test_every_case_of_every_series_is_measured(series, name):
    changes = series[name]["changes"]
    assert [each["case"] for each in changes] == [FIRST, MOVE, MOVE, START, TAKEOVER]
    assert {each["figures"]["services"] for each in changes} == {3}
    assert not any(each["doubles"] for each in changes)
    assert all(0 < each["figures"]["away, worst"] < 2000 for each in changes if each["case"] == MOVE)


def event(at_ms, host, address="198.18.1.0", *, here):
    return AddressEvent(at_ms * 1_000_000, host, address, here)


def test_an_address_is_away_from_the_old_server_s_last_word_to_the_new_one_s_first():
    events = [
        event(10, "node1", here=False),
        event(11, "node1", here=True),
        event(20, "node1", here=False),
        event(25, "node2", here=True),
        event(40, "node2", here=True),
    ]
    found = changed(MOVE, events, THERE, 5_000_000)
    assert (found.back_ms, found.away_ms) == ((20.0,), (5.0,))
    assert found.as_json()["doubles"] == 0


def test_an_address_that_two_servers_have_at_once_is_counted():
    events = [event(10, "node2", here=True), event(12, "node1", here=False)]
    assert changed(MOVE, events, THERE, 0).as_json()["doubles"] == 1


def test_an_address_that_was_at_no_server_is_not_away():
    found = changed(START, [event(10, "node2", here=True)], THERE, 0)
    assert set(found.as_json()["figures"]) == {"services", "first back", "all back"}
