"""The demo, a scenario and the containers as a person runs them: to the end, and interrupted."""

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.lab.probers.watch import REPOSITORY


@pytest.fixture
def temporary():
    """Where the demo makes its temporary folders. Its path is short: a socket has its own in 108 bytes."""
    with tempfile.TemporaryDirectory(prefix="t-") as folder:
        yield Path(folder)


def launched(temporary, *arguments, program="demo"):
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": str(temporary)}
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.lab.{program}", *arguments],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def interrupted(program, word, number=signal.SIGINT):
    """Interrupt a program when it says the word; what it says from there to its end."""
    for line in program.stdout:
        if word in line:
            break
    program.send_signal(number)
    output, _ = program.communicate(timeout=60)
    assert program.returncode == 130, output
    return output


def remains(temporary, pid):
    """What is left of a demo: folders, and namespaces that carry its pid."""
    return [*temporary.iterdir(), *Path("/run/netns").glob(f"relocd-{pid}-*")]


def test_services_move_and_the_figures_are_written(temporary, tmp_path):
    figures = tmp_path / "figures.json"
    demo = launched(temporary, "--moves", "2", "--json", str(figures))
    output, _ = demo.communicate(timeout=60)
    assert demo.returncode == 0, output
    assert "median" in output
    assert "Not measured by this run" in output
    series = json.loads(figures.read_text())["series"]
    assert set(series) == {"echo", "web"}
    for each in series.values():
        assert [move["new"] for move in each["moves"]] == ["node2", "node1"]
        assert all(value > 0 for move in each["moves"] for value in move["answers"].values())
        assert all(move["steps"]["raised"] is not None for move in each["moves"])
    assert not remains(temporary, demo.pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("word", ["building", "> node2"])
def test_interrupted_it_leaves_nothing_behind(temporary, number, word):
    demo = launched(temporary, "--moves", "100")
    assert "interrupted" in interrupted(demo, word, number)
    assert not remains(temporary, demo.pid)


def test_a_scenario_has_a_verdict_and_leaves_nothing_behind(temporary, tmp_path):
    document = tmp_path / "verdict.json"
    scenario = launched(temporary, "ntp-pair", "--json", str(document), program="scenarios")
    output, _ = scenario.communicate(timeout=60)
    assert scenario.returncode == 0, output
    assert "verdict: it held" in output
    assert json.loads(document.read_text())["verdict"] is True
    assert not remains(temporary, scenario.pid)


def test_a_scenario_that_is_interrupted_leaves_nothing_behind(temporary):
    scenario = launched(temporary, "ldap-pair", "--repeats", "100", program="scenarios")
    interrupted(scenario, "is dead")
    assert not remains(temporary, scenario.pid)


def test_containers_that_are_interrupted_leave_nothing_behind(temporary):
    before = groups()
    containers = launched(temporary, program="demo.containers")
    interrupted(containers, "docker compose build")
    assert not remains(temporary, containers.pid)
    assert groups() <= before


def groups():
    """The control groups of engines."""
    return set(Path("/sys/fs/cgroup").glob("**/relocd-docker-*"))
