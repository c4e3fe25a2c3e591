"""Hosts as network namespaces: a bridge in a namespace of its own, and one `eth0` for each host.

Everything a `Lan` makes has a name of its own, so that laboratories run side by side, and is gone when the `with`
block ends, however it ends: programs, namespaces, links. The bridge does not live in the namespace of the machine,
because a firewall there (`net.bridge.bridge-nf-call-iptables`) would filter its frames.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

__all__ = ["Host", "Lan", "entered"]

NETWORKS: Final = ("192.0.2.0/24", "2001:db8::/64")
_FOLDER: Final = Path("/run/netns")
_CLONE_NEWNET: Final = 0x40000000
_GRACE_S: Final = 5.0

Address = IPv4Address | IPv6Address


class Host:
    """A host of a `Lan`: its number there gives its MAC and the last part of its addresses."""

    interface: Final = "eth0"

    def __init__(self, name: str, number: int, lan: str, networks: Sequence[str]) -> None:
        self.name = name
        self.namespace = f"{lan}-{name}"
        self.netns = str(_FOLDER / self.namespace)
        self.mac = f"02:00:00:00:00:{number:02x}"
        self.own = tuple(
            ip_interface(f"{network[number]}/{network.prefixlen}") for network in map(ip_network, networks)
        )
        self._bridge = f"{lan}-bridge"
        self._started: list[subprocess.Popen[Any]] = []

    @property
    def ipv4(self) -> str:
        """The host's own first IPv4 address, without a prefix length."""
        return next(str(own.ip) for own in self.own if own.version == 4)

    @property
    def ipv6(self) -> str:
        """The host's own first IPv6 address, without a prefix length."""
        return next(str(own.ip) for own in self.own if own.version == 6)

    def command(self, argv: Sequence[str]) -> list[str]:
        """The argument list that runs a program on this host; nsenter execs it, so the pid is the program's own."""
        return ["nsenter", f"--net={self.netns}", "--", *argv]

    def start(self, argv: Sequence[str], **popen: Any) -> subprocess.Popen[Any]:
        """Start a program on this host, in a session of its own; it is ended with the laboratory at the latest."""
        process = subprocess.Popen(self.command(argv), **({"start_new_session": True} | popen))
        self._started.append(process)
        return process

    def run(self, argv: Sequence[str], *, timeout: float = 10.0) -> subprocess.CompletedProcess[str]:
        """Run a program on this host to its successful end."""
        return subprocess.run(self.command(argv), check=True, capture_output=True, text=True, timeout=timeout)

    def cut(self) -> None:
        """Pull the cable: no frame passes and the host loses its carrier."""
        _ip("-n", self._bridge, "link", "set", self.name, "down")

    def heal(self) -> None:
        """Plug the cable in again."""
        _ip("-n", self._bridge, "link", "set", self.name, "up")

    def reset(self) -> None:
        """Leave it none but its own addresses, as a machine has that starts again."""
        self.run(["ip", "address", "flush", "dev", self.interface])
        for own in self.own:
            self.run(["ip", "address", "add", str(own), "dev", self.interface])

    def addresses(self) -> frozenset[Address]:
        """Every address the host has now, read from the kernel's tables without starting a process."""
        with entered(self):
            trie = Path("/proc/thread-self/net/fib_trie").read_text()
            inet6 = Path("/proc/thread-self/net/if_inet6").read_text()
        return _ipv4_addresses(trie) | _ipv6_addresses(inet6)

    def end(self) -> None:
        """End what was started here, and whatever that has left behind in this namespace."""
        for process in self._started:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + _GRACE_S
        for process in self._started:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for stream in filter(None, (process.stdin, process.stdout, process.stderr)):
                stream.close()
        self._started.clear()
        for pid in _inhabitants(self.netns):
            _kill(pid)


