"""Two base servers that do not see each other for a while: each its own provider, its own agent, and one service."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.lab.deadline import until
from tests.lab.hosts.base_server import ADMIN, BasePair, BaseServer
from tests.lab.hosts.node import Node
from tests.lab.slapd.control_pair import control, meet
from tests.lab.slapd.ldif import link_ldif, record, server_dn, service_dn, service_ldif, state_dn
from tests.lab.slapd.slapd import PASSWORD
from tests.system.conftest import has, status

ADDRESS: Final = "192.0.2.77"
LEASE_S: Final = 3.0
ROUNDS: Final = 8
PATIENCE_S: Final = 40.0
"""A consumer of slapd waits for some seconds before it asks a peer again that it has lost."""


class Rig:
    """The pair, its control suffix in both slapds, and an agent on each server that follows its own slapd."""

    def __init__(self, pair: BasePair, folder: Path, stack: ExitStack) -> None:
        self.pair = pair
        self.node1, self.node2 = pair.servers
        meet(pair.servers)
        self.node1.add_as(ADMIN, _entries())
        until(lambda: self.state(self.node2) == self.state(self.node1) and server_dn("node2") in control(self.node2))
        self.agents = {name: stack.enter_context(self._agent(name, folder / name)) for name in pair.nodes}

    def state(self, server: BaseServer) -> dict[str, list[str]]:
        """The state of the service as one provider has it, empty where there is none."""
        return control(server).get(state_dn("web"), {})

    def holder(self, server: BaseServer) -> str:
        named = self.state(server).get("relocHolder", [""])[0]
        return named.partition(",")[0].removeprefix("cn=")

    def ordered(self, server: BaseServer, to: str) -> bool:
        """Link a server at one provider; whether it was not linked there already."""
        try:
            server.modify_as(ADMIN, link_ldif("web", to))
        except RuntimeError as error:
            if "exists" not in str(error):
                raise
            return False
        return True

    def is_alone(self, name: str) -> bool:
        """Whether one server has the address, and it alone is linked by either provider."""
        held = [each for each, node in self.agents.items() if has(node, ADDRESS)]
        linked = [
            each
            for each in self.agents
            for server in self.pair.servers
            if "relocServiceLink" in control(server)[server_dn(each)]
        ]
        return held == [name] and set(linked) == {name}

    def _agent(self, name: str, folder: Path) -> Node:
        tables = {
            "directory": {"bind_dn": server_dn(name)},
            "guards": {"folders": ["/etc/relocd"]},
            "handover": {"lease_s": LEASE_S},
        }
        node = Node(self.pair.lan[name], folder, [self.pair[name].ldapi_uri], tables=tables, folders=["/etc/relocd"])
        node.place("/etc/relocd/echo").mkdir(parents=True)
        return node


def _entries() -> str:
    classes = ("device", "simpleSecurityObject", "relocServer")
    links = {"node1": [service_dn("web")], "node2": []}
    servers = [
        record(server_dn(name), {"objectClass": classes, "userPassword": PASSWORD, "relocServiceLink": services})
        for name, services in links.items()
    ]
    return service_ldif("web", addresses=[f"{ADDRESS}/24"], template_sets=["script-echo"]) + "".join(servers)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with ExitStack() as stack:
        pair = stack.enter_context(BasePair())
        rig = Rig(pair, tmp_path, stack)
        yield rig
        for name, node in rig.agents.items():  # shown by pytest when the test failed
            print("---", name, node.log_text(), sep="\n")


@pytest.mark.timeout(150)
def test_cut_apart_the_second_takes_over_and_healed_the_first_lets_go(rig: Rig) -> None:
    """A cut machine keeps its service (`keep`) where nobody hears it; healed, one of the two has it, and both agree."""
    one, two = rig.agents["node1"], rig.agents["node2"]
    until(lambda: has(one, ADDRESS) and rig.holder(rig.node2) == "node1", PATIENCE_S)
    rig.pair.lan["node1"].cut()
    rig.node2.modify_as(ADMIN, link_ldif("web", "node2"))
    until(lambda: has(two, ADDRESS), PATIENCE_S)
    assert rig.holder(rig.node2) == "node2"
    assert has(one, ADDRESS)
    assert rig.holder(rig.node1) == "node1"
    healed_s = time.monotonic()
    rig.pair.lan["node1"].heal()
    until(lambda: not has(one, ADDRESS), PATIENCE_S)
    two_answered_s = time.monotonic() - healed_s
    print(f"both had the address for {two_answered_s * 1000:.0f} ms after the heal")
    assert two_answered_s < 0.2
    assert rig.holder(rig.node1) == "node1"  # its own provider has yet to hear of the other holder
    assert has(two, ADDRESS)
    until(lambda: rig.state(rig.node1) == rig.state(rig.node2), PATIENCE_S)
    assert rig.holder(rig.node1) == "node2"
    until(lambda: "relocServiceLink" not in control(rig.node1)[server_dn("node1")], PATIENCE_S)
    until(lambda: not status(one)["problems"] and not status(two)["problems"], PATIENCE_S)
    assert [has(one, ADDRESS), has(two, ADDRESS)] == [False, True]


@pytest.mark.timeout(150)
def test_a_planned_move_is_told_to_either_provider(rig: Rig) -> None:
    one, two = rig.agents["node1"], rig.agents["node2"]
    until(lambda: has(one, ADDRESS) and rig.holder(rig.node2) == "node1", PATIENCE_S)
    rig.node1.modify_as(ADMIN, link_ldif("web", "node2"))
    until(lambda: has(two, ADDRESS) and not has(one, ADDRESS), PATIENCE_S)
    until(lambda: "relocServiceLink" not in control(rig.node2)[server_dn("node1")], PATIENCE_S)
    rig.node2.modify_as(ADMIN, link_ldif("web", "node1"))
    until(lambda: has(one, ADDRESS) and not has(two, ADDRESS), PATIENCE_S)
    until(lambda: rig.state(rig.node1) == rig.state(rig.node2), PATIENCE_S)


@pytest.mark.timeout(150)
def test_orders_at_both_providers_at_once_leave_a_service_that_follows_the_next_one(rig: Rig) -> None:
    """Each provider may keep a candidate of its own then, under the same change number."""
    names = ["node1", "node2"]
    until(lambda: has(rig.agents["node1"], ADDRESS) and rig.holder(rig.node2) == "node1", PATIENCE_S)
    for number in range(ROUNDS):
        here, there = names if number % 2 == 0 else names[::-1]
        with ThreadPoolExecutor(2) as both:
            list(both.map(lambda server, to=there: rig.ordered(server, to), rig.pair.servers))
        until(lambda to=there: rig.is_alone(to), PATIENCE_S)
    assert not rig.is_alone(here)
