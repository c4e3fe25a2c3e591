"""A rename anywhere in the tree stops nothing: real slapd, real agents, real addresses, moves without a pause."""

from __future__ import annotations

import pytest

from tests.lab.deadline import until
from tests.lab.hosts.node import Node
from tests.lab.slapd.ldif import SUFFIX, cluster_dn, cluster_ldif, record, server_dn, service_dn, service_ldif
from tests.system.conftest import ADDRESS, Pair, actions, has, linked, state, status

ELSEWHERE = f"ou=elsewhere,{SUFFIX}"
PRESENT = {"handover": {"lease_s": 6.0}}


def renamed(dn: str, rdn: str, above: str = "") -> str:
    """The record that gives an entry another first RDN, and another place when that is said."""
    place = f"newsuperior: {above}\n" if above else ""
    return f"dn: {dn}\nchangetype: modrdn\nnewrdn: {rdn}\ndeleteoldrdn: 1\n{place}\n"


def relinked(server: str, old: str, new: str) -> str:
    """The record that corrects the link of a server."""
    swap = "".join(
        f"{verb}: relocServiceLink\nrelocServiceLink: {dn}\n-\n" for verb, dn in (("delete", old), ("add", new))
    )
    return f"dn: {server}\nchangetype: modify\n{swap}\n"


def dropped(*nodes: Node) -> list[str]:
    """What any of the agents has taken away."""
    return [action for node in nodes for action in actions(node) if action.startswith(("drop", "remove", "stop"))]


@pytest.fixture
def nodes(pair: Pair) -> tuple[Node, Node]:
    """Two servers; the first holds a service that is released when the lease runs out."""
    pair.service("web", relocIsolation="release")
    pair.add(record(ELSEWHERE, {"objectClass": "organizationalUnit"}))
    pair.add(linked("node1", "web"), linked("node2"))
    one, two = pair.node("node1", PRESENT), pair.node("node2", PRESENT)
    until(lambda: has(one) and state(one, "web") == "active")
    return one, two


def moves_on(pair: Pair, nodes: tuple[Node, Node], server: str, service: str) -> None:
    """A link of the second server moves the service there."""
    one, two = nodes
    pair.slapd.modify(f"dn: {server}\nchangetype: modify\nadd: relocServiceLink\nrelocServiceLink: {service}\n")
    until(lambda: has(two) and not has(one))
    until(lambda: state(two, "web") == "active")


