"""The history of a service with real agents under the shipped access rules: who began each move, and what it cost."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from relocd.schema.acl import FILES
from tests.lab.deadline import until
from tests.lab.hosts.hosts import Lan
from tests.lab.slapd.ldif import (
    SUFFIX,
    activate_ldif,
    cluster_ldif,
    fence_ldif,
    link_ldif,
    record,
    server_dn,
    service_dn,
)
from tests.lab.slapd.slapd import PASSWORD, SCHEMA, Slapd
from tests.system.conftest import Pair, has

ANNA = f"cn=anna,{SUFFIX}"
ADMINS, TRIGGERS = f"cn=admins,{SUFFIX}", f"cn=triggers,{SUFFIX}"
ROBOT = f"cn=robot,{SUFFIX}"


@pytest.fixture
def guarded(lan: Lan, tmp_path: Path) -> Iterator[Pair]:
    rules = [f"include {SCHEMA / FILES['schema']}"]
    with ExitStack() as stack:
        slapd = stack.enter_context(Slapd(host=lan["ldap"], durable=False, database_lines=rules))
        pair = Pair(lan, slapd, tmp_path, stack)
        pair.add(account(ANNA), account(ROBOT), group(ADMINS, ANNA), group(TRIGGERS, ROBOT))
        yield pair
        for node in pair.nodes.values():
            print("---", node.host.name, node.log_text(), sep="\n")


def account(dn: str) -> str:
    classes = ("organizationalRole", "simpleSecurityObject")
    return record(dn, {"objectClass": classes, "userPassword": PASSWORD})


def group(dn: str, member: str) -> str:
    return record(dn, {"objectClass": "groupOfNames", "member": member})


def server(name: str, **links: list[str]) -> str:
    classes = ("device", "simpleSecurityObject", "relocServer")
    return record(server_dn(name), {"objectClass": classes, "userPassword": PASSWORD, **links})


def started(pair: Pair, **more: dict[str, Any]) -> None:
    for name in ("node1", "node2"):
        pair.node(name, {"directory": {"bind_dn": server_dn(name)}, "handover": {"lease_s": 2.0}, **more})


def modify_as(pair: Pair, who: str, ldif: str) -> None:
    command = ["ldapmodify", "-x", "-H", pair.slapd.ldapi_uri, "-D", who, "-w", PASSWORD]
    subprocess.run(command, input=ldif, text=True, capture_output=True, check=True, timeout=10)


def history(pair: Pair, service: str = "web") -> list[dict[str, Any]]:
    """The records in the directory, the oldest first."""
    found = subprocess.run(
        pair.slapd.command("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", f"cn=history,{service_dn(service)}"),
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    prefix = "relocHistoryRecord: "
    return [json.loads(each.removeprefix(prefix)) for each in sorted(found.stdout.splitlines()) if prefix in each]


def test_a_move_is_recorded_with_the_person_who_ordered_it(guarded: Pair) -> None:
    guarded.service("web")
    guarded.add(server("node1", relocServiceLink=[service_dn("web")]), server("node2"))
    started(guarded)
    one, two = guarded.nodes["node1"], guarded.nodes["node2"]
    until(lambda: has(one) and len(history(guarded)) == 1)
    modify_as(guarded, ANNA, link_ldif("web", "node2"))
    until(lambda: has(two) and len(history(guarded)) == 2)
    moved = history(guarded)[1]
    assert {name: moved[name] for name in ("event", "generation", "from", "to", "rule", "by")} == {
        "event": "served",
        "generation": 2,
        "from": server_dn("node1"),
        "to": server_dn("node2"),
        "rule": "R3",
        "by": ANNA,
    }
    modify_as(guarded, ANNA, link_ldif("web", "node2", verb="delete"))
    until(lambda: len(history(guarded)) == 3)
    released = history(guarded)[2]
    assert (released["event"], released["from"], released["by"]) == ("released", server_dn("node2"), ANNA)
    assert "to" not in released


def test_a_cluster_names_the_trigger_that_made_a_member_active_or_fenced_one(guarded: Pair) -> None:
    guarded.service("web")
    members = [server(name, relocClusterLink=[f"cn=pair,ou=clusters,{guarded.suffix}"]) for name in ("node1", "node2")]
    guarded.add(*members, cluster_ldif("pair", services=["web"], active="node1", relocFailover="automatic"))
    started(guarded)
    one, two = guarded.nodes["node1"], guarded.nodes["node2"]
    until(lambda: has(one) and len(history(guarded)) == 1)
    modify_as(guarded, ROBOT, activate_ldif("pair", "node2"))
    until(lambda: has(two) and len(history(guarded)) == 2)
    assert history(guarded)[1]["by"] == ROBOT
    two.kill()
    guarded.lan["node2"].cut()
    modify_as(guarded, ROBOT, fence_ldif("node2"))
    until(lambda: has(one) and len(history(guarded)) == 3)
    taken = history(guarded)[2]
    assert (taken["rule"], taken["by"], taken["to"]) == ("R8", ROBOT, server_dn("node1"))


def test_a_record_wakes_no_agent(guarded: Pair) -> None:
    """The agents' searches leave the history out: what is written there is no change that they see."""
    guarded.service("web")
    guarded.add(server("node1", relocServiceLink=[service_dn("web")]), server("node2"))
    started(guarded)
    until(lambda: len(history(guarded)) == 1)
    modify_as(guarded, ANNA, link_ldif("web", "node2"))
    until(lambda: len(history(guarded)) == 2)
    for node in guarded.nodes.values():
        seen = [line for line in node.log_text().splitlines() if "change seen" in line]
        assert seen
        assert [line for line in seen if "cn=history" in line] == []


def test_a_move_waits_for_nobody_who_is_told(guarded: Pair) -> None:
    """The program hangs, and the web server's host does not exist; both moves are over long before either is given up.

    Once the program is killed at its time limit it is run again with the same event.
    """
    told = guarded.folder / "told"
    script = f"cat >>{told}; exec sleep 600"
    guarded.service("web")
    guarded.add(server("node1", relocServiceLink=[service_dn("web")]), server("node2"))
    targets = {"command": ["/bin/sh", "-c", script], "webhook": "http://192.0.2.250:9/hook", "timeout_s": 3.0}
    started(guarded, notify=targets)
    one, two = guarded.nodes["node1"], guarded.nodes["node2"]
    until(lambda: has(one) and told.exists())
    modify_as(guarded, ANNA, link_ldif("web", "node2"))
    until(lambda: has(two) and len(history(guarded)) == 2, 2.0)
    modify_as(guarded, ANNA, link_ldif("web", "node1"))
    until(lambda: has(one) and len(history(guarded)) == 3, 2.0)
    assert all(each["took_ms"] < 1000 for each in history(guarded))
    until(lambda: told.read_text().count('"generation": 1') > 1, 15.0)
    for node in (one, two):
        for target in ("command", "webhook"):
            until(lambda said=f"cannot be sent what={target}", node=node: said in node.log_text())
