"""The messages of the routing socket (rtnetlink(7)), to and from the values of `address_table`, by pyroute2.

Pure. Requests have no sequence number yet: `numbered` gives one, which the kernel repeats in its answer.
"""

from __future__ import annotations

import logging
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Final

from pyroute2.netlink import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLM_F_EXCL,
    NLM_F_REPLACE,
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
from pyroute2.netlink.rtnl.ifaddrmsg import IFA_F_NODAD, IFA_F_NOPREFIXROUTE, IFA_F_SECONDARY, ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import IFF_LOWER_UP, IFF_UP, ifinfmsg
from pyroute2.netlink.rtnl.marshal import MarshalRtnl

from relocd.adapters.net.address_table import Assigned, InterfaceChange, Link
from relocd.model.entries import ServiceAddress

__all__ = [
    "KernelAnswer",
    "Interrupted",
    "AddressTerms",
    "address_dump",
    "assignment",
    "extension",
    "link_dump",
    "link_request",
    "numbered",
    "promotion",
    "read",
    "removal",
]

_log = logging.getLogger(__name__)

_ARPHRD_ETHER: Final = 1
_FOREVER: Final = 0xFFFFFFFF
_NUMBER_OFFSET: Final = 8
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


@dataclass(frozen=True, slots=True)
class AddressTerms:
    """The terms of an address: its mark `protocol`, and its lifetime in whole seconds from now, None for ever.

    `routed` says that the IPv6 route of its network exists without it, and must outlive it.
    """

    protocol: int
    lifetime_s: int | None = None
    routed: bool = False


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


def assignment(link: Link, address: ServiceAddress, terms: AddressTerms) -> bytes:
    """The request to put an address on a link; refused when it is there.

    IPv6: without the kernel's duplicate address detection (the wire was probed before), and with a preferred lifetime
    of 0, so that no connection of this host starts from an address that may leave (RFC 6724, rule 3). IPv4: without
    a broadcast address, as `ip address add` and keepalived do; the kernel makes the broadcast route from the prefix.
    """
    return _encoded(_assigning(link, address, terms), RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL)


def extension(link: Link, address: ServiceAddress, terms: AddressTerms) -> bytes:
    """The request to give an address new terms; the kernel adds the address if it is missing."""
    return _encoded(_assigning(link, address, terms), RTM_NEWADDR, NLM_F_ACK | NLM_F_REPLACE)


def removal(link: Link, address: ServiceAddress) -> bytes:
    """The request to remove an address from a link."""
    return _encoded(_address_message(link, address), RTM_DELADDR, NLM_F_ACK)


def promotion(link: Link, *, wanted: bool) -> bytes:
    """The request to set promote_secondaries of a link; by hand, because pyroute2 only reads these settings."""
    setting = _attribute(_PROMOTE_SECONDARIES, struct.pack("=I", wanted))
    nested = _attribute(_IFLA_AF_SPEC, _attribute(socket.AF_INET, _attribute(_IFLA_INET_CONF, setting)))
    body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, link.index, 0, 0) + nested
    return struct.pack("=IHHII", 16 + len(body), RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK, 0, 0) + body


def read(datagram: bytes) -> Iterator[InterfaceChange | KernelAnswer | Interrupted]:
    """The messages in a datagram, in order; those about anything else are left out."""
    for message in _parsed(datagram):
        try:
            yield from _meaning(message)
        except (LookupError, TypeError, ValueError) as error:
            _unreadable(error)


def _parsed(datagram: bytes) -> Iterator[nlmsg]:
    """The messages up to the first one of a wrong length."""
    try:
        yield from MarshalRtnl().parse(datagram)
    except (NetlinkDecodeError, struct.error, LookupError, TypeError, ValueError) as error:
        _unreadable(error)


def _unreadable(error: Exception) -> None:
    _log.warning("a netlink message cannot be read", extra={"fields": {"problem": repr(error)}})


def _encoded(message: nlmsg, kind: int, flags: int) -> bytes:
    message["header"]["type"] = kind
    message["header"]["flags"] = NLM_F_REQUEST | flags
    message.encode()
    return bytes(message.data)


def _assigning(link: Link, address: ServiceAddress, terms: AddressTerms) -> nlmsg:
    valid_s = _FOREVER if terms.lifetime_s is None else terms.lifetime_s
    flags = IFA_F_NODAD | (IFA_F_NOPREFIXROUTE if terms.routed else 0)
    ipv6 = address.version == 6
    message = _address_message(link, address)
    message["attrs"] += [
        ("IFA_PROTO", terms.protocol),
        ("IFA_FLAGS", flags if ipv6 else 0),
        ("IFA_CACHEINFO", {"ifa_preferred": 0 if ipv6 else valid_s, "ifa_valid": valid_s}),
    ]
    return message


def _address_message(link: Link, address: ServiceAddress) -> nlmsg:
    message = ifaddrmsg()
    message["family"] = socket.AF_INET if address.version == 4 else socket.AF_INET6
    message["prefixlen"] = address.network.prefixlen
    message["index"] = link.index
    names = ("IFA_LOCAL", "IFA_ADDRESS") if address.version == 4 else ("IFA_ADDRESS",)
    message["attrs"] = [(name, str(address.ip)) for name in names]
    return message


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value


def _meaning(message: nlmsg) -> Iterator[InterfaceChange | KernelAnswer | Interrupted]:
    header = message["header"]
    kind = header["type"]
    if header["flags"] & NLM_F_DUMP_INTR:
        yield Interrupted(header["sequence_number"])
    if kind in (NLMSG_ERROR, NLMSG_DONE):
        yield KernelAnswer(header["sequence_number"], header["error"])
    elif kind in (RTM_NEWADDR, RTM_DELADDR) and message["family"] in (socket.AF_INET, socket.AF_INET6):
        yield InterfaceChange(_assigned(message), gone=kind == RTM_DELADDR)
    # A link message of another family is about its place in a bridge, and a port that leaves one is not gone.
    elif kind in (RTM_NEWLINK, RTM_DELLINK) and message["family"] == socket.AF_UNSPEC:
        yield InterfaceChange(_link(message), gone=kind == RTM_DELLINK)


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


def _assigned(message: nlmsg) -> Assigned:
    # IFA_ADDRESS is the far end where there is one, and IFA_LOCAL then this host's.
    address = ip_interface(f"{message.get('IFA_LOCAL') or message.get('IFA_ADDRESS')}/{message['prefixlen']}")
    secondary = address.version == 4 and bool(message["flags"] & IFA_F_SECONDARY)  # for IPv6 the bit means temporary
    return Assigned(message["index"], address, message.get("IFA_PROTO"), secondary)
