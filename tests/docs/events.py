"""What befalls the machines while a page is read, because its text says so."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final

from tests.docs.debian_slapd import ADMIN
from tests.docs.world import PASSWORD_FILE, World
from tests.lab.deadline import until

__all__ = ["at", "changed", "directory_lost", "files_unlinked", "power_off", "power_on", "ran", "with_programs"]

_DEADLINE_S: Final = 15.0
_LINK: Final = """\
dn: cn={name},ou=servers,ou=relocd,dc=example,dc=org
changetype: modify
add: relocServiceLink
relocServiceLink: cn=web,ou=services,ou=relocd,dc=example,dc=org
"""
_LINKED: Final = "(relocServiceLink=cn=web,ou=services,ou=relocd,dc=example,dc=org)"
_FILES: Final = "cn=files,ou=services,ou=relocd,dc=example,dc=org"
_UNITS: Final = "relocd 'relocd-nginx@*' 'relocd-openldap*' slapd"
_DIE: Final = f"systemctl kill --kill-whom=all --signal=KILL {_UNITS}; systemctl stop {_UNITS}; true"
_BOOT: Final = "rm -rf /run/relocd; systemctl start slapd; systemctl start relocd"


def with_programs(world: World) -> None:
    """The programs are where docs/install.md puts them."""
    for name in world.machines:
        ran(name, "ln -s /opt/relocd/bin/relocd* /usr/local/sbin/", world)


def power_off(name: str, world: World) -> None:
    """Its cable is pulled and all of relocd's and its services' processes are dead at once."""
    world.lan[name].cut()
    world.machines[name].run(["sh", "-c", _DIE])
    world.lan[name].reset()


def power_on(name: str, world: World) -> None:
    """It boots: nothing is left in its memory. It has done so when it does not count as switched off any more."""
    world.lan[name].heal()
    world.machines[name].run(["sh", "-c", _BOOT])
    until(lambda: name not in _servers("(relocFenced=TRUE)", world), _DEADLINE_S)


def directory_lost(server: str, world: World) -> None:
    """The directory was away, until that server's agent has said so."""
    said = "journalctl --quiet -t relocd -o cat --grep='directory lost'"
    before = ran(server, said, world)
    world.directory.run(["systemctl", "stop", "slapd"])
    until(lambda: ran(server, said, world) != before, _DEADLINE_S)
    world.directory.run(["systemctl", "start", "slapd"])


def ran(name: str, script: str, world: World) -> str:
    """Somebody has done this on a machine; what it printed. How it ended does not matter."""
    return world.machines[name].run(["bash", "-c", f"{script}; true"])


def changed(ldif: str, world: World) -> None:
    """Somebody has changed this in the directory."""
    argv = ["ldapmodify", "-a", "-x", "-D", ADMIN, "-y", PASSWORD_FILE, "-H", "ldapi:///"]
    world.directory.run(argv, text=ldif)


def files_unlinked(world: World) -> None:
    """The page has its servers for itself: the service of another page is linked to none."""
    for name in _servers(f"(relocServiceLink={_FILES})", world):
        server = f"cn={name},ou=servers,ou=relocd,dc=example,dc=org"
        changed(f"dn: {server}\nchangetype: modify\ndelete: relocServiceLink\nrelocServiceLink: {_FILES}\n", world)


def at(name: str, world: World) -> None:
    """The service of the installation's page is on that server: node2 when the page ends."""
    address = ip_address("192.0.2.20")
    until(lambda: len(_servers(_LINKED, world)) < 2, _DEADLINE_S)  # else a move is under way, which deletes a link
    if name not in _servers(_LINKED, world):
        changed(_LINK.format(name=name), world)
    until(
        lambda: [host.name for host in world.lan.hosts.values() if address in host.addresses()] == [name], _DEADLINE_S
    )
    until(lambda: _servers(_LINKED, world) == [name], _DEADLINE_S)  # the old link goes last in a move


def _servers(filter_: str, world: World) -> list[str]:
    """The servers with an entry that is so, as an administrator reads it."""
    argv = ["ldapsearch", "-x", "-LLL", "-D", ADMIN, "-y", PASSWORD_FILE, "-H", "ldapi:///"]
    found = world.directory.run([*argv, "-b", "ou=servers,ou=relocd,dc=example,dc=org", filter_, "cn"])
    return re.findall(r"^cn: (.*)$", found, re.MULTILINE)
