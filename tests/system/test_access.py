"""Two agents that bind as their own server entries, under the access rules that are shipped: nothing more is needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from relocd.schema.acl import FILES
from tests.lab.deadline import until
from tests.lab.hosts.hosts import Lan
from tests.lab.slapd.ldif import (
    activate_ldif,
    cluster_ldif,
    fence_ldif,
    link_ldif,
    record,
    server_dn,
    service_dn,
    state_dn,
)
from tests.lab.slapd.slapd import PASSWORD, SCHEMA, Slapd
from tests.system.conftest import PLAIN, Pair, has, problems, state, status


@pytest.fixture
def guarded(lan: Lan, tmp_path: Path) -> Iterator[Pair]:
    rules = [f"include {SCHEMA / FILES['schema']}"]
    with ExitStack() as stack:
        slapd = stack.enter_context(Slapd(host=lan["ldap"], durable=False, database_lines=rules))
        pair = Pair(lan, slapd, tmp_path, stack)
        yield pair
        for node in pair.nodes.values():
            print("---", node.host.name, node.log_text(), sep="\n")


def server(name: str, **links: list[str]) -> str:
    classes = ("device", "simpleSecurityObject", "relocServer")
    return record(server_dn(name), {"objectClass": classes, "userPassword": PASSWORD, **links})


def nodes(pair: Pair) -> None:
    for name in ("node1", "node2"):
        pair.node(name, {"directory": {"bind_dn": server_dn(name)}, "handover": {"lease_s": 2.0}})


def test_a_service_with_a_secret_moves_is_taken_over_and_comes_back(guarded: Pair) -> None:
    """No agent ever says that its secret is undefined, though it can be read only after the link was seen."""
    guarded.template_set("plain", PLAIN.format(folder=guarded.files), {"plain.j2": "{{ secrets.word }}\n"})
    guarded.service("web", relocSecret="word=s3cret")
    guarded.add(server("node1", relocServiceLink=[service_dn("web")]), server("node2"))
    nodes(guarded)
    one, two = guarded.nodes["node1"], guarded.nodes["node2"]
    until(lambda: has(one))
    guarded.slapd.modify(link_ldif("web", "node2"))
    until(lambda: has(two) and not has(one))
    until(lambda: service_dn("web") not in guarded.entry(server_dn("node1")))
    two.kill()
    guarded.lan["node2"].cut()
    guarded.slapd.modify(fence_ldif("node2") + "\n" + link_ldif("web", "node1"))
    until(lambda: has(one))
    assert "relocPrevious" not in guarded.entry(state_dn("web"))
    assert "relocGeneration: 3" in guarded.entry(state_dn("web"))
    guarded.lan["node2"].heal()
    two.start()
    until(lambda: not has(two) and "relocFenced" not in guarded.entry(server_dn("node2")))
    for node in (one, two):
        assert status(node)["problems"] == []
        assert problems(node, "web") == ""
        assert "undefined" not in node.log_text()


def test_a_cluster_fails_over_by_itself(guarded: Pair) -> None:
    guarded.service("web")
    members = [server(name, relocClusterLink=[f"cn=pair,ou=clusters,{guarded.suffix}"]) for name in ("node1", "node2")]
    guarded.add(*members, cluster_ldif("pair", services=["web"], relocFailover="automatic"))
    nodes(guarded)
    one, two = guarded.nodes["node1"], guarded.nodes["node2"]
    until(lambda: has(one))  # the first in order
    guarded.slapd.modify(activate_ldif("pair", "node2"))
    until(lambda: has(two) and state(one, "web") == "standby")
    assert not has(one)


def test_what_the_rules_forbid_is_a_problem_and_names_them(guarded: Pair) -> None:
    guarded.service("web")
    guarded.add(server("node1", relocServiceLink=[service_dn("web")]), server("node2"))
    one = guarded.node("node1", {"directory": {"bind_dn": server_dn("node2")}})
    until(lambda: any("relocd schema --acl" in problem["message"] for problem in status(one)["problems"]))
    assert not has(one)
