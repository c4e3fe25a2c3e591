"""The log of a real agent, in each of its forms: what stands in it, where it goes, and that no secret is in it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.deadline import until
from tests.lab.hosts.journal import Journal
from tests.lab.hosts.node import Node
from tests.lab.slapd.slapd import server_dn
from tests.system.conftest import Pair, linked, problems, state

Launch = Callable[..., Node]
SECRET = "tr0ub4dor"
GOOD = "password = {{ secrets.password }}\n"
SHOWS = '["sh", "-c", "cat $0 >&2; exit 1", "{file}"]'
"""A program that says what is in a file, and that it is wrong."""


def manifest(pair: Pair, name: str, more: str = "") -> str:
    return f'[[file]]\nsource = "x.j2"\ntarget = "{pair.files}/{name}.conf"\n{more}'


def secretive(pair: Pair) -> None:
    """A service whose secret is used, and one for each way in which a template set may fail with it."""
    shown = SHOWS.format(file=f"{pair.files}/command.conf")
    sets = {
        "good": ("", GOOD),
        "render": ("", "{{ secrets.password / 2 }}"),
        "check": (f"check = [{SHOWS}]\n", GOOD),
        "command": (f'[[command]]\nwhen = "activate"\nrun = {shown}\n', GOOD),
    }
    for number, (name, (more, template)) in enumerate(sets.items(), start=60):
        pair.template_set(name, manifest(pair, name, more), {"x.j2": template})
        secret = f"password={SECRET}"
        pair.service(name, addresses=[f"192.0.2.{number}/24"], template_sets=[name], relocSecret=secret)
    pair.add(linked("node1", *sets))


@pytest.fixture
def launched(pair: Pair) -> Iterator[Callable[..., Node]]:
    """Starts the agent of node1, whose log is no text that the laboratory could read."""
    nodes: list[Node] = []

    def launch(*folders: str, **agent: str) -> Node:
        node = pair.node("node1", {"agent": agent}, start=False, folders=folders)
        nodes.append(node)
        node.prepare()
        node.launch()
        return node

    yield launch
    for node in nodes:
        node.__exit__(None)


def settled(pair: Pair, node: Node) -> None:
    """Wait until every service has run into what it shall run into."""
    until(lambda: state(node, "good") == "active")
    until(lambda: [state(node, name) for name in ("render", "check", "command")] == ["failed"] * 3)
    assert SECRET in (pair.files / "good.conf").read_text()
    assert "password = ********" in problems(node, "command")
    until(lambda: "********" in pair.entry(f"cn=status,{server_dn('node1')}"))
    assert SECRET not in pair.entry(f"cn=status,{server_dn('node1')}")


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_is_in_the_log_on_standard_error(pair: Pair, launched: Launch, form: str) -> None:
    secretive(pair)
    node = launched(log_format=form)
    settled(pair, node)
    log = (node.folder / "agent.log").read_text()
    assert "action failed" in log
    assert SECRET not in log + (node.folder / "run" / "status.json").read_text()
    if form == "json":
        found = [json.loads(line) for line in log.splitlines()]
        assert {"refresh complete", "handover", "action done"} <= {each["message"] for each in found}
        assert any(each.get("service") == "good" and each.get("generation") == 1 for each in found)


def test_no_secret_is_in_the_journal_which_auto_finds(
    pair: Pair, launched: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Standard error is a file here, which JOURNAL_STREAM names as systemd names its stream."""
    secretive(pair)
    folder = pair.folder / "node1"
    folder.mkdir()
    (folder / "agent.log").touch()
    found = (folder / "agent.log").stat()
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    seen = folder / "seen" / "run-systemd"
    with Journal(seen, pair.folder / "logs") as journal:
        node = launched("/run/systemd")
        settled(pair, node)
        journal.wait_for(RELOCD_EVENT="handover", RELOCD_SERVICE="good", RELOCD_GENERATION="1")
        journal.wait_for(RELOCD_EVENT="action failed", RELOCD_SERVICE="command", PRIORITY="4")
        assert SECRET not in json.dumps(journal.entries())
        assert (folder / "agent.log").read_text() == ""
        node.agent.send_signal(signal.SIGHUP)
        until(lambda: sum(each["RELOCD_EVENT"] == "agent starts" for each in journal.entries()) == 2)
        node.agent.send_signal(signal.SIGTERM)
        journal.wait_for(RELOCD_EVENT="agent ends; everything stays as it is")


def test_the_command_line_goes_before_the_configuration(pair: Pair) -> None:
    pair.add(linked("node1"))
    node, log = pair.node("node1", {"agent": {"log_format": "text"}}, start=False), pair.folder / "stderr"
    node.prepare()
    with log.open("wb") as stderr:
        process = node.host.start(command(node, "json"), stderr=stderr)
    try:
        first = until(lambda: log.read_text().partition("\n")[0])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
    assert json.loads(first)["message"] == "agent starts"


def test_a_form_that_there_is_not_is_named(pair: Pair) -> None:
    argv = command(pair.node("node1", start=False), "loud")
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert "--log-format: invalid choice: 'loud' (choose from 'auto', 'text', 'json', 'journal')" in done.stderr


def command(node: Node, form: str) -> list[str]:
    program = Path(sys.executable).with_name("relocd")
    return [str(program), "agent", "--config", str(node.config), "--log-format", form]
