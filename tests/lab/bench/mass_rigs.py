"""Pairs of servers that have many addresses, for `./dev bench mass`: relocd by a cluster or by links, and keepalived.

Every pair has the same addresses on the same two hosts, one pair at a time. The kernels of both hosts say where the
addresses are.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from ipaddress import IPv4Address
from itertools import count
from pathlib import Path
from typing import Final, Protocol, Self

from tests.lab.bench.movers import NODES, Route
from tests.lab.deadline import until
from tests.lab.hosts.hosts import Lan
from tests.lab.hosts.node import Node
from tests.lab.probers.kernels import Kernels
from tests.lab.slapd.ldif import (
    activate_ldif,
    base_ldif,
    cluster_ldif,
    server_dn,
    server_ldif,
    service_dn,
    service_ldif,
)
from tests.lab.slapd.reading import heartbeat_ns, links
from tests.lab.slapd.slapd import Slapd

__all__ = ["MassPair", "MassRig", "RelocdPair"]

LEASE_S: Final = 4.0
_NETWORK: Final = "198.18.0.0/16"
_FIRST: Final = IPv4Address("198.18.1.0")
_READY_S: Final = 300.0
_QUIET_S: Final = 1.5
_CLUSTER: Final = "pair"


class MassRig:
    """Two servers, a host for the directory, and what listens to the servers' kernels; as a context manager."""

    def __init__(self, services: int) -> None:
        self.names = tuple(f"s{number:03}" for number in range(services))
        self.addresses = tuple(str(_FIRST + number) for number in range(services))
        self._stack = ExitStack()
        self._numbers = count()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            self.lan = stack.enter_context(Lan([*NODES, "directory"], [_NETWORK]))
            self.kernels = stack.enter_context(Kernels(self.lan, NODES, self._folder / "kernels.jsonl"))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def folder(self) -> Path:
        """A new folder, which goes with the rig."""
        made = self._folder / str(next(self._numbers))
        made.mkdir()
        return made

    def held(self, server: str) -> int:
        """How many of the addresses a server has, by its kernel."""
        return len(self.lan[server].addresses() & frozenset(map(IPv4Address, self.addresses)))

    def wait_for(self, server: str, timeout_s: float) -> None:
        """Return when a server has all addresses."""
        deadline = time.monotonic() + timeout_s
        while (held := self.held(server)) < len(self.addresses):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{server} has {held} of {len(self.addresses)} addresses after {timeout_s:g} s")
            time.sleep(0.02)

    def reset(self) -> None:
        """Plug both servers in, and leave them none but their own addresses."""
        for name in NODES:
            self.lan[name].heal()
            self.lan[name].reset()


class MassPair(Protocol):
    """Two servers that have all addresses between them, as a context manager; nothing is started before `start`."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def start(self, server: str) -> None:
        """Start what runs on a server; it does not wait."""
        ...

    def stop(self, server: str) -> None:
        """End what runs on a server, as an upgrade or a reboot does."""
        ...

    def stand_by(self) -> None:
        """Return when everything is quiet, and the server without the addresses is ready for them."""
        ...

    def move(self, route: Route) -> None:
        """Do what moves all services; it does not wait."""
        ...

    def die(self, route: Route) -> int:
        """One server is dead, and the other is to take over; returns when it can know that (CLOCK_MONOTONIC)."""
        ...

    def log_text(self) -> str:
        """The last words of the daemons, for an error's message."""
        ...


class RelocdPair:
    """Two agents and a directory of their own.

    By a cluster the move is one modify of `relocActive`; by links it is one modify that links the new server to all
    services, and the links of the old one are removed by the new one.
    """

    def __init__(self, rig: MassRig, *, by_links: bool) -> None:
        self._rig = rig
        self._by_links = by_links
        self._nodes: dict[str, Node] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self._rig.reset)
            host = self._rig.lan["directory"]
            self._slapd = stack.enter_context(Slapd(host=host, content=self._content(), durable=True))
            folder = self._rig.folder()
            self._nodes = {name: self._node(name, folder / name) for name in NODES}
            for node in self._nodes.values():
                node.prepare()
                stack.callback(node.__exit__)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self, server: str) -> None:
        self._nodes[server].launch()

    def stop(self, server: str) -> None:
        self._nodes[server].stop()
        self._rig.lan[server].reset()

    def stand_by(self) -> None:
        until(self._is_settled, _READY_S)
        until(lambda: time.time() - self._last_word_s() > _QUIET_S, _READY_S)

    def move(self, route: Route) -> None:
        self._slapd.modify(self._order(route.new))

    def die(self, route: Route) -> int:
        self._rig.lan[route.old].cut()
        self._nodes[route.old].kill()
        self._slapd.modify(self._order(route.new))
        return heartbeat_ns(self._slapd, route.old) + int(LEASE_S * 1e9)

    def log_text(self) -> str:
        return "\n".join(f"--- {name}\n{node.log_text()}" for name, node in self._nodes.items())

    def _order(self, new: str) -> str:
        if not self._by_links:
            return activate_ldif(_CLUSTER, new)
        values = "".join(f"relocServiceLink: {service_dn(name)}\n" for name in self._rig.names)
        return f"dn: {server_dn(new)}\nchangetype: modify\nadd: relocServiceLink\n{values}-\n"

    def _last_word_s(self) -> float:
        """When an agent logged something last, by the clock of files."""
        return max(node.log.stat().st_mtime for node in self._nodes.values())

    def _is_settled(self) -> bool:
        """Whether both agents run, and only one server is linked to the services."""
        return not self._by_links or sum(bool(links(self._slapd, name)) for name in NODES) == 1

    def _content(self) -> str:
        each = zip(self._rig.names, self._rig.addresses, strict=True)
        services = [service_ldif(name, addresses=[f"{ip}/16"], template_sets=["script-echo"]) for name, ip in each]
        if self._by_links:
            servers = [server_ldif(NODES[0], services=self._rig.names), server_ldif(NODES[1])]
        else:
            servers = [server_ldif(name, clusters=[_CLUSTER]) for name in NODES]
            servers.append(cluster_ldif(_CLUSTER, services=self._rig.names, active=NODES[0]))
        return "".join([base_ldif(), *services, *servers])

    def _node(self, name: str, folder: Path) -> Node:
        tables: Mapping[str, Mapping[str, object]] = {
            "guards": {"folders": ["/etc/relocd"], "networks": [_NETWORK]},
            "handover": {"lease_s": LEASE_S},
        }
        node = Node(self._rig.lan[name], folder, [self._slapd.uri], tables=tables, folders=("/etc/relocd",))
        node.place("/etc/relocd/echo").mkdir(parents=True)
        return node
