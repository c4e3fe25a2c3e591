"""`relocd drain`, `pause` and `resume` as a person runs them beside a running agent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.deadline import until
from tests.lab.hosts.node import Node
from tests.lab.slapd.ldif import cluster_dn, cluster_ldif, link_ldif, server_ldif
from tests.system.conftest import Pair, has, linked, state, status


def order(word: str, node: Node, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("relocd"))
    argv = [program, word, "--status", str(node.folder / "run" / "status.json"), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)


def test_a_drained_member_gives_its_cluster_away_and_takes_nothing_until_resumed(pair: Pair) -> None:
    pair.service("web")
    members = [server_ldif(name, clusters=["pair"]) for name in ("node1", "node2")]
    pair.add(*members, cluster_ldif("pair", services=["web"], active="node1"))
    one, two = pair.node("node1"), pair.node("node2")
    until(lambda: has(one) and state(two, "web") == "standby")
    done = order("drain", one)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("web: node2 holds it now\ndrained: this server holds no exclusive service\n")
    assert has(two)
    assert not has(one)
    assert "cn=node2" in pair.entry(cluster_dn("pair"))
    refused = order("drain", two, "--timeout", "2")
    assert refused.returncode == 1
    assert "web: " in refused.stderr
    assert has(two)
    assert order("resume", one).returncode == 0
    until(lambda: has(one) and not has(two))


def test_what_nobody_else_is_linked_to_stops(pair: Pair) -> None:
    pair.service("web")
    pair.add(linked("node1", "web"))
    one = pair.node("node1")
    until(lambda: has(one))
    done = order("drain", one)
    assert done.returncode == 0
    assert "web: " in done.stdout
    assert not has(one)
    one.stop()
    one.start()
    until(lambda: status(one)["mode"] == "drained")
    assert not has(one)
    assert order("resume", one).returncode == 0
    until(lambda: has(one))


def test_a_paused_agent_watches_and_does_nothing(pair: Pair) -> None:
    pair.service("web")
    pair.add(linked("node1", "web"), linked("node2"))
    one, two = pair.node("node1"), pair.node("node2")
    until(lambda: has(one))
    assert order("pause", one).returncode == 0
    pair.slapd.modify(link_ldif("web", "node2"))
    until(lambda: "the holder will let go" in reason(two))
    assert has(one)
    assert "paused" in reason(one)
    assert order("resume", one).returncode == 0
    until(lambda: has(two) and not has(one))


@pytest.mark.parametrize("word", ["drain", "pause", "resume"])
def test_without_an_agent_it_says_so(pair: Pair, word: str) -> None:
    pair.add(linked("node1"))
    one = pair.node("node1")
    one.stop()
    done = order(word, one)
    assert done.returncode == 3
    assert "systemctl start relocd" in done.stderr
    one.start()


def reason(node: Node) -> str:
    return " ".join(each["reason"] for each in status(node)["services"])
