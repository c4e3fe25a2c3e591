"""The seed's pair of base servers without agents: what they will do is done here by hand, in their order.

Control suffix by `relocd init-pair`, the data's primary by `relocd-openldap`, the primary's address moved by netlink.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ldap
import pytest

from tests.integration.openldap_lab import Program, described, in_step, wanted
from tests.lab.deadline import until
from tests.lab.hosts.base_server import ADMIN, DATA, BasePair, data_ldif, person_ldif
from tests.lab.hosts.hosts import entered
from tests.lab.slapd.control_pair import control, meet
from tests.lab.slapd.ldif import server_dn, service_dn
from tests.lab.slapd.slapd import PASSWORD

ADDRESS = "192.0.2.10"
PRIMARY = wanted("provider", f"ldap://{ADDRESS}")
SECONDARY = wanted("consumer", f"ldap://{ADDRESS}")


class Rig:
    """The pair with its programs; node1 has the primary."""

    def __init__(self, pair: BasePair, folder: Path) -> None:
        self.pair = pair
        self.servers = pair.servers
        self.programs = [Program(server, folder / server.host.name) for server in self.servers if server.host]

    def begin(self) -> None:
        meet(self.servers)
        self.servers[0].add(data_ldif() + person_ldif("anna"))
        self.move(None, 0)
        self.programs[1].done("apply", SECONDARY, "secondary")
        in_step(*self.servers)
        links = {"node1": "ldapPrimary", "node2": "ldapSecondary"}
        client = self.servers[0].bound(ADMIN)
        for name, service in links.items():
            link = [service_dn(service).encode()]
            client.add_s(server_dn(name), [("objectClass", [b"device", b"relocServer"]), ("relocServiceLink", link)])
        client.unbind_s()
        until(lambda: control(self.servers[0]) == control(self.servers[1]))

    def move(self, old: int | None, new: int) -> None:
        """What agents do for a move of the primary: no more writes, address, role; role, address, announcement."""
        if old is not None:
            self.programs[old].done("close", PRIMARY, "primary")
            self.withdraw(old)
            self.programs[old].done("release", PRIMARY, "primary")
            self.forget(old)
        host = self.servers[new].host
        assert host
        self.programs[new].done("apply", PRIMARY, "primary")
        host.run(["ip", "address", "add", f"{ADDRESS}/24", "dev", host.interface])
        for other in self.pair.lan.hosts.values():
            other.run(["ip", "neigh", "flush", "to", ADDRESS, "dev", other.interface])

    def withdraw(self, node: int) -> None:
        host = self.servers[node].host
        assert host
        host.run(["ip", "address", "delete", f"{ADDRESS}/24", "dev", host.interface])

    def forget(self, node: int) -> None:
        (self.programs[node].folder / "primary.toml").unlink()

    def written(self, description: str) -> None:
        """A client writes at the primary's address."""
        with entered(self.pair.lan["client"]):
            client = ldap.initialize(f"ldap://{ADDRESS}")
            client.set_option(ldap.OPT_NETWORK_TIMEOUT, 5.0)
            client.simple_bind_s(ADMIN, PASSWORD)
            client.modify_s(f"cn=anna,{DATA}", [(ldap.MOD_REPLACE, "description", [description.encode()])])
            client.unbind_s()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with BasePair() as pair:
        rig = Rig(pair, tmp_path)
        rig.begin()
        yield rig


def test_node1_dies_one_ldapmodify_moves_the_primary_and_node1_returns_as_the_secondary(rig: Rig) -> None:
    node1, node2 = rig.servers
    rig.written("before")
    in_step(node1, node2)
    node1.kill()
    rig.withdraw(0)
    rig.forget(0)
    # The failover, accepted by the node that lives.
    client = node2.bound(ADMIN)
    link = [(ldap.MOD_REPLACE, "relocServiceLink", [service_dn("ldapPrimary").encode()])]
    client.modify_s(server_dn("node2"), link)
    client.unbind_s()
    rig.move(None, 1)
    rig.written("after")
    assert described(node2) == {"anna": "after"}
    node1.start()
    until(lambda: control(node1) == control(node2))
    rig.programs[0].done("apply", SECONDARY, "secondary")
    in_step(node1, node2)
    assert control(node1)[server_dn("node2")]["relocServiceLink"] == [service_dn("ldapPrimary")]


def test_a_planned_move_loses_no_write_and_the_old_primary_follows_the_address(rig: Rig) -> None:
    node1, node2 = rig.servers
    for number in range(3):
        rig.written(f"{number}")
        in_step(node1, node2)
        old = number % 2
        rig.move(old, 1 - old)
        rig.written(f"{number}, moved")
        rig.programs[old].done("apply", SECONDARY, "secondary")
        in_step(node1, node2)
    assert described(node1) == described(node2) == {"anna": "2, moved"}
