"""What befalls the machines while a page is read, because its text says so."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from tests.docs.debian_slapd import ADMIN
from tests.docs.world import World
from tests.lab.deadline import until

__all__ = ["at_home", "changed", "power_off", "power_on", "ran"]

_DEADLINE_S: Final = 15.0
_HOME: Final = """\
dn: cn=node2,ou=servers,ou=relocd,dc=example,dc=org
changetype: modify
add: relocServiceLink
relocServiceLink: cn=web,ou=services,ou=relocd,dc=example,dc=org
"""
_DIE: Final = (
    "systemctl kill --kill-whom=all --signal=KILL relocd 'relocd-nginx@*'; systemctl stop relocd 'relocd-nginx@*'"
)


def power_off(name: str, world: World) -> None:
    """Its cable is pulled and all of relocd's and its services' processes are dead at once."""
    world.lan[name].cut()
    world.machines[name].run(["sh", "-c", _DIE])
    world.lan[name].reset()


def power_on(name: str, world: World) -> None:
    """It boots: nothing is left in its memory."""
    world.lan[name].heal()
    world.machines[name].run(["sh", "-c", "rm -rf /run/relocd; systemctl start relocd"])


def ran(name: str, script: str, world: World) -> None:
    """Somebody has done this on a machine; how it ended does not matter."""
    world.machines[name].run(["bash", "-c", f"{script}; true"])


def changed(ldif: str, world: World) -> None:
    """Somebody has changed this in the directory."""
    argv = ["ldapmodify", "-a", "-x", "-D", ADMIN, "-y", "/root/.relocd-password", "-H", "ldapi:///"]
    world.directory.run(argv, text=ldif)


def at_home(world: World) -> None:
    """The service of the installation's page is where that page leaves it."""
    address, home = ip_address("192.0.2.20"), world.lan["node2"]
    if address not in home.addresses():
        changed(_HOME, world)
    until(lambda: address in home.addresses() and address not in world.lan["node1"].addresses(), _DEADLINE_S)
