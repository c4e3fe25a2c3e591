"""The seed's pair of base servers with real agents: roles follow links, and a failover is one ldapmodify.

What is told to the directory is told to one node's own slapd; how agents hand over in order is tested elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import ldap
import pytest

from tests.integration.openldap_lab import described, in_step
from tests.lab.deadline import until
from tests.lab.hosts.base_server import ADMIN, DATA, BasePair, BaseServer, data_ldif, person_ldif
from tests.lab.hosts.hosts import entered
from tests.lab.hosts.node import Node
from tests.lab.scenarios.pair_agents import ADDRESS, agent, pair_ldif
from tests.lab.slapd.control_pair import control, meet
from tests.lab.slapd.ldif import server_dn, service_dn
from tests.lab.slapd.slapd import PASSWORD

PATIENCE_S = 30.0


class Rig:
    """The pair with an agent on each server."""

    def __init__(self, pair: BasePair, folder: Path, stack: ExitStack) -> None:
        self.pair = pair
        self.node1, self.node2 = pair.servers
        meet(pair.servers)
        self.node1.add(data_ldif() + person_ldif("anna"))
        self.node1.add_as(ADMIN, pair_ldif())
        until(lambda: control(self.node1) == control(self.node2))
        self.agents: dict[str, Node] = {}
        for name in pair.nodes:
            self.agents[name] = stack.enter_context(agent(pair, name, folder / name, {"agent": {"retry_max_s": 2.0}}))

    def written(self, description: str) -> bool:
        """Whether a client could write at the primary's address."""
        with entered(self.pair.lan["client"]):
            client = ldap.initialize(f"ldap://{ADDRESS}")
            client.set_option(ldap.OPT_NETWORK_TIMEOUT, 1.0)
            client.set_option(ldap.OPT_TIMEOUT, 1.0)
            client.set_option(ldap.OPT_REFERRALS, ldap.OPT_OFF)
            try:
                client.simple_bind_s(ADMIN, PASSWORD)
                client.modify_s(f"cn=anna,{DATA}", [(ldap.MOD_REPLACE, "description", [description.encode()])])
            except (ldap.SERVER_DOWN, ldap.TIMEOUT, ldap.REFERRAL):
                return False
            finally:
                client.unbind_s()
        return True


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with ExitStack() as stack:
        pair = stack.enter_context(BasePair())
        rig = Rig(pair, tmp_path, stack)
        yield rig
        for name, node in rig.agents.items():  # shown by pytest when the test failed
            print("---", name, node.log_text(), sep="\n")


def links(**services: str) -> str:
    """One ldapmodify that gives each server its one link."""
    return "\n".join(
        f"dn: {server_dn(name)}\nchangetype: modify\nreplace: relocServiceLink\n"
        f"relocServiceLink: {service_dn(service)}\n-\n"
        for name, service in services.items()
    )


def follows(server: BaseServer) -> bool:
    """Whether the data of a server is a consumer's."""
    return any(values.get("olcUpdateRef") for values in server.config().values())


def test_roles_follow_links_there_and_back(rig: Rig) -> None:
    until(lambda: rig.written("first"), PATIENCE_S)
    until(lambda: follows(rig.node2), PATIENCE_S)
    in_step(rig.node1, rig.node2)
    rig.node2.modify_as(ADMIN, links(node1="ldapSecondary", node2="ldapPrimary"))
    until(lambda: follows(rig.node1) and not follows(rig.node2), PATIENCE_S)
    until(lambda: rig.written("second"), PATIENCE_S)
    until(lambda: described(rig.node1) == described(rig.node2) == {"anna": "second"}, PATIENCE_S)


def test_node1_dies_and_one_ldapmodify_at_node2_moves_the_primary(rig: Rig) -> None:
    until(lambda: rig.written("before"), PATIENCE_S)
    in_step(rig.node1, rig.node2)
    rig.agents["node1"].kill()
    rig.node1.kill()
    rig.node1.host.run(["ip", "address", "delete", f"{ADDRESS}/24", "dev", "eth0"])
    rig.node2.modify_as(ADMIN, links(node1="ldapSecondary", node2="ldapPrimary"))
    until(lambda: rig.written("after"), PATIENCE_S)
    rig.node1.start()
    rig.agents["node1"].start()
    until(lambda: follows(rig.node1), PATIENCE_S)
    until(lambda: described(rig.node1) == {"anna": "after"}, PATIENCE_S)
    until(lambda: control(rig.node1) == control(rig.node2))  # an agent's heartbeat may be on its way
