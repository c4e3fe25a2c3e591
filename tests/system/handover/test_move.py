"""`relocd move --wait` with real agents: what it shows, how it ends, and that the service is where it should be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.deadline import until
from tests.lab.hosts.stage import ADDRESS
from tests.lab.slapd.ldif import SUFFIX, cluster_ldif, link_ldif, server_ldif, service_ldif
from tests.lab.slapd.reading import links, state
from tests.system.handover.test_planned import broken_template, is_settled

RELOCD = str(Path(sys.executable).with_name("relocd"))


def relocd(stage, *arguments):
    """The command as an administrator gives it on the directory's host."""
    own = os.environ | {"RELOCD_URI": stage.slapd.ldapi_uri, "RELOCD_BASE": SUFFIX, "RELOCD_EXTERNAL": "1"}
    done = subprocess.run([RELOCD, *arguments], env=own, capture_output=True, text=True, timeout=60, check=False)
    print(done.stdout, done.stderr)
    return done


def in_json(stage, *arguments):
    return json.loads(relocd(stage, *arguments, "--json").stdout)


def test_move_is_followed_until_all_is_cleaned_up(staged):
    stage = staged()
    stage.opens("web", template_sets=["unit"])
    until(lambda: not in_json(stage, "move", "web", "node2", "--dry-run")["warnings"])
    done = relocd(stage, "move", "web", "node2", "--wait")
    assert (done.returncode, done.stderr) == (0, "")
    assert "web: node2 runs it, and cleanup is done\ndone in " in done.stdout
    assert is_settled(stage, "node2", 2)
    assert (stage.holders(), links(stage.slapd, "node1")) == (["node2"], frozenset())
    assert in_json(stage, "explain", "web")["next"] == []
    again = relocd(stage, "move", "web", "node2", "--wait")
    assert (again.returncode, again.stderr) == (0, "")
    assert in_json(stage, "move", "web", "node2", "--dry-run")["ldif"] == ""


def test_move_to_a_server_whose_agent_is_down_says_so_and_takes_nothing(staged):
    stage = staged()
    stage.opens("web", on=("node1",), template_sets=["unit"])
    done = relocd(stage, "move", "web", "node2", "--wait", "--timeout", "1")
    assert done.returncode == 1
    assert "web: node1 holds it; node2 has never been heard" in done.stderr
    assert [each["kind"] for each in in_json(stage, "move", "web", "node2", "--dry-run")["warnings"]] == [
        "target-silent"
    ]
    assert is_settled(stage, "node1", 1)
    assert stage.holders() == ["node1"]
    assert stage.unit("node1", "web").runs


def test_move_to_a_server_that_is_not_ready_gives_its_own_reason(staged):
    stage = staged()
    stage.opens("web", on=("node1",), template_sets=["unit"])
    broken_template(stage)
    done = relocd(stage, "move", "web", "node2", "--wait", "--timeout", "3")
    assert done.returncode == 1
    assert "nonsense" in done.stderr
    node2 = next(each for each in in_json(stage, "explain", "web")["servers"] if each["name"] == "node2")
    assert [each["kind"] for each in node2["needs"]] == ["problems-solved"]
    assert is_settled(stage, "node1", 1)


def test_move_that_fails_there_ends_at_once_with_the_reason(staged):
    """Not at the timeout: it was given back. Who asks later is told, too."""
    stage = staged()
    stage.opens("web", template_sets=["unit"])
    stage.unit("node2", "web").spoil()
    done = relocd(stage, "move", "web", "node2", "--wait", "--timeout", "30")
    assert done.returncode == 1
    assert state(stage.slapd, "web").generation == 3
    assert stage.holders() == ["node1"]
    until(lambda: "node2: web: given back at 20" in relocd(stage, "status", "--check").stdout)


def test_failover_of_a_fenced_server_moves_links_and_clusters(staged):
    """One is linked directly, the other one moves with its cluster."""
    stage = staged(lease_s=10.0)
    stage.slapd.add(
        service_ldif("web", addresses=[f"{ADDRESS}/24"], template_sets=["unit"])
        + service_ldif("mail", addresses=["192.0.2.11/24"], template_sets=["unit"])
        + cluster_ldif("pair", services=["mail"], active="node1")
        + server_ldif("node1", services=["web"], clusters=["pair"])
        + server_ldif("node2", clusters=["pair"])
    )
    stage.start()
    until(lambda: [stage.stands("node1", name) for name in ("web", "mail")] == ["active", "active"])
    until(lambda: stage.stands("node2", "mail") == "standby")
    stage.nodes["node1"].kill()
    stage.lan["node1"].cut()
    done = relocd(stage, "failover", "node1", "--fenced", "--wait", "--timeout", "15")
    assert done.returncode == 0, done.stderr
    assert "warning: node1 was heard " in done.stdout
    assert [state(stage.slapd, name).holder for name in ("web", "mail")] == ["node2", "node2"]
    assert stage.stands("node2", "web") == stage.stands("node2", "mail") == "active"


@pytest.mark.parametrize("order", [("link", "web", "node2"), ("activate", "pair", "node2")])
def test_other_orders_are_followed_the_same_way(staged, order):
    stage = staged()
    kind = {"clusters": ["pair"]} if order[0] == "activate" else {}
    stage.slapd.add(
        service_ldif("web", addresses=[f"{ADDRESS}/24"], template_sets=["plain"])
        + (cluster_ldif("pair", services=["web"], active="node1") if kind else "")
        + "".join(server_ldif(name, **kind) for name in stage.names)
    )
    if not kind:
        stage.slapd.modify(link_ldif("web", "node1"))
    stage.start()
    until(lambda: stage.stands("node1", "web") == "active")
    done = relocd(stage, *order, "--wait")
    assert done.returncode == 0, done.stderr
    assert is_settled(stage, "node2", 2)
    assert stage.holders() == ["node2"]
