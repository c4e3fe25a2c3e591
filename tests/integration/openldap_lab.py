"""What the tests of `relocd-openldap` share: role files, the program itself, two base servers, and what is in them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import ldap

from relocd.openldap.role import WantedRole
from tests.lab.deadline import until
from tests.lab.hosts.base_server import ADMIN, DATA, READER, BaseServer
from tests.lab.hosts.node import toml
from tests.lab.slapd.slapd import PASSWORD

__all__ = ["Program", "changed", "described", "in_step", "role_file", "wanted"]

PROGRAM = str(Path(sys.executable).with_name("relocd-openldap"))


def wanted(role: str, primary: str, **more: object) -> WantedRole:
    """A service's role file as the template set writes it, for a service that is active here."""
    values: dict = {
        "active": True,
        "suffix": DATA,
        "bind_dn": READER,
        "password": PASSWORD,
        "starttls": False,
        "rid": 1,
    }
    return WantedRole(**values | {"role": role, "primary": primary} | more)


def role_file(path: Path, role: WantedRole) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(toml({"role": asdict(role)}).partition("\n")[2])
    return path


@dataclass
class Program:
    """`relocd-openldap` on one server, with a folder of role files of its own."""

    server: BaseServer
    folder: Path

    def __call__(self, command: str, role: WantedRole, name: str = "ldap") -> subprocess.CompletedProcess[str]:
        """Run it to its end, whatever that is."""
        file = role_file(self.folder / f"{name}.toml", role)
        argv = [PROGRAM, "--socket", self.server.socket, "--patience", "1", command, str(file)]
        on_host = self.server.host.command(argv) if self.server.host else argv
        return subprocess.run(on_host, capture_output=True, text=True, timeout=60, check=False)

    def done(self, command: str, role: WantedRole, name: str = "ldap") -> str:
        """Run it to its successful end; what it says."""
        result = self(command, role, name)
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout

    def refused(self, command: str, role: WantedRole, name: str = "ldap") -> str:
        """Run it to an end that is none; why."""
        result = self(command, role, name)
        assert result.returncode == 1
        return result.stderr


def changed(server: BaseServer, name: str, description: str) -> None:
    """Describe somebody anew, as a client of that server."""
    connection = server.bound(ADMIN)
    try:
        connection.modify_s(f"cn={name},{DATA}", [(ldap.MOD_REPLACE, "description", [description.encode()])])
    finally:
        connection.unbind_s()


def described(server: BaseServer) -> dict[str, str]:
    """What the people in the data of a server are described as, by their names."""
    found = server.entries(DATA, "description", filter_="(objectClass=person)")
    return {dn.partition(",")[0].removeprefix("cn="): "".join(of.get("description", [])) for dn, of in found.items()}


def in_step(one: BaseServer, other: BaseServer) -> None:
    """Wait until both have the same data, down to the numbers of the changes."""
    until(lambda: one.entries(DATA, "entryUUID", "entryCSN") == other.entries(DATA, "entryUUID", "entryCSN"))
