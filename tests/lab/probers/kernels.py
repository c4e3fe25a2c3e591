"""What the kernels of some hosts say about addresses.

`python -m tests.lab.probers.kernels --lan NAME --output FILE HOST ...` listens to rtnetlink(7) on every host named and
notes each IPv4 address that comes or goes, with the time, before anything else on this machine runs. `ready` on its
standard output says that it listens.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.lab.hosts.hosts import Host, Lan, entered
from tests.lab.probers.watch import program
from tests.lab.realtime import go_first

__all__ = ["AddressEvent", "Kernels", "main"]

_GROUP: Final = 0x10  # RTMGRP_IPV4_IFADDR, linux/rtnetlink.h
_KINDS: Final = {20: True, 21: False}  # RTM_NEWADDR, RTM_DELADDR
_LOCAL: Final = 2  # IFA_LOCAL, linux/if_addr.h
_HEADER: Final = struct.Struct("=IHHII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_FIRST_ATTRIBUTE: Final = 24  # after struct nlmsghdr and struct ifaddrmsg
_BUFFER: Final = 4 * 2**20
_BEFORE_AGENTS: Final = 2
_PROGRAM_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class AddressEvent:
    """An address came to a host, or went."""

    at_ns: int
    host: str
    address: str
    here: bool


class Kernels:
    """The program at work, as a context manager; `events` may be read at any time."""

    def __init__(self, lan: Lan, hosts: Iterable[str], output: Path) -> None:
        self._lan = lan
        self._hosts = tuple(hosts)
        self._output = output

    def __enter__(self) -> Self:
        arguments = ["--lan", self._lan.name, "--output", str(self._output), *self._hosts]
        self._process = program(self._lan[self._hosts[0]], "probers.kernels", *arguments)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(_PROGRAM_S)

    def events(self, since_ns: int = 0) -> list[AddressEvent]:
        """What was noted from that moment on."""
        text = self._output.read_text()
        lines = text[: text.rfind("\n") + 1].splitlines()
        return [each for each in (AddressEvent(*json.loads(line)) for line in lines) if each.at_ns >= since_ns]


def main() -> None:
    """Note until ended by a signal."""
    parser = argparse.ArgumentParser(description="note the addresses that come and go on hosts of one laboratory")
    parser.add_argument("--lan", required=True, help="the laboratory's name")
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("hosts", nargs="+")
    chosen = parser.parse_args()
    listening = {_listener(Host(name, 0, chosen.lan, ())): name for name in chosen.hosts}
    with chosen.output.open("w", buffering=1) as output:
        go_first(_BEFORE_AGENTS)
        print("ready", flush=True)
        while True:
            for ready in select.select(list(listening), [], [])[0]:
                at_ns = time.monotonic_ns()
                for address, here in _messages(ready.recv(_BUFFER)):
                    output.write(json.dumps([at_ns, listening[ready], address, here]) + "\n")


def _listener(host: Host) -> socket.socket:
    with entered(host):
        found = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    found.bind((0, _GROUP))
    return found


def _messages(data: bytes) -> Iterator[tuple[str, bool]]:
    """The addresses in netlink messages, and whether each is there now."""
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        address = _local(data[_FIRST_ATTRIBUTE:length]) if kind in _KINDS else None
        if address is not None:
            yield address, _KINDS[kind]
        data = data[_aligned(length) :]


def _local(attributes: bytes) -> str | None:
    while len(attributes) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(attributes)
        if kind == _LOCAL:
            return socket.inet_ntoa(attributes[_ATTRIBUTE.size : length])
        attributes = attributes[_aligned(length) :]
    return None


def _aligned(length: int) -> int:
    return (length + 3) & ~3


if __name__ == "__main__":
    main()
