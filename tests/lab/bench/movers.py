"""The movers of a service address: by hand, relocd, keepalived. All on the same hosts, one at a time.

The rig is two servers, a client and a host for the directory. A responder answers on every address of both servers
from the beginning, so that a move is that of the address alone. A mover begins with the address on node1; when it
has ended no host has it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from ipaddress import ip_interface
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple, Protocol, Self

from tests.lab.bench.byhand import NOWHERE
from tests.lab.hosts.hosts import Lan
from tests.lab.hosts.node import Node
from tests.lab.probers.watch import REPOSITORY, Watch, program
from tests.lab.scenarios.keepalived import Keepalived, Way
from tests.lab.slapd.slapd import Slapd, base_ldif, link_ldif, server_ldif, service_ldif

__all__ = ["ADDRESS", "NODES", "ByHand", "Mover", "KeepalivedPair", "RelocdPair", "Route", "Rig"]

NODES: Final = ("node1", "node2")
ADDRESS: Final = "192.0.2.10/24"
_COMMAND_S: Final = 10.0


class Rig:
    """The hosts on which all movers work in turn, as a context manager."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._numbers = count()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            self.lan = stack.enter_context(Lan([*NODES, "client", "directory"]))
            self.lan.pin("client")
            for name in NODES:
                program(self.lan[name], "probers.echo", "--name", name)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def folder(self) -> Path:
        """A new folder, which goes with the rig."""
        made = self._folder / str(next(self._numbers))
        made.mkdir()
        return made

    def watch(self) -> Watch:
        """The client that judges every mover, not started yet."""
        macs = [f"--mac={name}={self.lan[name].mac}" for name in NODES]
        target = str(ip_interface(ADDRESS).ip)
        return Watch(self.lan["client"], self.folder() / "probes.jsonl", "probers.prober", ["--target", target, *macs])

    def holders(self) -> list[str]:
        """The servers that have the address now, by their kernels."""
        return [name for name in NODES if ip_interface(ADDRESS).ip in self.lan[name].addresses()]

    def clear(self) -> None:
        """Remove the address from the host that has it."""
        for name in self.holders():
            with suppress(subprocess.CalledProcessError):  # a daemon that is ending was faster
                self.lan[name].run(["ip", "address", "delete", ADDRESS, "dev", self.lan[name].interface])


class Route(NamedTuple):
    """From which server to which the address moves."""

    old: str
    new: str


class Mover(Protocol):
    """One that moves the address, as a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def move(self, route: Route) -> None:
        """Do what starts a move; returns when the trigger, not the move, is over."""
        ...

    def settle(self, route: Route) -> None:
        """After a move: make ready for the next one."""
        ...

    def daemons(self) -> Mapping[str, int]:
        """The pid of what runs on each server all the time, by the server's name."""
        ...

    def log_text(self) -> str:
        """The last words of the daemons, for an error's message."""
        ...


class ByHand:
    """The floor: one program that is already running and has its sockets open."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def __enter__(self) -> Self:
        lan = self._rig.lan
        argv = [sys.executable, "-m", "tests.lab.bench.byhand", "--lan", lan.name, "--address", ADDRESS, *NODES]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process = lan[NODES[0]].start(argv, cwd=REPOSITORY, **pipes)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders, self._answers = self._process.stdin, self._process.stdout
        self._expect("ready")
        self.move(Route(NOWHERE, NODES[0]))
        return self

    def __exit__(self, *_: object) -> None:
        self._orders.close()  # the end of its work
        self._process.wait(_COMMAND_S)
        self._rig.clear()

    def move(self, route: Route) -> None:
        self._orders.write(f"{route.old} {route.new}\n")
        self._orders.flush()
        self._expect("done")

    def settle(self, route: Route) -> None:
        """Nothing is left to do."""

    def daemons(self) -> Mapping[str, int]:
        return {}

    def log_text(self) -> str:
        return ""

    def _expect(self, word: str) -> None:
        if self._answers.readline() != f"{word}\n":
            raise RuntimeError(f"the program that moves by hand did not answer {word!r}; its error is above")


@dataclass(eq=False)
class RelocdPair:
    """Two agents and a directory of their own; a move is the plain `ldapmodify` command that links the new server."""

    rig: Rig

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self.rig.clear)
            self._slapd = stack.enter_context(Slapd(host=self.rig.lan["directory"], content=_content()))
            folder = self.rig.folder()
            self._nodes = {name: stack.enter_context(self._node(name, folder / name)) for name in NODES}
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def move(self, route: Route) -> None:
        command = self._slapd.command("ldapmodify")
        ldif = link_ldif("echo", route.new)
        subprocess.run(command, input=ldif, text=True, check=True, capture_output=True, timeout=_COMMAND_S)

    def settle(self, route: Route) -> None:
        """Nothing is left to do."""

    def daemons(self) -> Mapping[str, int]:
        return {name: node.agent.pid for name, node in self._nodes.items()}

    def log_text(self) -> str:
        return "\n".join(f"--- {name}\n{node.log_text()}" for name, node in self._nodes.items())

    def _node(self, name: str, folder: Path) -> Node:
        node = Node(
            self.rig.lan[name],
            folder,
            [self._slapd.uri],
            tables={"guards": {"folders": ["/etc/relocd"]}},
            folders=("/etc/relocd",),
        )
        node.place("/etc/relocd/echo").mkdir(parents=True)
        return node


@dataclass(eq=False)
class KeepalivedPair:
    """Two keepalived; a move is a write to the file that the master watches, without a process being started for it."""

    rig: Rig
    advert_s: float
    way: Way

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self.rig.clear)
            folder = self.rig.folder()
            self._daemons: dict[str, Keepalived] = {}
            for name, state in zip(NODES, ("MASTER", "BACKUP"), strict=True):
                daemon = Keepalived(self.rig.lan[name], folder / name, [ADDRESS], self.advert_s, self.way)
                self._daemons[name] = stack.enter_context(daemon)
                daemon.wait_until(state)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def move(self, route: Route) -> None:
        self._daemons[route.old].set_away(True)

    def settle(self, route: Route) -> None:
        """Only now, when the other one holds the address: two of one priority would go by their own addresses."""
        self._daemons[route.old].set_away(False)
        self._daemons[route.old].wait_until("BACKUP")

    def daemons(self) -> Mapping[str, int]:
        return {name: daemon.process.pid for name, daemon in self._daemons.items()}

    def log_text(self) -> str:
        return "\n".join(f"--- {name}\n{daemon.log_text()}" for name, daemon in self._daemons.items())


def _content() -> str:
    echo = service_ldif("echo", addresses=[ADDRESS], template_sets=["script-echo"])
    return base_ldif() + echo + server_ldif("node1", services=["echo"]) + server_ldif("node2")
