"""What befalls the machines while a page is read, because its text says so."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final

from tests.docs.debian_slapd import ADMIN
from tests.docs.world import PASSWORD_FILE, World
from tests.lab.deadline import until

__all__ = ["at", "changed", "power_off", "power_on", "ran"]

_DEADLINE_S: Final = 15.0
_LINK: Final = """\
dn: cn={name},ou=servers,ou=relocd,dc=example,dc=org
changetype: modify
add: relocServiceLink
relocServiceLink: cn=web,ou=services,ou=relocd,dc=example,dc=org
"""
_SERVERS: Final = "ou=servers,ou=relocd,dc=example,dc=org"
_FILTER: Final = "(relocServiceLink=cn=web,ou=services,ou=relocd,dc=example,dc=org)"
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
    argv = ["ldapmodify", "-a", "-x", "-D", ADMIN, "-y", PASSWORD_FILE, "-H", "ldapi:///"]
    world.directory.run(argv, text=ldif)


def at(name: str, world: World) -> None:
    """The service of the installation's page is on that server: node2 when the page ends."""
    address = ip_address("192.0.2.20")
    if name not in _linked(world):
        changed(_LINK.format(name=name), world)
    until(
        lambda: [host.name for host in world.lan.hosts.values() if address in host.addresses()] == [name], _DEADLINE_S
    )
    until(lambda: _linked(world) == [name], _DEADLINE_S)


def _linked(world: World) -> list[str]:
    """The servers that are linked to it: the old link goes last in a move."""
    argv = [
        "ldapsearch",
        "-x",
        "-LLL",
        "-o",
        "ldif-wrap=no",
        "-D",
        ADMIN,
        "-y",
        PASSWORD_FILE,
        "-b",
        _SERVERS,
        _FILTER,
        "cn",
    ]
    return re.findall(r"^cn: (.*)$", world.directory.run(argv), re.MULTILINE)
