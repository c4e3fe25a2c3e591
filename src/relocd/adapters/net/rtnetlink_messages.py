"""The messages of the routing socket (rtnetlink(7)), to and from the values of `address_table`, by pyroute2.

Pure. Requests have no sequence number yet: `numbered` gives one, which the kernel repeats in its answer. What a move
waits for is read without pyroute2: addresses by `address_messages`, and that a request was carried out.
"""

from __future__ import annotations

import logging
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pyroute2.netlink import (
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    nlmsg,
)
from pyroute2.netlink.exceptions import NetlinkDecodeError
from pyroute2.netlink.rtnl import (
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_GETADDR,
    RTM_GETLINK,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_SETLINK,
)
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import IFF_LOWER_UP, IFF_UP, ifinfmsg
from pyroute2.netlink.rtnl.marshal import MarshalRtnl

from relocd.adapters.net.address_messages import assigned
from relocd.adapters.net.address_table import InterfaceChange, Link

__all__ = [
    "KernelAnswer",
    "Interrupted",
    "address_dump",
    "link_dump",
    "link_request",
    "numbered",
    "promotion",
    "read",
]

_log = logging.getLogger(__name__)

_ARPHRD_ETHER: Final = 1
_HEADER: Final = struct.Struct("=IHHII")
_NUMBER_OFFSET: Final = 8
_NO_ERROR: Final = bytes(4)
_UP: Final = IFF_UP | IFF_LOWER_UP
# The path to one IPv4 setting of a link (linux/if_link.h, linux/ip.h).
_IFLA_AF_SPEC: Final = 26
_IFLA_INET_CONF: Final = 1
_PROMOTE_SECONDARIES: Final = 20


@dataclass(frozen=True, slots=True)
class KernelAnswer:
    """The end of a request: success, or an error of pyroute2."""

    number: int
    error: Exception | None


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Something changed during a dump, so entries may be missing in it; its answer is still to come."""

    number: int


def numbered(request: bytes, number: int) -> bytes:
    """The request with its sequence number."""
    return request[:_NUMBER_OFFSET] + struct.pack("=I", number) + request[_NUMBER_OFFSET + 4 :]


def link_dump() -> bytes:
    """The request for all links."""
    return _encoded(ifinfmsg(), RTM_GETLINK, NLM_F_DUMP)


def address_dump() -> bytes:
    """The request for all addresses."""
    return _encoded(ifaddrmsg(), RTM_GETADDR, NLM_F_DUMP)


def link_request(link: Link) -> bytes:
    """The request for one link."""
    message = ifinfmsg()
    message["index"] = link.index
    return _encoded(message, RTM_GETLINK, NLM_F_ACK)


def promotion(link: Link, *, wanted: bool) -> bytes:
    """The request to set promote_secondaries of a link; by hand, because pyroute2 only reads these settings."""
    setting = _attribute(_PROMOTE_SECONDARIES, struct.pack("=I", wanted))
    nested = _attribute(_IFLA_AF_SPEC, _attribute(socket.AF_INET, _attribute(_IFLA_INET_CONF, setting)))
    body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, link.index, 0, 0) + nested
    return _HEADER.pack(_HEADER.size + len(body), RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK, 0, 0) + body


def read(datagram: bytes) -> Iterator[InterfaceChange | KernelAnswer | Interrupted]:
    """The messages in a datagram, in order, up to one of a wrong length; those about anything else are left out."""
    at = 0
    while at + _HEADER.size <= len(datagram):
        length = _HEADER.unpack_from(datagram, at)[0]
        if not _HEADER.size <= length <= len(datagram) - at:
            _unreadable(ValueError(f"a message of {length} bytes"))
            return
        try:
            yield from _meaning(datagram[at : at + length])
        except (NetlinkDecodeError, struct.error, LookupError, TypeError, ValueError) as error:
            _unreadable(error)
        at += length


def _unreadable(error: Exception) -> None:
    _log.warning("a netlink message cannot be read", extra={"fields": {"problem": repr(error)}})


def _encoded(message: nlmsg, kind: int, flags: int) -> bytes:
    message["header"]["type"] = kind
    message["header"]["flags"] = NLM_F_REQUEST | flags
    message.encode()
    return bytes(message.data)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value


def _meaning(message: bytes) -> Iterator[InterfaceChange | KernelAnswer | Interrupted]:
    _, kind, flags, number, _ = _HEADER.unpack_from(message)
    if flags & NLM_F_DUMP_INTR:
        yield Interrupted(number)
    if kind in (RTM_NEWADDR, RTM_DELADDR):
        found = assigned(message[_HEADER.size :])
        if found is not None:
            yield InterfaceChange(found, gone=kind == RTM_DELADDR)
    elif kind == NLMSG_ERROR and message[_HEADER.size :].startswith(_NO_ERROR):
        yield KernelAnswer(number, None)
    elif kind in (NLMSG_ERROR, NLMSG_DONE):
        for parsed in MarshalRtnl().parse(message):
            yield KernelAnswer(number, parsed["header"]["error"])
    elif kind in (RTM_NEWLINK, RTM_DELLINK):
        for parsed in MarshalRtnl().parse(message):
            # Of another family it is about the link's place in a bridge, and a port that leaves one is not gone.
            if parsed["family"] == socket.AF_UNSPEC:
                yield InterfaceChange(_link(parsed), gone=kind == RTM_DELLINK)


def _link(message: nlmsg) -> Link:
    mac = message.get("IFLA_ADDRESS") if message["ifi_type"] == _ARPHRD_ETHER else None
    properties = message.get("IFLA_PROP_LIST")
    return Link(
        index=message["index"],
        name=message.get("IFLA_IFNAME") or "",
        mac=bytes.fromhex(mac.replace(":", "")) if mac else b"",
        up=message["flags"] & _UP == _UP,
        promotes=bool(message.get(("IFLA_AF_SPEC", "AF_INET", "promote_secondaries"))),
        altnames=tuple(properties.altnames()) if properties else (),
        carrier_ups=message.get("IFLA_CARRIER_UP_COUNT") or 0,
    )
