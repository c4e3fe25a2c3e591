"""Two servers with agents, a client, and a directory on a host of its own: the rig of a move.

Two services: `echo`, whose responder runs on every address of both servers already, so that its start costs nothing,
and `web`, a real nginx that starts with its addresses and whose page names the server.
"""

from __future__ import annotations

import shlex
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import ip_interface
from pathlib import Path
from typing import Final, Self

from tests.lab.hosts.hosts import Lan
from tests.lab.hosts.node import Node, Tables
from tests.lab.probers.figures import Figures, measured
from tests.lab.probers.trace import steps
from tests.lab.probers.watch import Watch, program
from tests.lab.slapd.slapd import Slapd, base_ldif, link_ldif, server_dn, server_ldif, service_ldif

__all__ = ["SERVICES", "Pair", "ServicePlan"]

_NODES: Final = ("node1", "node2")
_ANSWER_S: Final = 10.0
_QUIET_S: Final = 0.3


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """A service of the rig: its entry, and the program with which the client watches it."""

    name: str
    addresses: tuple[str, ...]
    template_set: str
    watcher: str
    parameters: Mapping[str, str]

    @property
    def clients(self) -> dict[str, str]:
        """The addresses to ask, by the name of the client that asks them."""
        return {f"IPv{(ip := ip_interface(each).ip).version}": str(ip) for each in self.addresses}


SERVICES: Final = {
    plan.name: plan
    for plan in (
        ServicePlan("echo", ("192.0.2.10/24", "2001:db8::10/64"), "script-echo", "prober", {}),
        ServicePlan("web", ("192.0.2.20/24", "2001:db8::20/64"), "nginx", "fetcher", {"workers": "1"}),
    )
}


class Pair:
    """The rig, as a context manager; every service begins at node1. Nothing of it is left after the block."""

    def __init__(self, services: tuple[ServicePlan, ...]) -> None:
        self._services = services
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pair-")))
            self.lan = stack.enter_context(Lan([*_NODES, "client", "directory"]))
            self.lan.pin("client")
            self.slapd = stack.enter_context(Slapd(host=self.lan["directory"], content=self._content()))
            for name in _NODES:
                program(self.lan[name], "probers.echo", "--name", name)
            self.nodes = {name: stack.enter_context(self._node(name)) for name in _NODES}
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def watches(self, service: ServicePlan) -> dict[str, Watch]:
        """The clients that watch a service, one for each address, not started yet."""
        more = {
            "prober": [f"--mac={name}={self.lan[name].mac}" for name in _NODES],
            "fetcher": [f"--host={name}" for name in _NODES],
        }[service.watcher]
        return {
            client: Watch(
                self.lan["client"],
                self.folder / f"{service.name}-{client}.jsonl",
                f"probers.{service.watcher}",
                ["--target", target, *more],
            )
            for client, target in service.clients.items()
        }

    def move(self, service: ServicePlan, number: int, watches: Mapping[str, Watch]) -> Figures:
        """Move a service to the other server by one plain ldapmodify, and see what that does."""
        old, new = _NODES if number % 2 else _NODES[::-1]
        command, ldif = self.slapd.command("ldapmodify"), link_ldif(service.name, new)
        sent_ns = time.monotonic_ns()
        subprocess.run(command, input=ldif, text=True, check=True, capture_output=True, timeout=_ANSWER_S)
        accepted_ns = time.monotonic_ns()
        changes = {client: watch.until(new, _ANSWER_S) for client, watch in watches.items()}
        time.sleep(_QUIET_S)  # not a synchronisation: the pause that a move is followed by
        found = steps(self.nodes[old].lines(), self.nodes[new].lines(), sent_ns, server_dn(new))
        answers = {client: change.answered_ns if change else None for client, change in changes.items()}
        return measured(number, (old, new), sent_ns, accepted_ns, found, answers)

    def log_text(self) -> str:
        """The last words of every agent, for an error's message."""
        return "\n".join(f"--- {name}\n{node.log_text()}" for name, node in self.nodes.items())

    def _content(self) -> str:
        services = [
            service_ldif(
                each.name,
                addresses=each.addresses,
                template_sets=[each.template_set],
                parameters=each.parameters,
            )
            for each in self._services
        ]
        node1 = server_ldif("node1", services=[each.name for each in self._services])
        return base_ldif() + "".join(services) + node1 + server_ldif("node2")

    def _node(self, name: str) -> Node:
        node = Node(
            self.lan[name],
            self.folder / name,
            [self.slapd.uri],
            tables=_tables(),
            folders=("/etc/relocd", "/run"),
        )
        for folder in ("/etc/relocd/echo", "/etc/relocd/nginx", "/run/relocd-nginx/web"):
            node.place(folder).mkdir(parents=True)
        return node


def _tables() -> Tables:
    """What these agents' configurations say beyond the usual: their guards, and nginx where there is no systemd."""
    pid, prefix, config = "/run/relocd-nginx/web/nginx.pid", "/run/relocd-nginx/web", "/etc/relocd/nginx/web.conf"
    nginx = ["/usr/sbin/nginx", "-e", "stderr", "-p", prefix, "-c", config]
    # Not start-stop-daemon: for it a process runs until it is reaped, and a container may have no process for that.
    stop = f"[ ! -e {pid} ] || {shlex.join(nginx)} -s stop && while [ -e {pid} ]; do sleep 0.002; done"
    return {
        "agent": {"log_level": "debug"},
        "guards": {"folders": ["/etc/relocd"], "units": ["relocd-nginx@*.service"]},
        'units.script."relocd-nginx@web.service"': {
            "start": nginx,
            "stop": ["sh", "-c", stop],
            "status": ["test", "-e", pid],
            "reload": [*nginx, "-s", "reload"],
        },
    }
