"""The machines that the pages speak of, as they are before their first command.

`ldap1` has slapd as Debian installs it, with `dc=example,dc=org`. `node1` and `node2` are to run services and have a
slapd of their own in a world of `base_servers`. `client` is the workstation. All know each other by name, trust one
authority, and have relocd in `/opt/relocd`. The password of the directory's administrator is in `~/.relocd-password`.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from tests.docs.debian_slapd import install_slapd
from tests.docs.machine import Machine
from tests.docs.shell import Shell
from tests.lab.hosts.hosts import Lan
from tests.lab.slapd.certificates import issued
from tests.lab.slapd.slapd import PASSWORD

__all__ = ["PASSWORD_FILE", "World"]

_SERVERS: Final = ("node1", "node2")
_DIRECTORY: Final = "ldap1"
_WORKSTATION: Final = "client"
PASSWORD_FILE: Final = "/root/.relocd-password"
# OpenSSL looks for an authority by the hash of its name.
_TRUST: Final = "cd /etc/ssl/certs && ln -s ca-certificates.crt $(openssl x509 -hash -noout -in ca-certificates.crt).0"


class World:
    """All of them, up within the `with` block."""

    def __init__(self, *, base_servers: bool = False) -> None:
        self._with_slapd = _SERVERS if base_servers else (_DIRECTORY,)
        directories = () if base_servers else (_DIRECTORY,)
        self.lan = Lan((*_SERVERS, *directories, _WORKSTATION))
        self.machines: dict[str, Machine] = {}
        self._shells: dict[str, Shell] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="docs-")))
            stack.enter_context(self.lan)
            for name, host in self.lan.hosts.items():
                self.machines[name] = stack.enter_context(Machine(host))
                self._shells[name] = Shell(self.machines[name])
            self._furnish(folder)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def directory(self) -> Machine:
        """The machine at which entries are added."""
        return self.machines[self._with_slapd[0]]

    def shells(self, machine: str, *, at_workstation: bool = False) -> list[Shell]:
        """The terminals that a prompt means: of the one it names, or of the workstation, or of each server."""
        named = machine or (_WORKSTATION if at_workstation else "")
        return [self._shells[name] for name in ([named] if named else _SERVERS)]

    def each_server(self) -> list[Machine]:
        """The machines that run an agent."""
        return [self.machines[name] for name in _SERVERS]

    def _furnish(self, folder: Path) -> None:
        names = [each for name in self.machines for each in (name, f"{name}.example.org")]
        names.append("ldap.example.org")
        certificates = issued(folder / "tls", names, "cn=node1,ou=servers,ou=relocd,dc=example,dc=org")
        hosts = "".join(f"{host.ipv4} {name}.example.org {name}\n" for name, host in self.lan.hosts.items())
        hosts += "192.0.2.10 ldap.example.org\n"
        for name, machine in self.machines.items():
            machine.write("/etc/hosts", f"127.0.0.1 localhost\n{hosts}")
            machine.write("/etc/ssl/certs/ca-certificates.crt", certificates.ca.read_text())
            machine.run(["sh", "-ec", _TRUST])
            machine.write(PASSWORD_FILE, PASSWORD, mode="600")
            if name in self._with_slapd:
                install_slapd(machine, certificates)
