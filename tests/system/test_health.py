"""Health checks of a running agent: restart, failure, recovery, and `relocd retry` as a person runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lab.deadline import until
from tests.lab.hosts.node import Node
from tests.lab.slapd.ldif import cluster_ldif, server_ldif
from tests.system.conftest import Pair, actions, has, linked, status

CHECKED = """
[[unit]]
name = "u-good"
[[health]]
command = ["test", "-e", "{folder}/well-{{{{ server.name }}}}"]
interval_s = 0.2
fall = 2
start_s = 0.5
"""


@pytest.fixture
def node(pair: Pair) -> Node:
    """A server alone with a service whose check looks for a file; it is there."""
    pair.template_set("checked", CHECKED.format(folder=pair.folder), {})
    (pair.folder / "well-node1").touch()
    pair.service("web", template_sets=["checked"], parameters={})
    pair.add(linked("node1", "web"))
    found = pair.node("node1")
    until(lambda: has(found) and set(checks(found).values()) == {"ok"})
    return found


def web(node: Node) -> dict[str, Any]:
    return next(iter(status(node)["services"]), {"health": [], "failed_here": ""})


def checks(node: Node) -> dict[str, str]:
    """The state of each check of the service."""
    return {each["check"]: each["state"] for each in web(node)["health"]}


def retry(node: Node, service: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("relocd"))
    argv = [program, "retry", service, "--status", str(node.folder / "run" / "status.json")]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)


def test_an_unhealthy_service_is_restarted_and_fails_here_and_recovers(pair: Pair, node: Node) -> None:
    (pair.folder / "well-node1").unlink()
    until(lambda: "restart u-good" in actions(node))
    until(lambda: web(node)["failed_here"])
    assert has(node)
    assert actions(node).count("restart u-good") == 1
    assert checks(node)["units"] == "ok"
    (pair.folder / "well-node1").touch()
    until(lambda: not web(node)["failed_here"] and set(checks(node).values()) == {"ok"})


def test_a_failed_service_is_tried_again_by_an_order(pair: Pair, node: Node) -> None:
    (pair.folder / "well-node1").unlink()
    until(lambda: web(node)["failed_here"])
    done = retry(node, "web")
    assert (done.returncode, done.stderr) == (0, "")
    assert "ended with status 1" in done.stdout
    until(lambda: actions(node).count("restart u-good") == 2)
    until(lambda: web(node)["failed_here"])


def test_an_order_for_what_is_not_here_is_refused(node: Node) -> None:
    assert retry(node, "wbe").returncode == 2
    node.stop()
    assert retry(node, "web").returncode == 3


def test_a_service_that_failed_on_one_member_is_handed_to_the_other(pair: Pair) -> None:
    pair.template_set("checked", CHECKED.format(folder=pair.folder) + "restarts = 0\n", {})
    for name in ("node1", "node2"):
        (pair.folder / f"well-{name}").touch()
    pair.service("web", template_sets=["checked"], parameters={})
    members = [server_ldif(name, clusters=["pair"]) for name in ("node1", "node2")]
    pair.add(*members, cluster_ldif("pair", services=["web"], active="node1", relocFailover="automatic"))
    one, two = pair.node("node1"), pair.node("node2")
    until(lambda: has(one) and set(checks(one).values()) == {"ok"})
    (pair.folder / "well-node1").unlink()
    until(lambda: has(two) and not has(one))
    until(lambda: web(one)["failed_here"] and set(checks(two).values()) == {"ok"})
    assert not web(two)["failed_here"]


def test_a_check_of_the_server_fails_every_service(pair: Pair) -> None:
    pair.service("web")
    pair.add(linked("node1", "web"))
    check = {"command": ["test", "-e", str(pair.folder / "well")], "interval_s": 0.2, "start_s": 0.0}
    node = pair.node("node1", {"[health]": check})  # an array of tables
    until(lambda: has(node) and "well" in web(node)["failed_here"])
    (pair.folder / "well").touch()
    until(lambda: not web(node)["failed_here"])
