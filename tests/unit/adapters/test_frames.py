"""Frames are what the RFCs say, byte by byte; whatever arrives is read without harm."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relocd.adapters.net import frames
from relocd.adapters.net.frames import AddressClaim
from relocd.errors import Invalid

MAC = bytes.fromhex("020000000001")
OTHER = bytes.fromhex("020000000002")
IPV4 = IPv4Address("192.0.2.10")
IPV6 = IPv6Address("2001:db8::12:3456")
NO_HURRY = settings(deadline=None)  # the machine may be busy with something else


def test_arp_probe_claims_nothing():
    """RFC 5227, 2.1.1: broadcast, our MAC as sender, 0.0.0.0 as sender address, an empty target MAC."""
    assert frames.probe(MAC, IPV4).hex(" ") == (
        "ff ff ff ff ff ff 02 00 00 00 00 01 08 06 "
        "00 01 08 00 06 04 00 01 02 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 c0 00 02 0a"
    )


def test_gratuitous_arp_has_both_forms():
    """RFC 5227, 2.3 (request) and RFC 5944, 4.6 (reply with the sender's MAC as target too)."""
    head = "ff ff ff ff ff ff 02 00 00 00 00 01 08 06 00 01 08 00 06 04 "
    request, reply = (frame.hex(" ") for frame in frames.announcements(MAC, IPV4))
    assert request == head + "00 01 02 00 00 00 00 01 c0 00 02 0a 00 00 00 00 00 00 c0 00 02 0a"
    assert reply == head + "00 02 02 00 00 00 00 01 c0 00 02 0a 02 00 00 00 00 01 c0 00 02 0a"


def test_solicitation_is_that_of_duplicate_address_detection():
    """RFC 4862, 5.4.2: from ::, to the solicited-node group, hop limit 255, no option; RFC 2464, 7: the group's MAC."""
    frame = frames.probe(MAC, IPV6)
    assert frame.hex(" ") == (
        "33 33 ff 12 34 56 02 00 00 00 00 01 86 dd 60 00 00 00 00 18 3a ff "
        + "00 " * 16
        + "ff 02 00 00 00 00 00 00 00 00 00 01 ff 12 34 56 "
        + "87 00 e4 1e 00 00 00 00 20 01 0d b8 00 00 00 00 00 00 00 00 00 12 34 56"
    )


def test_advertisement_overrides_for_all_nodes():
    """RFC 4861, 7.2.6: from the address to ff02::1, override without solicited, with the target's MAC."""
    (frame,) = frames.announcements(MAC, IPV6)
    packet = frame[14:]
    assert frame[:14].hex(" ") == "33 33 00 00 00 01 02 00 00 00 00 01 86 dd"
    assert packet[6:8] == bytes([58, 255])
    assert packet[8:24] == IPV6.packed
    assert packet[24:40] == IPv6Address("ff02::1").packed
    assert packet[40:42] == bytes([136, 0])
    assert packet[44:48].hex() == "20000000"
    assert packet[48:64] == IPV6.packed
    assert packet[64:].hex(" ") == "02 01 02 00 00 00 00 01"


@NO_HURRY
@given(st.binary(min_size=6, max_size=6), st.ip_addresses(v=6))
def test_icmpv6_checksum_adds_up(mac, ip):
    """RFC 8200, 8.1: pseudo-header and message add up to all ones."""
    for frame in (frames.probe(mac, ip), *frames.announcements(mac, ip)):
        packet = frame[14:]
        length = len(packet) - 40
        whole = packet[8:40] + struct.pack("!II", length, 58) + packet[40:]
        total = sum(struct.unpack(f"!{len(whole) // 2}H", whole))
        assert total % 0xFFFF == 0
        assert packet[4:6] == length.to_bytes(2)


def test_solicited_node_group():
    assert frames.solicited_node(IPv6Address("4037::1:800:200e:8c6c")) == IPv6Address("ff02::1:ff0e:8c6c")


@pytest.mark.parametrize("ip", [IPV4, IPV6], ids=str)
@pytest.mark.parametrize("mac", [b"", bytes(4), bytes(20)], ids=len)
def test_a_mac_that_is_not_ethernet_is_refused(mac, ip):
    with pytest.raises(Invalid, match="is not the MAC of an Ethernet interface"):
        frames.probe(mac, ip)


@NO_HURRY
@given(st.binary(min_size=6, max_size=6), st.ip_addresses().filter(lambda ip: int(ip) != 0))
def test_our_own_frames_are_read_back(mac, ip):
    assert frames.claim(frames.probe(mac, ip)) == AddressClaim(ip, mac, asking=True)
    for frame in frames.announcements(mac, ip):
        assert frames.claim(frame) == AddressClaim(ip, mac, asking=False)


def arp(operation: int, sender: IPv4Address, target: IPv4Address) -> bytes:
    head = MAC + OTHER + bytes.fromhex("0806 0001 0800 0604") + operation.to_bytes(2)
    return head + OTHER + sender.packed + MAC + target.packed


def nd(kind: int, source: str, options: bytes = b"", hops: int = 255) -> bytes:
    ends = ip_address(source).packed + IPv6Address("ff02::1").packed
    head = struct.pack("!IHBB", 6 << 28, 24 + len(options), 58, hops) + ends
    return MAC + OTHER + b"\x86\xdd" + head + struct.pack("!BBHI", kind, 0, 0, 0) + IPV6.packed + options


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        pytest.param(arp(2, IPV4, IPv4Address(0)), AddressClaim(IPV4, OTHER, asking=False), id="answer to a probe"),
        pytest.param(arp(2, IPV4, IPV4) + bytes(18), AddressClaim(IPV4, OTHER, asking=False), id="padded to 60 bytes"),
        pytest.param(
            arp(1, IPV4, IPv4Address("192.0.2.1")), AddressClaim(IPV4, OTHER, asking=False), id="sender of a request"
        ),
        pytest.param(arp(2, IPv4Address(0), IPV4), None, id="reply from no address"),
        pytest.param(nd(136, str(IPV6)), AddressClaim(IPV6, OTHER, asking=False), id="advertisement without a MAC"),
        pytest.param(
            nd(136, "fe80::1", bytes.fromhex("0e01 000000000000 0201 020000000099")),
            AddressClaim(IPV6, bytes.fromhex("020000000099"), asking=False),
            id="advertisement with its MAC in the second option",
        ),
        pytest.param(nd(136, str(IPV6), bytes(8)), AddressClaim(IPV6, OTHER, asking=False), id="option of no length"),
        pytest.param(nd(136, str(IPV6), hops=64), None, id="through a router"),
        pytest.param(nd(135, "fe80::1"), None, id="ordinary solicitation"),
        pytest.param(nd(134, "fe80::1"), None, id="router advertisement"),
        pytest.param(MAC + OTHER + b"\x08\x00" + bytes(60), None, id="IPv4"),
        pytest.param(b"", None, id="nothing"),
    ],
)
def test_what_others_claim(frame, expected):
    assert frames.claim(frame) == expected


@NO_HURRY
@given(st.sampled_from([arp(2, IPV4, IPV4), nd(136, str(IPV6), bytes(8)), nd(135, "::")]), st.data())
def test_a_truncated_frame_is_read_without_harm(frame, data):
    frames.claim(frame[: data.draw(st.integers(0, len(frame)))])


@NO_HURRY
@given(st.sampled_from([b"\x08\x06", b"\x86\xdd"]), st.binary(max_size=120))
def test_any_frame_is_read_without_harm(kind, payload):
    frames.claim(MAC + OTHER + kind + payload)
