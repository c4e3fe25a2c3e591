"""`--wait` on a real slapd in which the test writes what agents would: what it follows, and how it ends."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.orders_lab import RULES, TRIGGER, access, environment, guarded_directory, links, seen
from tests.lab.deadline import until
from tests.lab.slapd.ldif import server_dn, service_dn, state_ldif, status_ldif
from tests.lab.slapd.slapd import Slapd

RELOCD = str(Path(sys.executable).with_name("relocd"))


@pytest.fixture
def slapd(tmp_path: Path) -> Iterator[Slapd]:
    with guarded_directory(tmp_path) as slapd:
        yield slapd


@contextmanager
def following(
    slapd: Slapd, folder: Path, *arguments: str, others: tuple[str, ...] = ()
) -> Iterator[subprocess.Popen[str]]:
    """The command, once it has linked node2 to web, which nobody holds; `others` are further directories."""
    own = os.environ | environment(access(folder, slapd.uri, *others, patience_s=2))
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
    assert said.splitlines()[-2].endswith("web: node2 runs it, and cleanup is done")
    assert said.splitlines()[-1].startswith("done in ")


def operations(slapd: Slapd, kind: str) -> list[str]:
    """The log's lines of one kind of operation by whoever has bound as the trigger."""
    lines = slapd.log().splitlines()
    bound = {found[1] for each in lines if (found := re.search(rf'(conn=\d+ )op=\d+ BIND dn="{TRIGGER}" method', each))}
    return [each for each in lines if f" {kind}" in each and any(connection in each for connection in bound)]


def test_it_is_one_session_that_decides_once_and_is_told_by_the_directory(tmp_path: Path) -> None:
    with (
        guarded_directory(tmp_path, log_level="stats") as slapd,
        following(slapd, tmp_path, "move", "web", "node2") as command,
    ):
        until(lambda: operations(slapd, 'SRCH base="" scope=0'))  # it has heard nothing for a second
        slapd.add(runs_there(slapd))
        assert command.wait(20) == 0
        assert len([each for each in operations(slapd, "BIND") if "method" in each]) == 1
        assert len(operations(slapd, "MOD dn=")) == 1
        assert len(operations(slapd, "SRCH base=")) == 13


def test_without_a_push_it_asks_five_times_a_second_at_most(tmp_path: Path) -> None:
    """Here the access rules hide `entryDN`, by which the push would find the entries."""
    hidden = ["access to attrs=entryDN by * none", *RULES]
    with (
        guarded_directory(tmp_path, log_level="stats", database_lines=hidden) as slapd,
        following(slapd, tmp_path, "move", "web", "node2") as command,
    ):
        until(lambda: len(polls(slapd)) > 6)
        slapd.add(runs_there(slapd))
        assert command.wait(20) == 0
        _, *times_s = polls(slapd)  # the first is part of the decision
        assert times_s[-1] - times_s[0] >= (len(times_s) - 1) * 0.2 - 0.1
        assert len([each for each in operations(slapd, "BIND") if "method" in each]) == 1


def polls(slapd: Slapd) -> list[float]:
    """When the status of node2 was read, in seconds since 1970, as slapd logs it: in hexadecimal, with nanoseconds."""
    read = [each for each in operations(slapd, "SRCH base=") if f'"cn=status,{server_dn("node2")}"' in each]
    stamps = (each.split(maxsplit=1)[0].split(".") for each in read)
    return [int(seconds, 16) + int(nanoseconds, 16) / 1e9 for seconds, nanoseconds in stamps]


def test_a_directory_that_hangs_is_given_up_for_the_next_one(slapd: Slapd, tmp_path: Path) -> None:
    with (
        guarded_directory(tmp_path) as other,
        following(slapd, tmp_path, "move", "web", "node2", others=(other.uri,)) as command,
    ):
        other.add(runs_there(slapd))
        slapd.pause()
        assert command.wait(20) == 0
        slapd.resume()


def test_a_directory_that_is_away_for_a_while_only_delays_the_news(slapd: Slapd, tmp_path: Path) -> None:
    with following(slapd, tmp_path, "link", "web", "node2") as command:
        assert command.stdout is not None
        lines = iter(command.stdout.readline, "")
        assert next(line for line in lines if "web: " in line)
        slapd.stop()
        assert next(line for line in lines if slapd.uri in line)
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
    assert "relocd unfence node2" in done.stderr
