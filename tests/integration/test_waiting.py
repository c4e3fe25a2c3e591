"""`--wait` on a real slapd in which the test writes what agents would: what it follows, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.orders_lab import access, environment, guarded_directory, links, seen
from tests.integration.test_status import state_ldif, status_ldif
from tests.lab.deadline import until
from tests.lab.slapd.ldif import server_dn, service_dn
from tests.lab.slapd.slapd import Slapd

RELOCD = str(Path(sys.executable).with_name("relocd"))


@pytest.fixture
def slapd(tmp_path: Path) -> Iterator[Slapd]:
    with guarded_directory(tmp_path) as slapd:
        yield slapd


@contextmanager
def following(slapd: Slapd, folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command, once it has linked node2 to web, which nobody holds."""
    own = os.environ | environment(access(folder, slapd.uri, patience_s=2))
    argv = [RELOCD, *arguments, "--wait"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(argv, env=own, text=True, **pipes) as command:  # type: ignore[call-overload]
        try:
            until(lambda: "web" in links(slapd, "node2"))
            yield command
        finally:
            command.kill()


def runs_there(slapd: Slapd) -> str:
    """What the agent of node2 writes once it runs web."""
    (uuid,) = seen(slapd, service_dn("web"), "entryUUID")
    said = status_ldif("node2", Active=["web"]).rstrip("\n")
    return f"{state_ldif('web', 'node2')}{said}\nrelocActedOn: {uuid}=3\n\n"


def test_it_ends_when_the_new_server_says_that_it_runs(slapd: Slapd, tmp_path: Path) -> None:
    with following(slapd, tmp_path, "move", "web", "node2") as command:
        slapd.add(runs_there(slapd))
        said, wrong = command.communicate(timeout=20)
    assert (command.returncode, wrong) == (0, "")
    assert said.splitlines()[-2].endswith("web: node2 runs it, all cleaned up")
    assert said.splitlines()[-1].startswith("done in ")


def test_a_directory_that_is_away_for_a_while_only_delays_the_news(slapd: Slapd, tmp_path: Path) -> None:
    with following(slapd, tmp_path, "link", "web", "node2") as command:
        assert command.stdout is not None
        lines = iter(command.stdout.readline, "")
        assert next(line for line in lines if "nobody holds it; node2 has never been heard" in line)
        slapd.stop()
        assert next(line for line in lines if "does not answer" in line)
        slapd.start()
        slapd.add(runs_there(slapd))
        assert next(line for line in lines if line.startswith("done in "))
        assert command.wait(10) == 0


def test_no_directory_at_the_end_of_the_time_is_exit_code_3(slapd: Slapd, tmp_path: Path) -> None:
    with following(slapd, tmp_path, "link", "web", "node2", "--timeout", "2") as command:
        slapd.stop()
        assert command.wait(20) == 3


def test_what_is_refused_is_not_waited_for(slapd: Slapd, tmp_path: Path) -> None:
    slapd.modify(f"dn: {server_dn('node2')}\nchangetype: modify\nadd: relocFenced\nrelocFenced: TRUE\n")
    own = os.environ | environment(access(tmp_path, slapd.uri))
    argv = [RELOCD, "move", "web", "node2", "--wait"]
    done = subprocess.run(argv, env=own, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "is fenced" in done.stderr
