"""ARP (RFC 826, RFC 5227) and neighbour discovery (RFC 4861, RFC 4862) as whole Ethernet frames. Pure.

A probe asks whether anybody has an address without claiming it: the ARP request has no sender address, the neighbour
solicitation comes from `::`, so no neighbour updates its cache. An announcement tells all neighbours that
the address is at our MAC now. `claim` reads what others send about an address.

Checksums of received frames are not checked: network cards and virtual links leave that to each other.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from relocd.errors import Invalid

__all__ = [
    "ARP",
    "EVERYTHING",
    "IPV6",
    "NEIGHBOUR_DISCOVERY",
    "NOTHING",
    "Address",
    "AddressClaim",
    "Instruction",
    "announcements",
    "claim",
    "probe",
    "solicited_node",
]

ARP: Final = 0x0806
IPV6: Final = 0x86DD

Address = IPv4Address | IPv6Address
Instruction = tuple[int, int, int, int]
"""An instruction of the classic BPF machine (linux/filter.h): code, jump if true, jump if false, operand."""

_REQUEST: Final = 1
_REPLY: Final = 2
# Hardware type Ethernet, protocol IPv4, lengths 6 and 4: the head of every ARP packet read or written here.
_ARP_HEAD: Final = struct.pack("!HHBB", 1, 0x0800, 6, 4)
_ARP_BODY: Final = struct.Struct("!H6s4s6s4s")

_ICMPV6: Final = 58
_SOLICITATION: Final = 135
_ADVERTISEMENT: Final = 136
_OVERRIDE: Final = 0x20000000
_TARGET_MAC_OPTION: Final = 2
_HOP_LIMIT: Final = 255  # RFC 4861, section 7.1: a packet that came through a router has less and is none of ours
_IPV6_HEADER: Final = struct.Struct("!IHBB16s16s")
_ND_HEADER: Final = struct.Struct("!BBHI16s")

_ETHERNET_LENGTH: Final = 14
_BROADCAST: Final = b"\xff" * 6
_NO_MAC: Final = bytes(6)
_NO_IPV4: Final = IPv4Address(0)
_NO_IPV6: Final = IPv6Address(0)
_ALL_NODES: Final = IPv6Address("ff02::1")
_SOLICITED_NODE: Final = int(IPv6Address("ff02::1:ff00:0"))

# Filters for packet sockets; an accepted frame is delivered whole.
NOTHING: Final[Sequence[Instruction]] = ((0x06, 0, 0, 0),)
EVERYTHING: Final[Sequence[Instruction]] = ((0x06, 0, 0, 0xFFFF),)
NEIGHBOUR_DISCOVERY: Final[Sequence[Instruction]] = (
    (0x30, 0, 0, 20),  # A = the IPv6 header's next header
    (0x15, 0, 4, _ICMPV6),  # is not ICMPv6: reject
    (0x30, 0, 0, 54),  # A = the ICMPv6 type
    (0x15, 1, 0, _SOLICITATION),  # is a solicitation: accept
    (0x15, 0, 1, _ADVERTISEMENT),  # is not an advertisement: reject
    *EVERYTHING,
    *NOTHING,
)


@dataclass(frozen=True, slots=True)
class AddressClaim:
    """A host claims an address: it has it, or, when `asking`, it probes before it takes it."""

    ip: Address
    mac: bytes
    asking: bool


def probe(mac: bytes, ip: Address) -> bytes:
    """The frame that asks who has the address: RFC 5227, section 2.1.1; RFC 4862, section 5.4.2."""
    if isinstance(ip, IPv4Address):
        return _arp(mac, _REQUEST, _NO_IPV4, _NO_MAC, ip)
    return _icmpv6(mac, _NO_IPV6, solicited_node(ip), _ND_HEADER.pack(_SOLICITATION, 0, 0, 0, ip.packed))


def announcements(mac: bytes, ip: Address) -> Sequence[bytes]:
    """The frames that announce to all neighbours that the address is at this MAC.

    IPv4: gratuitous ARP as a request (RFC 5227, section 2.3) and as a reply (RFC 5944, section 4.6), because some
    neighbours accept only one of them. IPv6: an unsolicited advertisement that overrides (RFC 4861, section 7.2.6).
    """
    if isinstance(ip, IPv4Address):
        return _arp(mac, _REQUEST, ip, _NO_MAC, ip), _arp(mac, _REPLY, ip, mac, ip)
    option = struct.pack("!BB6s", _TARGET_MAC_OPTION, 1, mac)
    return (_icmpv6(mac, ip, _ALL_NODES, _ND_HEADER.pack(_ADVERTISEMENT, 0, 0, _OVERRIDE, ip.packed) + option),)


def solicited_node(ip: IPv6Address) -> IPv6Address:
    """The solicited-node multicast group of an address (RFC 4291, section 2.7.1)."""
    return IPv6Address(_SOLICITED_NODE | int(ip) & 0xFFFFFF)


def claim(frame: bytes) -> AddressClaim | None:
    """The claim on an address in a frame; None for one without.

    A host that has an address shows it as the sender of any ARP packet, or as the target of an advertisement. One
    that asks as `probe` does is about to take it (RFC 5227, section 2.1.1; RFC 4862, section 5.4.3).
    """
    kind = frame[12:_ETHERNET_LENGTH]
    if kind == ARP.to_bytes(2):
        return _arp_claim(frame[_ETHERNET_LENGTH:])
    if kind == IPV6.to_bytes(2):
        return _nd_claim(frame[6:12], frame[_ETHERNET_LENGTH:])
    return None


def _ethernet(destination: bytes, source: bytes, kind: int, payload: bytes) -> bytes:
    if len(source) != 6:
        raise Invalid(f"{source.hex(':') or 'nothing'} is not the MAC of an Ethernet interface")
    return destination + source + kind.to_bytes(2) + payload


def _arp(mac: bytes, operation: int, sender: IPv4Address, target_mac: bytes, target: IPv4Address) -> bytes:
    body = _ARP_BODY.pack(operation, mac, sender.packed, target_mac, target.packed)
    return _ethernet(_BROADCAST, mac, ARP, _ARP_HEAD + body)


def _icmpv6(mac: bytes, source: IPv6Address, group: IPv6Address, message: bytes) -> bytes:
    """A message to a multicast group, whose MAC is `33:33` and the group's last four bytes (RFC 2464, section 7)."""
    pseudo = source.packed + group.packed + struct.pack("!II", len(message), _ICMPV6)  # RFC 8200, section 8.1
    summed = message[:2] + struct.pack("!H", _checksum(pseudo + message)) + message[4:]
    header = _IPV6_HEADER.pack(6 << 28, len(message), _ICMPV6, _HOP_LIMIT, source.packed, group.packed)
    return _ethernet(b"\x33\x33" + group.packed[-4:], mac, IPV6, header + summed)


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _arp_claim(packet: bytes) -> AddressClaim | None:
    body = packet[len(_ARP_HEAD) : len(_ARP_HEAD) + _ARP_BODY.size]
    if not packet.startswith(_ARP_HEAD) or len(body) < _ARP_BODY.size:
        return None
    operation, mac, sender, _, target = _ARP_BODY.unpack(body)
    if IPv4Address(sender) != _NO_IPV4:
        return AddressClaim(IPv4Address(sender), mac, asking=False)
    return AddressClaim(IPv4Address(target), mac, asking=True) if operation == _REQUEST else None


def _nd_claim(sender: bytes, packet: bytes) -> AddressClaim | None:
    if len(packet) < _IPV6_HEADER.size + _ND_HEADER.size:
        return None
    _, _, following, hops, source, _ = _IPV6_HEADER.unpack_from(packet)
    kind, code, _, _, target = _ND_HEADER.unpack_from(packet, _IPV6_HEADER.size)
    if (following, hops, code) != (_ICMPV6, _HOP_LIMIT, 0):
        return None
    if kind == _ADVERTISEMENT:
        told = _target_mac(packet[_IPV6_HEADER.size + _ND_HEADER.size :])
        return AddressClaim(IPv6Address(target), told or sender, asking=False)
    is_probe = kind == _SOLICITATION and IPv6Address(source) == _NO_IPV6
    return AddressClaim(IPv6Address(target), sender, asking=True) if is_probe else None


def _target_mac(options: bytes) -> bytes | None:
    """The MAC in the target link-layer address option (RFC 4861, section 4.6.1), where there is one."""
    while len(options) >= 8 and options[1]:
        if options[0] == _TARGET_MAC_OPTION:
            return options[2:8]
        options = options[8 * options[1] :]
    return None