class Lan:
    """A bridge with hosts, as a context manager; `lan["node1"]` is a host, `.1` and `::1` the first one's address."""

    def __init__(self, names: Sequence[str], networks: Sequence[str] = NETWORKS) -> None:
        self.name = f"relocd-{os.getpid()}-{secrets.token_hex(3)}"
        self._bridge = f"{self.name}-bridge"
        self.hosts = {name: Host(name, number, self.name, networks) for number, name in enumerate(names, start=1)}

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._remove()
            raise
        return self

    def pin(self, name: str) -> None:
        """Tell every other host the MAC of this one, for good.

        A host that had to ask for it, with a service address as the sender, would announce that address by accident.
        """
        pinned = self.hosts[name]
        entries = [f"neigh replace {own.ip} lladdr {pinned.mac} dev eth0 nud permanent" for own in pinned.own]
        for host in self.hosts.values():
            if host is not pinned:
                _batch(entries, host.namespace)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def _build(self) -> None:
        _batch([f"netns add {name}" for name in (self._bridge, *(host.namespace for host in self.hosts.values()))])
        bridge = ["link add name br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0", "link set dev br0 up"]
        for host in self.hosts.values():
            eth0 = f"name {host.interface} address {host.mac} netns {host.namespace}"
            bridge += [
                f"link add name {host.name} type veth peer {eth0}",
                f"link set dev {host.name} master br0 up",
            ]
        _batch(bridge, self._bridge)
        for host in self.hosts.values():
            own = [f"address add {own} dev {host.interface}" + " nodad" * (own.version == 6) for own in host.own]
            _batch(["link set lo up", f"link set {host.interface} up", *own], host.namespace)

    def _remove(self) -> None:
        """Undo `_build` from any point it had reached; the namespaces go even when a program's end is interrupted."""
        names = [self._bridge, *(host.namespace for host in self.hosts.values())]
        try:
            for host in self.hosts.values():
                host.end()
        finally:
            _batch([f"netns delete {name}" for name in names if (_FOLDER / name).exists()])


@contextmanager
def entered(host: Host) -> Iterator[None]:
    """The calling thread is on that host inside the block: its new sockets, threads and processes belong there.

    Only this thread moves, so an event loop must be created and run inside the block.
    """
    with Path("/proc/thread-self/ns/net").open("rb") as before, Path(host.netns).open("rb") as there:
        _setns(there.fileno())
        try:
            yield
        finally:
            _setns(before.fileno())


def _setns(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)  # os.setns needs Python 3.12
    if libc.setns(descriptor, _CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, f"cannot enter a network namespace (run as root): {os.strerror(code)}")


def _ip(*arguments: str, commands: str | None = None) -> None:
    done = subprocess.run(["ip", *arguments], input=commands, capture_output=True, text=True, timeout=10, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)} failed: {done.stderr.strip()}\n{commands or ''}")


def _batch(commands: Sequence[str], namespace: str | None = None) -> None:
    where = ("-n", namespace) if namespace else ()
    _ip(*where, "-batch", "-", commands="\n".join(commands) + "\n")


def _ipv4_addresses(trie: str) -> frozenset[Address]:
    """The addresses in the kernel's fib_trie: leaves (`|-- 192.0.2.1`) followed by a `/32 host LOCAL` line."""
    found, leaf = set(), ""
    for line in trie.splitlines():
        words = line.split()
        if words[0] == "|--":
            leaf = words[1]
        elif words[:3] == ["/32", "host", "LOCAL"]:
            found.add(ip_address(leaf))
    return frozenset(found)


def _ipv6_addresses(inet6: str) -> frozenset[Address]:
    """The addresses in the kernel's if_inet6: 32 hexadecimal digits open each line."""
    return frozenset(ip_address(bytes.fromhex(line.split()[0])) for line in inet6.splitlines())


def _inhabitants(netns: str) -> list[int]:
    """The processes, other than this one, whose main thread is in a namespace."""
    wanted = _identity(Path(netns))
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if wanted and pid != os.getpid() and _identity(Path(f"/proc/{pid}/ns/net")) == wanted]


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a namespace from all others; None for one that is gone or that we may not see, so not ours."""
    try:
        found = path.stat()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    return found.st_dev, found.st_ino


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
