"""The comparison of moves with two moves each: that it measures everything, and that the address really moved."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.bench.move import SERIES
from tests.lab.probers.watch import REPOSITORY

# Run side by side, because keepalived with an advertisement a second waits most of the time.
GROUPS = [
    ["by-hand", "relocd"],
    ["keepalived-10ms", "keepalived-1s", "keepalived-10ms-yield"],
    ["keepalived-1s-yield"],
]


def launched(temporary, *arguments):
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": str(temporary)}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.lab.bench", "move", *arguments],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def remains(temporary, pid):
    """What is left of a bench: folders, and namespaces that carry its pid."""
    return [*temporary.iterdir(), *Path("/run/netns").glob(f"relocd-{pid}-*")]


@pytest.fixture
def temporary(tmp_path):
    folder = tmp_path / "t"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    """What the benches have written, all series together, and what they said."""
    folder, figures = tmp_path_factory.mktemp("t"), tmp_path_factory.mktemp("figures")
    few = ["--moves", "2", "--rounds", "1", "--idle-seconds", "0.2"]
    benches = [
        launched(folder, *few, "--json", str(figures / f"{number}.json"), "--series", *names)
        for number, names in enumerate(GROUPS)
    ]
    try:
        outputs = [bench.communicate(timeout=60)[0] for bench in benches]
    finally:
        for bench in benches:
            bench.terminate()  # nothing happens to one that has ended
            bench.wait(20)
    assert not any(bench.returncode for bench in benches), "\n".join(outputs)
    assert not [left for bench in benches for left in remains(folder, bench.pid)]
    written = [json.loads((figures / f"{number}.json").read_text()) for number in range(len(GROUPS))]
    return {"output": "\n".join(outputs), "written": written}


@pytest.fixture
def series(documents):
    return {name: each for document in documents["written"] for name, each in document["series"].items()}


def test_every_series_is_there(series, documents):
    assert set(series) == set(SERIES)
    for each in series.values():
        assert each["title"] in documents["output"]
    assert all(len(document["machine"]["load after"]) == 3 for document in documents["written"])


@pytest.mark.parametrize("name", SERIES)
def test_the_address_went_there_and_back(series, name):
    assert [move["new"] for move in series[name]["moves"]] == ["node2", "node1"]
    assert series[name]["holders"] == [["node2"], ["node1"]]


@pytest.mark.parametrize("name", SERIES)
def test_every_move_is_judged_by_the_client(series, name):
    for move in series[name]["moves"]:
        assert 0 < move["outage"]["IPv4"] < 1000
        assert move["answers"]["IPv4"] > 0
        assert move["overlap"] is not None
    assert {summary["count"] for summary in series[name]["summaries"].values()} == {2}


@pytest.mark.parametrize("name", SERIES)
def test_daemons_have_their_cost(series, name):
    idle = series[name]["idle"]
    if name == "by-hand":
        assert idle is None
    else:
        assert 0 <= idle["cpu_percent"] < 100
        assert 0 < idle["pss_mb"] < idle["rss_mb"] < 500


def test_the_advertisements_tell(series):
    """What differs between series by construction: that each was really run the way that its name says."""
    answer = {name: min(move["answers"]["IPv4"] for move in each["moves"]) for name, each in series.items()}
    assert answer["keepalived-10ms-yield"] > 20  # three advertisements are not heard
    assert answer["keepalived-1s-yield"] > 2000
    assert answer["keepalived-1s"] > 7.8  # 1 s * (256 - 254) / 256


@pytest.mark.parametrize(
    ("name", "word"), [("relocd", "building"), ("relocd", "round 1"), ("keepalived-10ms", "round 1")]
)
def test_interrupted_it_leaves_nothing_behind(temporary, name, word):
    bench = launched(temporary, "--moves", "100", "--rounds", "1", "--series", name)
    for line in bench.stdout:
        if word in line:
            break
    bench.send_signal(signal.SIGINT)
    outputs, _ = bench.communicate(timeout=60)
    assert bench.returncode == 130, outputs
    assert "interrupted" in outputs
    assert not remains(temporary, bench.pid)
