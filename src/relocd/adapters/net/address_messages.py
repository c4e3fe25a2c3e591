"""The messages of the routing socket about addresses (rtnetlink(7), linux/if_addr.h), packed and read by hand. Pure.

While an address moves no server has it, and in that time one of these messages is made and two are read. pyroute2,
which reads all other messages, takes 0.4 ms for them, a tenth of what the whole move takes.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from typing import Final

from relocd.adapters.net.address_table import Assigned, Link
from relocd.model.entries import ServiceAddress

__all__ = ["AddressTerms", "assigned", "assignment", "extension", "removal"]

_MESSAGE: Final = struct.Struct("=IHHII")
_ADDRESS: Final = struct.Struct("=BBBBI")
_ATTRIBUTE: Final = struct.Struct("=HH")
_LIFETIMES: Final = struct.Struct("=IIII")
_FOREVER: Final = 0xFFFFFFFF

_RTM_NEWADDR, _RTM_DELADDR = 20, 21
_REQUEST, _ACK, _REPLACE, _EXCL, _CREATE = 0x1, 0x4, 0x100, 0x200, 0x400  # linux/netlink.h
_IFA_ADDRESS, _IFA_LOCAL, _IFA_CACHEINFO, _IFA_FLAGS, _IFA_PROTO = 1, 2, 6, 8, 11
_SECONDARY, _NODAD, _NOPREFIXROUTE = 0x1, 0x2, 0x200
_KIND: Final = 0x3FFF
"""The bits of an attribute's kind; the others are flags."""


@dataclass(frozen=True, slots=True)
class AddressTerms:
    """The terms of an address: its mark `protocol`, and its lifetime in whole seconds from now, None for ever.

    `routed` says that the IPv6 route of its network exists without it, and must outlive it.
    """

    protocol: int
    lifetime_s: int | None = None
    routed: bool = False


def assignment(link: Link, address: ServiceAddress, terms: AddressTerms) -> bytes:
    """The request to put an address on a link; refused when it is there.

    IPv6: without the kernel's duplicate address detection (the wire was probed before), and with a preferred lifetime
    of 0, so that no connection of this host starts from an address that may leave (RFC 6724, rule 3). IPv4: without
    a broadcast address, as `ip address add` and keepalived do; the kernel makes the broadcast route from the prefix.
    """
    return _request(_RTM_NEWADDR, _CREATE | _EXCL, _named(link, address) + _with_terms(address, terms))


def extension(link: Link, address: ServiceAddress, terms: AddressTerms) -> bytes:
    """The request to give an address new terms; the kernel adds the address if it is missing."""
    return _request(_RTM_NEWADDR, _REPLACE, _named(link, address) + _with_terms(address, terms))


def removal(link: Link, address: ServiceAddress) -> bytes:
    """The request to remove an address from a link."""
    return _request(_RTM_DELADDR, 0, _named(link, address))


def assigned(body: bytes) -> Assigned | None:
    """The address in the body of a message; None for one that is not of the Internet's protocols.

    Raises ValueError or `struct.error` for a malformed one.
    """
    family, prefix, flags, _, index = _ADDRESS.unpack_from(body)
    if family not in {socket.AF_INET, socket.AF_INET6}:
        return None
    found = dict(_attributes(body[_ADDRESS.size :]))
    # IFA_ADDRESS is the far end where there is one, and IFA_LOCAL then this host's.
    packed, protocol = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS), found.get(_IFA_PROTO)
    if not packed:
        raise ValueError("a message about an address names none")
    address = (IPv4Interface if family == socket.AF_INET else IPv6Interface)((packed, prefix))
    secondary = address.version == 4 and bool(flags & _SECONDARY)  # for IPv6 the bit means temporary
    return Assigned(index, address, protocol[0] if protocol else None, secondary)


def _request(kind: int, flags: int, body: bytes) -> bytes:
    return _MESSAGE.pack(_MESSAGE.size + len(body), kind, _REQUEST | _ACK | flags, 0, 0) + body


def _named(link: Link, address: ServiceAddress) -> bytes:
    ipv4 = address.version == 4
    family, kinds = (socket.AF_INET, (_IFA_LOCAL, _IFA_ADDRESS)) if ipv4 else (socket.AF_INET6, (_IFA_ADDRESS,))
    head = _ADDRESS.pack(family, address.network.prefixlen, 0, 0, link.index)
    return head + b"".join(_attribute(kind, address.packed) for kind in kinds)


def _with_terms(address: ServiceAddress, terms: AddressTerms) -> bytes:
    ipv6, valid_s = address.version == 6, _FOREVER if terms.lifetime_s is None else terms.lifetime_s
    flags = _NODAD | (_NOPREFIXROUTE if terms.routed else 0) if ipv6 else 0
    return (
        _attribute(_IFA_PROTO, bytes([terms.protocol]))
        + _attribute(_IFA_FLAGS, struct.pack("=I", flags))
        + _attribute(_IFA_CACHEINFO, _LIFETIMES.pack(0 if ipv6 else valid_s, valid_s, 0, 0))
    )


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            raise ValueError(f"an attribute of {length} bytes")
        yield kind & _KIND, data[at + _ATTRIBUTE.size : at + length]
        at += length + -length % 4
