"""A responder on every address of a host: `python -m tests.lab.probers.echo --name node1`.

It is bound to the wildcard and answers *from* the address that it was asked at (IP_PKTINFO, and RFC 3542 section 6.1
for IPv6), so that it runs before the service address arrives and costs nothing when it does. An answer is the name,
a space, and the datagram. `ready` on its standard output says that it listens.
"""

from __future__ import annotations

import argparse
import select
import socket
import struct
from typing import Final

from tests.lab.realtime import go_first

__all__ = ["PORT", "main", "sockets"]

PORT: Final = 7
_IP_PKTINFO: Final = 8  # linux/in.h; the socket module has no name for it before Python 3.13
_IN_PKTINFO: Final = struct.Struct("=I4s4s")  # interface, source to use, destination that was asked
_IN6_PKTINFO: Final = struct.Struct("=16sI")
_Ancillary = list[tuple[int, int, bytes]]


def main() -> None:
    """Answer until ended by a signal."""
    arguments = argparse.ArgumentParser(description="answer each datagram with a name and the datagram")
    arguments.add_argument("--name", default=socket.gethostname())
    arguments.add_argument("--port", type=int, default=PORT)
    chosen = arguments.parse_args()
    listening = sockets(chosen.port)
    go_first()
    print("ready", flush=True)
    while True:
        for ready in select.select(listening, [], [])[0]:
            answer(ready, chosen.name.encode())


def sockets(port: int) -> list[socket.socket]:
    """One socket for each IP version, bound to the wildcard, that tells where a datagram was sent to."""
    v4 = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    v4.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    v4.bind(("0.0.0.0", port))  # noqa: S104 - inside a network namespace; the address comes and goes
    v6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    v6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    v6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    v6.bind(("::", port))
    return [v4, v6]


def answer(listening: socket.socket, name: bytes) -> None:
    """Take one datagram and send it back, with the name, from where it was sent to."""
    data, ancillary, _, peer = listening.recvmsg(2048, socket.CMSG_SPACE(_IN6_PKTINFO.size))
    try:
        listening.sendmsg([name, b" ", data], _from_where_asked(ancillary), 0, peer)
    except OSError:
        return  # the address has just left this host, or there is no way back: as if never asked


def _from_where_asked(ancillary: _Ancillary) -> _Ancillary:
    level, kind, data = ancillary[0]
    if level == socket.IPPROTO_IPV6:
        address, _ = _IN6_PKTINFO.unpack(data)
        return [(level, kind, _IN6_PKTINFO.pack(address, 0))]
    _, _, address = _IN_PKTINFO.unpack(data)
    return [(level, kind, _IN_PKTINFO.pack(0, address, bytes(4)))]


if __name__ == "__main__":
    main()
