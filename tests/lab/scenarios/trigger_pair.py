"""Two machines for a cluster manager and a directory under relocd's access rules: the rig of a trigger.

The service `web` is linked to node1. Each machine has relocd's trigger, installed by `relocd install`, and may do in
the directory what a trigger may, and nothing else. `start_agent` gives a machine an agent that binds as its server's
entry; without agents a link has no effect.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

import ldap

from relocd.schema.acl import FILES
from tests.lab.hosts.cluster_host import ClusterHost
from tests.lab.hosts.hosts import Lan
from tests.lab.hosts.node import toml
from tests.lab.slapd.ldif import record
from tests.lab.slapd.slapd import PASSWORD, SCHEMA, SUFFIX, Slapd, base_ldif, server_dn, service_dn, service_ldif

__all__ = ["ADDRESS", "NODES", "TriggerPair"]

NODES: Final = ("node1", "node2")
ADDRESS: Final = "192.0.2.10"
_LEASE_S: Final = 2.0
_TRIGGER: Final = f"cn=heartbeat,{SUFFIX}"
_RELOCD: Final = str(Path(sys.executable).with_name("relocd"))


class TriggerPair:
    """The rig, as a context manager; nothing of it is left after the block."""

    def __init__(self, trigger: str) -> None:
        self._trigger = trigger
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cluster-")))
            self._folder.chmod(0o711)  # the machines' users find their files through it
            self.lan = stack.enter_context(Lan([*NODES, "directory", "client"]))
            self.lan.pin("client")
            rules = [f"include {SCHEMA / FILES['schema']}"]
            slapd = Slapd(host=self.lan["directory"], content=_content(), database_lines=rules, durable=False)
            self.slapd = stack.enter_context(slapd)
            self.machines = {name: stack.enter_context(self._machine(name)) for name in NODES}
            for machine in self.machines.values():
                self._install(machine)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __getitem__(self, name: str) -> ClusterHost:
        return self.machines[name]

    def start_agent(self, name: str) -> None:
        """Start relocd's agent on a machine, which has a short lease, and wait until it has read the directory."""
        machine = self.machines[name]
        machine.write("/etc/relocd/relocd.toml", toml(_settings(name, self.slapd.uri)))
        machine.write("/etc/relocd/password", f"{PASSWORD}\n", mode=0o600)
        machine.run(["mkdir", "-p", "/etc/relocd/echo"])
        machine.start([_RELOCD, "agent"])
        machine.wait_until(lambda: "refresh complete" in machine.log_text(), "the agent has read the directory")

    def linked(self) -> list[str]:
        """The servers that are linked to the service now."""
        return self._named(f"(relocServiceLink={service_dn('web')})")

    def fenced(self) -> list[str]:
        """The servers that are said to be off now."""
        return self._named("(relocFenced=TRUE)")

    def _named(self, wanted: str) -> list[str]:
        connection = ldap.initialize(self.slapd.ldapi_uri)
        try:
            connection.sasl_external_bind_s()
            found = connection.search_s(SUFFIX, ldap.SCOPE_SUBTREE, wanted, ["cn"])
            return sorted(attributes["cn"][0].decode() for _, attributes in found)
        finally:
            connection.unbind_ext_s()

    def _machine(self, name: str) -> ClusterHost:
        return ClusterHost(self.lan[name], self._folder / name)

    def _install(self, machine: ClusterHost) -> None:
        settings = {
            "PATH": f"$PATH:{Path(_RELOCD).parent}",
            "RELOCD_URI": self.slapd.uri,
            "RELOCD_BASE": SUFFIX,
            "RELOCD_BIND_DN": _TRIGGER,
            "RELOCD_PASSWORD_FILE": "/etc/relocd/trigger.password",
        }
        machine.write("/etc/relocd/trigger.conf", "".join(f'{name}="{value}"\n' for name, value in settings.items()))
        machine.write("/etc/relocd/trigger.password", f"{PASSWORD}\n", mode=0o640)
        machine.run(["chgrp", "haclient", "/etc/relocd/trigger.password"])  # as whom Pacemaker runs its alerts
        machine.run([_RELOCD, "install", self._trigger])


def _content() -> str:
    account = {"objectClass": ("organizationalRole", "simpleSecurityObject"), "userPassword": PASSWORD}
    group = {"objectClass": "groupOfNames", "member": _TRIGGER}
    return "".join(
        [
            base_ldif(),
            service_ldif("web", addresses=[f"{ADDRESS}/24"], template_sets=["script-echo"]),
            _server("node1", service_dn("web")),
            _server("node2"),
            record(_TRIGGER, account),
            record(f"cn=triggers,{SUFFIX}", group),
        ]
    )


def _server(name: str, *links: str) -> str:
    classes = ("device", "simpleSecurityObject", "relocServer")
    return record(server_dn(name), {"objectClass": classes, "userPassword": PASSWORD, "relocServiceLink": links})


def _settings(name: str, uri: str) -> dict[str, dict[str, object]]:
    return {
        "server": {"dn": server_dn(name)},
        "directory": {
            "uris": [uri],
            "base": SUFFIX,
            "bind": "simple",
            "bind_dn": server_dn(name),
            "password_file": "/etc/relocd/password",
        },
        "guards": {"networks": ["192.0.2.0/24"], "folders": ["/etc/relocd/echo"]},
        "paths": {"state": "/etc/relocd/state"},
        "units": {"manager": "script"},
        "handover": {"lease_s": _LEASE_S},
    }
