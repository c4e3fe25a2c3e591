"""`relocd status` on a real slapd under the shipped access rules, as an identity that may only read."""

from __future__ import annotations

import json
import os
import pty
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.integration.acl_lab import account_ldif
from tests.integration.orders_lab import READER, RULES, access, environment, password_file
from tests.lab.deadline import until
from tests.lab.slapd.ldif import server_dn, state_ldif, status_ldif
from tests.lab.slapd.slapd import Slapd, base_ldif, server_ldif, service_ldif

RELOCD = str(Path(sys.executable).with_name("relocd"))
MANY, SERVERS = 1000, 20
SECRET = "verysecret"


def small() -> str:
    """web is held by node1."""
    web = service_ldif("web", addresses=["192.0.2.10/24"], relocSecret=f"key={SECRET}")
    return base_ldif() + account_ldif(READER) + web + server_ldif("node1", services=["web"])


@pytest.fixture
def slapd(tmp_path: Path) -> Iterator[Slapd]:
    password_file(tmp_path)
    with Slapd(content=small(), database_lines=RULES, durable=False) as slapd:
        yield slapd


@pytest.fixture
def held(slapd: Slapd) -> Slapd:
    """All is well: the service has a holder, who says so."""
    slapd.add(state_ldif("web", "node1") + status_ldif("node1", Active=["web"]))
    return slapd


def own(folder: Path, *uris: str) -> dict[str, str]:
    return os.environ | environment(access(folder, *uris, who=READER, patience_s=2))


def relocd(folder: Path, uri: str, *options: str) -> subprocess.CompletedProcess[str]:
    argv = [RELOCD, "status", *options]
    return subprocess.run(argv, env=own(folder, uri), capture_output=True, text=True, timeout=30, check=False)


def kinds(folder: Path, uri: str) -> list[str]:
    """The findings about services."""
    services = json.loads(relocd(folder, uri, "--json").stdout)["services"]
    return [each["kind"] for service in services for each in service["findings"]]


class TestCheck:
    def test_all_is_well(self, held: Slapd, tmp_path: Path) -> None:
        done = relocd(tmp_path, held.uri, "--check")
        assert done.returncode == 0
        assert done.stdout.startswith("RELOCD OK: 1 services, 1 servers | services=1 critical=0")

    def test_what_waits_is_a_warning(self, held: Slapd, tmp_path: Path) -> None:
        held.add(server_ldif("node2", services=["web"]) + status_ldif("node2"))
        done = relocd(tmp_path, held.uri, "--check")
        assert (done.returncode, kinds(tmp_path, held.uri)) == (1, ["not-ready"])

    def test_a_service_without_a_holder_is_critical(self, slapd: Slapd, tmp_path: Path) -> None:
        slapd.add(status_ldif("node1"))
        done = relocd(tmp_path, slapd.uri, "--check")
        assert (done.returncode, kinds(tmp_path, slapd.uri)) == (2, ["no-holder", "not-ready"])

    def test_a_holder_that_falls_silent_is_critical(self, slapd: Slapd, tmp_path: Path) -> None:
        """By the time at which slapd has taken its last heartbeat, against the lease that it declared."""
        slapd.add(state_ldif("web", "node1") + status_ldif("node1", lease_s=0.5, Active=["web"]))
        until(lambda: relocd(tmp_path, slapd.uri, "--check").returncode == 2)
        assert kinds(tmp_path, slapd.uri) == ["holder-silent"]

    def test_no_answer_is_unknown(self, slapd: Slapd, tmp_path: Path) -> None:
        slapd.stop()
        done = relocd(tmp_path, slapd.uri, "--check")
        assert done.returncode == 3
        assert done.stdout.startswith("RELOCD UNKNOWN: ")
        assert len(done.stdout.splitlines()) == 1

    def test_who_may_read_nothing_cannot_tell(self, held: Slapd) -> None:
        argv = [RELOCD, "status", "--check", "--uri", held.uri, "--base", "ou=relocd,dc=example,dc=org"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode, done.stdout[:15]) == (3, "RELOCD UNKNOWN:")


class TestShown:
    def test_tables_name_who_holds_what(self, held: Slapd, tmp_path: Path) -> None:
        done = relocd(tmp_path, held.uri)
        assert done.returncode == 0
        assert all(word in done.stdout for word in ("web", "192.0.2.10/24", "node1: active", "RELOCD OK"))
        assert max(map(len, done.stdout.splitlines())) <= 80

    def test_json_without_secrets(self, held: Slapd, tmp_path: Path) -> None:
        done = relocd(tmp_path, held.uri, "--json")
        told = json.loads(done.stdout)
        assert (told["services"][0]["holder"], told["services"][0]["generation"]) == ("node1", 3)
        assert told["servers"][0]["silent"] is False
        assert 0 <= told["servers"][0]["age_s"] < 30
        assert SECRET not in done.stdout

    def test_no_answer_is_exit_code_3(self, slapd: Slapd, tmp_path: Path) -> None:
        slapd.stop()
        assert relocd(tmp_path, slapd.uri).returncode == 3

    def test_options_exclude_each_other(self, held: Slapd, tmp_path: Path) -> None:
        assert relocd(tmp_path, held.uri, "--json", "--watch", "1").returncode == 2


