"""Two servers with an application each, a client, a gateway and a directory; and what can fail on a server.

An application (`application.py`) runs on both servers all the time, with a small disk of its own. What serves the
address is an nginx in front of it, which each rival starts in its own way: `nginx_pid` is where it says so. The
directory has a second cable to each server, so that a server that has lost the carrier of `eth0` is not dead.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Self

from tests.lab.hosts.hosts import Host, Lan
from tests.lab.probers.watch import REPOSITORY, Watch
from tests.lab.scenarios.application import BROKEN

__all__ = ["ADDRESS", "FAILURES", "GATEWAY", "NODES", "Failure", "SickHosts"]

NODES: Final = ("node1", "node2")
ADDRESS: Final = "192.0.2.10"
GATEWAY: Final = "gateway"
_OTHERS: Final = (GATEWAY, "client", "directory")
_DISK_KB: Final = 64
_DISK: Final = 'mount -t tmpfs -o size="$0"k tmpfs "$1" && shift && exec "$@"'
_KILL_S: Final = 0.05
_INTERVAL_MS: Final = 10


@dataclass(eq=False)
class SickHosts:
    """The machines, as a context manager; `nginx_pid` is each server's file with the number of the nginx there."""

    def __post_init__(self) -> None:
        self.nginx_pid: Mapping[str, Path] = {}
        self._applications: dict[str, subprocess.Popen[Any]] = {}
        self._folders = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sick-")))
            self.lan = stack.enter_context(Lan([*NODES, *_OTHERS]))
            self.lan.pin("client")
            for name in NODES:
                self._cable(name)
                self._start_application(self.lan[name])
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def folder(self) -> Path:
        """A new folder, which goes with the machines."""
        self._folders += 1
        made = self._folder / str(self._folders)
        made.mkdir()
        return made

    def watch(self) -> Watch:
        """The client from outside, which asks the address all the time; not started yet."""
        servers = [f"--host={name}" for name in NODES]
        argv = ["--target", ADDRESS, f"--interval-ms={_INTERVAL_MS}", *servers]
        return Watch(self.lan["client"], self.folder() / "fetches.jsonl", "probers.fetcher", argv)

    def holders(self) -> list[str]:
        """The servers with the address now, by their kernels."""
        return [name for name in NODES if ip_address(ADDRESS) in self.lan[name].addresses()]

    def disk(self, name: str) -> Path:
        """The disk of the application on a server; it is mounted for that program alone."""
        return Path(f"/proc/{self._applications[name].pid}/root{self._place(name)}")

    def isolate(self, name: str, isolated: bool) -> None:
        """Keep a server from reaching the gateway and what is behind it, the client; all else goes on."""
        for port in (name, GATEWAY, "client"):
            argv = ["bridge", "-n", f"{self.lan.name}-bridge", "link", "set", "dev", port]
            subprocess.run([*argv, "isolated", "on" if isolated else "off"], check=True, timeout=10)

    def nginx(self, name: str) -> list[int]:
        """The processes of the nginx on a server; none where it does not run."""
        try:
            first = int(self.nginx_pid[name].read_text())
            children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return []
        return [first, *map(int, children)]

    def signal(self, name: str, number: int) -> None:
        """Send a signal to each process of the nginx on a server."""
        for pid in self.nginx(name):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _place(self, name: str) -> Path:
        return self._folder / f"disk-{name}"

    def _start_application(self, host: Host) -> None:
        place = self._place(host.name)
        place.mkdir()
        mounted = ["unshare", "--mount", "sh", "-c", _DISK, str(_DISK_KB), str(place)]
        program = [sys.executable, "-m", "tests.lab.scenarios.application", "--name", host.name, "--folder", str(place)]
        process = host.start([*mounted, *program], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise RuntimeError(f"the application did not start on {host.name}")
        self._applications[host.name] = process

    def _cable(self, name: str) -> None:
        """A second cable between a server and the directory, by which they find each other's address."""
        server, directory = self.lan[name], self.lan["directory"]
        other = f"to-{name}"
        server.run(["ip", "link", "add", "eth1", "type", "veth", "peer", "name", other, "netns", directory.namespace])
        for host, interface, peer in ((server, "eth1", directory), (directory, other, server)):
            host.run(["ip", "link", "set", interface, "up"])
            host.run(["ip", "route", "add", f"{peer.ipv4}/32", "dev", interface])


@contextmanager
def _answers_500(hosts: SickHosts, name: str) -> Iterator[None]:
    marker = hosts.disk(name) / BROKEN
    marker.touch()
    yield
    marker.unlink()


@contextmanager
def _disk_full(hosts: SickHosts, name: str) -> Iterator[None]:
    full = hosts.disk(name) / "full"
    try:
        full.write_bytes(bytes(2 * _DISK_KB * 1024))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    yield
    full.unlink()


@contextmanager
def _hangs(hosts: SickHosts, name: str) -> Iterator[None]:
    hosts.signal(name, signal.SIGSTOP)
    yield
    hosts.signal(name, signal.SIGCONT)


@contextmanager
def _killed(hosts: SickHosts, name: str) -> Iterator[None]:
    """Again and again, as soon as it runs."""
    over = threading.Event()

    def kill() -> None:
        while not over.wait(_KILL_S):
            hosts.signal(name, signal.SIGKILL)

    hosts.signal(name, signal.SIGKILL)
    killing = threading.Thread(target=kill)
    killing.start()
    try:
        yield
    finally:
        over.set()
        killing.join()


@contextmanager
def _no_carrier(hosts: SickHosts, name: str) -> Iterator[None]:
    hosts.lan[name].cut()
    yield
    hosts.lan[name].heal()


@contextmanager
def _no_gateway(hosts: SickHosts, name: str) -> Iterator[None]:
    hosts.isolate(name, True)
    yield
    hosts.isolate(name, False)


@dataclass(frozen=True, slots=True)
class Failure:
    """What fails on one server within the block of `happens`.

    It `waits` where each check lasts as long as it may. A failure of the service `restarts` it first, and may be
    `cured` by that.
    """

    title: str
    happens: Callable[[SickHosts, str], AbstractContextManager[None]]
    waits: bool = False
    restarts: bool = True
    cured: bool = False


FAILURES: Final = (
    Failure("nginx answers 500", _answers_500),
    Failure("the disk is full", _disk_full),
    Failure("nginx hangs", _hangs, waits=True, cured=True),
    Failure("nginx is killed again and again", _killed),
    Failure("the gateway is gone", _no_gateway, waits=True, restarts=False),
    Failure("the carrier is lost", _no_carrier, restarts=False),
)
"""The carrier comes last: without it each check of the network fails, and a failure that follows at once finds that."""
