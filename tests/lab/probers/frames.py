"""UDP datagrams as raw Ethernet frames, to ask one chosen host for an address whatever the neighbour tables say."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

__all__ = ["Datagram", "ethernet"]

Address = IPv4Address | IPv6Address
_UDP: Final = 17


@dataclass(frozen=True, slots=True)
class Datagram:
    """A UDP datagram between two addresses of one IP version."""

    source: Address
    source_port: int
    destination: Address
    destination_port: int
    data: bytes


def ethernet(source_mac: str, destination_mac: str, datagram: Datagram) -> bytes:
    """The whole frame: Ethernet, IP (RFC 791 or RFC 8200), UDP with its checksum (RFC 768)."""
    udp = _udp(datagram)
    is_v4 = datagram.destination.version == 4
    packet = (_ipv4_header if is_v4 else _ipv6_header)(datagram, len(udp)) + udp
    return _mac(destination_mac) + _mac(source_mac) + (b"\x08\x00" if is_v4 else b"\x86\xdd") + packet


def _udp(datagram: Datagram) -> bytes:
    length = 8 + len(datagram.data)
    pseudo = datagram.source.packed + datagram.destination.packed + struct.pack("!II", length, _UDP)
    ports = struct.pack("!HHH", datagram.source_port, datagram.destination_port, length)
    # A sum of zero means "none" (RFC 768), so it is sent as its other form.
    checksum = _checksum(pseudo + ports + datagram.data) or 0xFFFF
    return ports + struct.pack("!H", checksum) + datagram.data


def _ipv4_header(datagram: Datagram, length: int) -> bytes:
    addresses = datagram.source.packed + datagram.destination.packed
    before = struct.pack("!BBHHHBB", 0x45, 0, 20 + length, 0, 0, 64, _UDP)
    return before + struct.pack("!H", _checksum(before + addresses)) + addresses


def _ipv6_header(datagram: Datagram, length: int) -> bytes:
    return struct.pack("!IHBB", 6 << 28, length, _UDP, 64) + datagram.source.packed + datagram.destination.packed


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = data + bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))