class TestExplain:
    def explain(self, folder: Path, uri: str, *options: str) -> subprocess.CompletedProcess[str]:
        argv = [RELOCD, "explain", *options]
        return subprocess.run(argv, env=own(folder, uri), capture_output=True, text=True, timeout=30, check=False)

    def test_says_why_it_is_where_it_is_and_what_would_move_it(self, held: Slapd, tmp_path: Path) -> None:
        held.add(server_ldif("node2", services=["web"]) + status_ldif("node2", lease_s=0.5))
        explain = partial(self.explain, tmp_path, held.uri, "web", "--json")
        until(lambda: json.loads(explain().stdout)["servers"][1]["silent"])
        done = explain()
        told = json.loads(done.stdout)
        assert [each["kind"] for each in told["servers"][1]["needs"]] == ["agent-heard"]
        assert done.returncode == 0
        assert [(each["name"], each["part"], each["rule"]) for each in told["servers"]] == [
            ("node1", "holder", "R3"),
            ("node2", "chosen", "R2"),
        ]
        assert SECRET not in done.stdout

    def test_names_a_server_that_gave_it_back_and_is_linked_no_more(self, held: Slapd, tmp_path: Path) -> None:
        held.add(server_ldif("node2") + status_ldif("node2"))
        problem = "dn: cn=status,{}\nchangetype: modify\nadd: relocProblem\nrelocProblem: web: given back: why\n"
        held.modify(problem.format(server_dn("node2")))
        told = json.loads(self.explain(tmp_path, held.uri, "web", "--json").stdout)
        assert [(each["name"], each["part"]) for each in told["servers"]] == [
            ("node1", "holder"),
            ("node2", "gave it back"),
        ]

    def test_of_nothing_is_a_wrong_argument(self, held: Slapd, tmp_path: Path) -> None:
        assert self.explain(tmp_path, held.uri, "nosuch").returncode == 2


def test_watch_follows_on_a_terminal_until_ctrl_c(slapd: Slapd, tmp_path: Path) -> None:
    """Nobody holds it; then somebody does; then no directory answers; Ctrl-C ends it with 0."""
    terminal, theirs = pty.openpty()
    os.set_blocking(terminal, False)
    shown = bytearray()

    def shows(text: str) -> bool:
        try:
            shown.extend(os.read(terminal, 65536))
        except BlockingIOError:
            return False
        if text.encode() not in shown:
            return False
        shown.clear()
        return True

    argv = [RELOCD, "status", "--watch", "0.2"]
    environ = own(tmp_path, slapd.uri) | {"COLUMNS": "200", "TERM": "xterm"}
    with subprocess.Popen(argv, env=environ, stdin=theirs, stdout=theirs, stderr=theirs) as watching:
        try:
            until(lambda: shows("RELOCD CRITICAL"))
            slapd.add(state_ldif("web", "node1") + status_ldif("node1", Active=["web"]))
            until(lambda: shows("RELOCD OK"))
            slapd.stop()
            until(lambda: shows("does not answer"))
            watching.send_signal(signal.SIGINT)
            assert watching.wait(10) == 0
        finally:
            watching.kill()
            os.close(terminal)
            os.close(theirs)


def test_a_thousand_services_are_shown_at_once(slapd: Slapd, tmp_path: Path) -> None:
    """By an identity with the small limits of slapd's default, in pages."""
    names = [f"s{number}" for number in range(MANY)]
    nodes = {f"n{number}": names[number::SERVERS] for number in range(SERVERS)}
    text = [service_ldif(name, addresses=[f"198.51.{i // 250}.{i % 250 + 1}/32"]) for i, name in enumerate(names)]
    text += [server_ldif(node, services=own) + status_ldif(node, Active=own) for node, own in nodes.items()]
    text += [state_ldif(name, node) for node, own in nodes.items() for name in own]
    slapd.add("".join(text))
    for options in (["--check"], ["--json"], []):
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = relocd(tmp_path, slapd.uri, *options)
        after, took_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - begun
        cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        print(f"relocd status {options}: {took_s:.2f} s, {cpu_s:.2f} s of CPU")
        assert cpu_s < 2
        assert done.returncode == (2 if options == ["--check"] else 1), done.stderr
        assert all(name in done.stdout for name in names) or options == ["--check"]
