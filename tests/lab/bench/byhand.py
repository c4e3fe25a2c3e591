"""The floor: a service address that is moved by nothing but the kernel's own interface.

`python -m tests.lab.bench.byhand --lan NAME --address 192.0.2.10/24 node1 node2` has sockets open on every host named,
so that a move is three steps: delete the address here (rtnetlink(7)), add it there, tell the neighbours. Each line of
its standard input is a move, `node1 node2`, or `- node1` to begin with; it is answered by `done`. `ready` comes first.
"""

from __future__ import annotations

import argparse
import os
import socket
import struct
import sys
from ipaddress import IPv4Interface
from typing import Final

from relocd.adapters.net.frames import announcements
from tests.lab.hosts.hosts import Host, entered
from tests.lab.realtime import go_first

__all__ = ["NOWHERE", "main"]

NOWHERE: Final = "-"
_NEW_ADDRESS: Final = 20  # linux/rtnetlink.h
_DELETE_ADDRESS: Final = 21
_ADDRESS_ATTRIBUTES: Final = (2, 1)  # IFA_LOCAL and IFA_ADDRESS, linux/if_addr.h
_REQUEST_AND_ACKNOWLEDGE: Final = 0x05  # linux/netlink.h
_CREATE_EXCLUSIVELY: Final = 0x600


class Hand:
    """A hand on one host that raises and drops one address there."""

    def __init__(self, host: Host, address: IPv4Interface) -> None:
        with entered(host):
            index = socket.if_nametoindex(host.interface)
            self._kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
            self._wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            self._wire.bind((host.interface, 0))
        self._frames = announcements(self._wire.getsockname()[4], address.ip)
        self._addition = _request(_NEW_ADDRESS, _CREATE_EXCLUSIVELY, index, address)
        self._deletion = _request(_DELETE_ADDRESS, 0, index, address)

    def drop(self) -> None:
        """Delete the address."""
        self._ask(self._deletion)

    def lift(self) -> None:
        """Add the address and tell all neighbours."""
        self._ask(self._addition)
        for frame in self._frames:
            self._wire.send(frame)

    def _ask(self, request: bytes) -> None:
        self._kernel.send(request)
        (refused,) = struct.unpack_from("=i", self._kernel.recv(4096), 16)
        if refused:
            raise OSError(-refused, f"the kernel refused to move an address: {os.strerror(-refused)}")


def main() -> None:
    """Move until the standard input ends."""
    chosen = _arguments().parse_args()
    hands = {name: Hand(Host(name, 0, chosen.lan, ()), chosen.address) for name in chosen.hosts}
    go_first()
    print("ready", flush=True)
    for line in sys.stdin:
        old, new = line.split()
        if old != NOWHERE:
            hands[old].drop()
        hands[new].lift()
        print("done", flush=True)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="move an address between hosts of one laboratory")
    parser.add_argument("--lan", required=True, help="the laboratory's name")
    parser.add_argument("--address", required=True, type=IPv4Interface, help="with its prefix length")
    parser.add_argument("hosts", nargs="+")
    return parser


def _request(kind: int, flags: int, index: int, address: IPv4Interface) -> bytes:
    """A request about one IPv4 address: struct nlmsghdr, struct ifaddrmsg, two attributes."""
    body = struct.pack("=BBBBI", socket.AF_INET, address.network.prefixlen, 0, 0, index)
    body += b"".join(struct.pack("=HH", 8, attribute) + address.ip.packed for attribute in _ADDRESS_ATTRIBUTES)
    return struct.pack("=IHHII", 16 + len(body), kind, _REQUEST_AND_ACKNOWLEDGE | flags, 0, 0) + body


if __name__ == "__main__":
    main()