def test_folder_of_services_renamed_and_links_corrected(pair: Pair, nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    pair.slapd.modify(renamed(f"ou=services,{SUFFIX}", "ou=things"))
    until(lambda: any("renamed" in problem["message"] for problem in status(one)["problems"]))
    moved = f"cn=web,ou=things,{SUFFIX}"
    pair.slapd.modify(relinked(server_dn("node1"), service_dn("web"), moved))
    until(lambda: not status(one)["problems"])
    assert has(one)
    assert dropped(one, two) == []
    moves_on(pair, nodes, server_dn("node2"), moved)


def test_folder_of_services_moved_below_another_one(pair: Pair, nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    pair.slapd.modify(renamed(f"ou=services,{SUFFIX}", "ou=services", ELSEWHERE))
    moved = f"cn=web,ou=services,{ELSEWHERE}"
    pair.slapd.modify(relinked(server_dn("node1"), service_dn("web"), moved))
    until(lambda: not status(one)["problems"])
    assert dropped(one, two) == []
    moves_on(pair, nodes, server_dn("node2"), moved)


def test_folder_of_servers_renamed(pair: Pair, nodes: tuple[Node, Node]) -> None:
    """The heartbeats go on below the new names, so that no lease runs out."""
    pair.slapd.modify(renamed(f"ou=servers,{SUFFIX}", "ou=hosts"))
    first, second = (f"cn={name},ou=hosts,{SUFFIX}" for name in ("node1", "node2"))
    until(lambda: first in pair.entry(f"cn=state,{service_dn('web')}"))
    assert dropped(*nodes) == []
    moves_on(pair, nodes, second, service_dn("web"))


def test_folders_renamed_while_the_agents_were_away(pair: Pair, nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    for node in nodes:
        node.stop()
    pair.slapd.modify(renamed(f"ou=services,{SUFFIX}", "ou=things") + renamed(f"ou=servers,{SUFFIX}", "ou=hosts"))
    for node in nodes:
        node.start()
    first, second = (f"cn={name},ou=hosts,{SUFFIX}" for name in ("node1", "node2"))
    moved = f"cn=web,ou=things,{SUFFIX}"
    until(lambda: first in pair.entry(f"cn=state,{moved}"))
    assert has(one)
    assert dropped(one, two) == []
    pair.slapd.modify(relinked(first, service_dn("web"), moved))
    until(lambda: not status(one)["problems"])
    moves_on(pair, nodes, second, moved)


def test_folder_of_a_class_that_is_not_followed_renamed(pair: Pair) -> None:
    """Nothing tells of what is below it: the corrected link is read directly."""
    racks = f"cn=racks,{SUFFIX}"
    pair.add(record(racks, {"objectClass": "applicationProcess"}))
    below = service_ldif("web", addresses=[f"{ADDRESS}/24"], template_sets=["plain"], parameters={"word": "hello"})
    pair.add(below.replace(service_dn("web"), f"cn=web,{racks}"))
    pair.add(linked("node1").rstrip() + f"\nrelocServiceLink: cn=web,{racks}\n\n", linked("node2"))
    one, two = pair.node("node1", PRESENT), pair.node("node2", PRESENT)
    until(lambda: has(one) and state(one, "web") == "active")
    moved = f"cn=web,cn=shelves,{SUFFIX}"
    pair.slapd.modify(renamed(racks, "cn=shelves"))
    pair.slapd.modify(relinked(server_dn("node1"), f"cn=web,{racks}", moved))
    until(lambda: any("whole directory again" in line.message for line in one.lines()))
    until(lambda: not status(one)["problems"])
    assert dropped(one, two) == []
    moves_on(pair, (one, two), server_dn("node2"), moved)


def test_cluster_and_its_folder_renamed(pair: Pair) -> None:
    pair.service("web")
    pair.add(cluster_ldif("both", services=["web"], active="node1"))
    servers = (linked(name).rstrip() + f"\nrelocClusterLink: {cluster_dn('both')}\n\n" for name in ("node1", "node2"))
    pair.add(*servers)
    one, two = pair.node("node1", PRESENT), pair.node("node2", PRESENT)
    until(lambda: has(one) and state(one, "web") == "active")
    pair.slapd.modify(renamed(f"ou=clusters,{SUFFIX}", "ou=groups") + renamed(f"cn=both,ou=groups,{SUFFIX}", "cn=all"))
    until(lambda: any("renamed" in problem["message"] for problem in status(two)["problems"]))
    activate = (
        f"dn: cn=all,ou=groups,{SUFFIX}\nchangetype: modify\nreplace: relocActive\nrelocActive: {server_dn('node2')}\n"
    )
    pair.slapd.modify(activate)
    until(lambda: has(two) and not has(one))


def test_renames_all_over_the_tree_while_the_service_moves(pair: Pair, nodes: tuple[Node, Node]) -> None:
    """Twenty moves between renames of everything above and beside: the service is somewhere at the end of each."""
    one, two = nodes
    folders = {"services": "ou=services", "servers": "ou=servers"}
    for number in range(20):
        source, target = (("node1", "node2"), ("node2", "node1"))[number % 2]
        kind = ("services", "servers")[number // 2 % 2]
        new = f"ou={kind}{number}"
        pair.slapd.modify(renamed(f"{folders[kind]},{SUFFIX}", new))
        folders[kind] = new
        service, servers = f"cn=web,{folders['services']},{SUFFIX}", f"{folders['servers']},{SUFFIX}"
        pair.slapd.modify(
            f"dn: cn={target},{servers}\nchangetype: modify\nreplace: relocServiceLink\nrelocServiceLink: {service}\n"
        )
        there = {"node1": one, "node2": two}[target]
        until(lambda: has(there), timeout_s=10)  # noqa: B023 - used up in its round
        until(lambda: "relocServiceLink" not in pair.entry(f"cn={source},{servers}"), timeout_s=10)  # noqa: B023
    assert has(one) != has(two)
