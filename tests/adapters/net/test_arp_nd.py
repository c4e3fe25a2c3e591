"""Probes and announcements between hosts on one bridge; the neighbours are real kernels."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import replace
from ipaddress import ip_interface

import pytest

from relocd.adapters.net import frames
from relocd.adapters.net.arp_nd import PacketWire, attach_filter, translated
from relocd.errors import Failed, RelocdError, Unavailable
from relocd.model.host import Interface, Probe
from relocd.model.settings import WireSettings
from tests.lab.hosts.hosts import Lan, entered

IPV4 = ip_interface("192.0.2.10/24")
IPV6 = ip_interface("2001:db8::10/64")
BOTH = pytest.mark.parametrize("address", [IPV4, IPV6], ids=["IPv4", "IPv6"])
SETTINGS = WireSettings(probes=3, probe_interval_ms=20)
PATIENT = WireSettings(probes=3, probe_interval_ms=1000)
LOWER, HIGHER = bytes.fromhex("020000000000"), bytes.fromhex("0200000000ff")


@pytest.fixture
def lan():
    with Lan(["node1", "node2"]) as made, entered(made["node1"]):
        yield made


def interface(host, name: str = "eth0") -> Interface:
    index = {name: index for index, name in socket.if_nameindex()}.get(name, 99)
    return Interface(index, name, bytes.fromhex(host.mac.replace(":", "")), True, host.own)


@pytest.fixture
def eth0(lan):
    return interface(lan["node1"])


@pytest.fixture
async def wire(lan):
    async with PacketWire(SETTINGS, lambda: ()) as opened:
        yield opened


@pytest.fixture
async def patient(lan):
    async with PacketWire(PATIENT, lambda: ()) as opened:
        yield opened


def raise_on(host, address) -> None:
    """The host has the address and answers for it, which for IPv6 is a moment after `ip` returns."""
    host.run(["ip", "address", "add", str(address), "dev", "eth0", *(["nodad"] if address.version == 6 else [])])
    deadline = time.monotonic() + 5
    while host.run(["ip", "address", "show", "dev", "eth0", "to", str(address.ip), "tentative"]).stdout:
        assert time.monotonic() < deadline, f"{address} stays tentative"


def neighbours(host) -> dict[str, str | None]:
    entries = json.loads(host.run(["ip", "-json", "neigh", "show", "dev", "eth0"]).stdout)
    return {entry["dst"]: entry.get("lladdr") for entry in entries}


def raw_socket(host) -> socket.socket:
    """A packet socket on another host, to send frames of any kind."""
    with entered(host):
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        sock.bind(("eth0", 0))
        return sock


@BOTH
async def test_whoever_has_the_address_answers(patient, lan, eth0, address):
    """The kernel of the other host answers, which ends the probe; one frame may get lost on a busy machine."""
    raise_on(lan["node2"], address)
    start = time.monotonic()
    assert await patient.probe(eth0, [address]) == (Probe(address, lan["node2"].mac),)
    assert time.monotonic() - start < PATIENT.probes * PATIENT.probe_interval_ms / 1000


@BOTH
async def test_silence_lasts_as_long_as_the_settings_say(wire, eth0, address):
    start = time.monotonic()
    assert await wire.probe(eth0, [address]) == (Probe(address, None),)
    assert 0.059 < time.monotonic() - start < 0.5


async def test_all_addresses_at_once(patient, lan, eth0):
    """The first answer ends the probe: the others are open, not silent."""
    raise_on(lan["node2"], IPV6)
    others = [ip_interface("192.0.2.11/24"), ip_interface("2001:db8::11/64")]
    answers = {probe.address: probe.answered_by for probe in await patient.probe(eth0, [IPV4, IPV6, *others])}
    assert answers == {IPV4: None, IPV6: lan["node2"].mac, others[0]: None, others[1]: None}


async def test_an_address_that_appears_between_two_probes(lan, eth0):
    async with PacketWire(WireSettings(probes=100, probe_interval_ms=5), lambda: ()) as wire:
        probing = asyncio.create_task(wire.probe(eth0, [IPV4]))
        await asyncio.sleep(0)
        raise_on(lan["node2"], IPV4)
        assert (await probing)[0].answered_by == lan["node2"].mac


async def test_probes_at_the_same_time(patient, lan, eth0):
    raise_on(lan["node2"], IPV4)
    raise_on(lan["node2"], IPV6)
    found = await asyncio.gather(*(patient.probe(eth0, [address]) for address in (IPV4, IPV6, IPV4)))
    assert [probes[0].answered_by for probes in found] == [lan["node2"].mac] * 3


@BOTH
async def test_a_probe_teaches_the_neighbours_nothing(wire, lan, eth0, address):
    raise_on(lan["node2"], address)
    await wire.probe(eth0, [address])
    assert str(address.ip) not in neighbours(lan["node2"])
    assert not {lan["node1"].ipv4, lan["node1"].ipv6} & set(neighbours(lan["node2"]))


@BOTH
async def test_our_own_interfaces_never_count(lan, eth0, address):
    """Another interface of this host on the same network answers for the host's addresses too."""
    raise_on(lan["node2"], address)
    async with PacketWire(SETTINGS, lambda: (interface(lan["node2"]),)) as wire:
        assert await wire.probe(eth0, [address]) == (Probe(address, None),)


@BOTH
async def test_what_is_said_on_another_interface_does_not_count(wire, lan, eth0, address):
    """Networks that are apart may have the same addresses."""
    for command in ("link add veth8 type veth peer name veth9", "link set veth8 up", "link set veth9 up"):
        lan["node1"].run(["ip", *command.split()])
    with closing(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)) as other:
        probing = asyncio.create_task(wire.probe(eth0, [address]))
        await asyncio.sleep(0)
        for frame in frames.announcements(LOWER, address.ip):
            other.sendto(frame, ("veth9", 0))
        assert await probing == (Probe(address, None),)


@BOTH
async def test_a_host_of_a_lower_mac_that_asks_too_goes_first(patient, lan, eth0, address):
    """RFC 5227, 2.1.1; RFC 4862, 5.4.3."""
    with closing(raw_socket(lan["node2"])) as other:
        probing = asyncio.create_task(patient.probe(eth0, [address]))
        await asyncio.sleep(0)
        other.send(frames.probe(LOWER, address.ip))
        assert await probing == (Probe(address, LOWER.hex(":")),)


@BOTH
async def test_a_host_of_a_higher_mac_that_asks_too_gives_way(wire, lan, eth0, address):
    """The RFCs would have both give way, and relocd on both would try again at the same time."""
    with closing(raw_socket(lan["node2"])) as other:
        probing = asyncio.create_task(wire.probe(eth0, [address]))
        await asyncio.sleep(0)
        other.send(frames.probe(HIGHER, address.ip))
        assert await probing == (Probe(address, None),)


@pytest.mark.parametrize("addresses", [[], [IPV4, IPV6]], ids=["no address", "no probes"])
async def test_nothing_to_ask(lan, eth0, addresses):
    async with PacketWire(WireSettings(probes=0), lambda: ()) as wire:
        assert await wire.probe(eth0, addresses) == tuple(Probe(address, None) for address in addresses)


@BOTH
@pytest.mark.parametrize("state", ["reachable", "stale"])
async def test_an_announcement_moves_the_address(wire, lan, eth0, address, state):
    client, stale = lan["node2"], "02:00:00:00:00:99"
    client.run(["ip", "neigh", "replace", str(address.ip), "lladdr", stale, "dev", "eth0", "nud", state])
    assert neighbours(client)[str(address.ip)] == stale
    await wire.announce(eth0, [IPV4, IPV6])
    deadline = time.monotonic() + 5
    while neighbours(client)[str(address.ip)] != lan["node1"].mac:
        assert time.monotonic() < deadline, "the client still has the old MAC"


async def test_silence_without_a_carrier_says_nothing(wire, eth0):
    cut = replace(eth0, up=False)
    with pytest.raises(Failed, match="eth0 is down or has no carrier"):
        await wire.probe(cut, [IPV4])
    with pytest.raises(Failed, match="eth0 is down or has no carrier"):
        await wire.announce(cut, [IPV4])


async def test_an_interface_without_ethernet_has_no_neighbours(wire):
    loopback = Interface(1, "lo", b"", True, ())
    assert await wire.probe(loopback, [IPV4, IPV6]) == (Probe(IPV4, None), Probe(IPV6, None))
    await wire.announce(loopback, [IPV4, IPV6])


async def test_interface_down(wire, lan, eth0):
    lan["node1"].run(["ip", "link", "set", "eth0", "down"])
    with pytest.raises(Failed, match="send on eth0: Network is down; bring the interface up"):
        await wire.announce(eth0, [IPV4])
    for address in (IPV4, IPV6):
        with pytest.raises(Failed, match="eth0: "):
            await wire.probe(eth0, [address])


@BOTH
async def test_no_such_interface(wire, lan, address):
    with pytest.raises(Failed, match="eth9: No such device"):
        await wire.probe(interface(lan["node1"], "eth9"), [address])


async def test_traffic_does_not_wake_an_idle_agent(wire, lan, eth0):
    """What even a probe would hear, while there is none; a socket without a filter shows that it has arrived."""
    await wire.probe(eth0, [IPV4])
    for sock in wire._sockets.values():
        with suppress(BlockingIOError):  # what had come during the probe
            while sock.recv(1):
                pass
    heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(frames.IPV6))
    with closing(heard), closing(raw_socket(lan["node2"])) as other:
        heard.settimeout(5)
        for frame in (*frames.announcements(LOWER, IPV4.ip), *frames.announcements(LOWER, IPV6.ip)):
            other.send(frame)
        while heard.recv(2000) != frame:
            pass
    for sock in wire._sockets.values():
        with pytest.raises(BlockingIOError):
            sock.recv(1)


def test_only_neighbour_discovery_passes_the_filter(lan):
    """What counts is the next header and the ICMPv6 type; the last frame shows that the others have arrived."""
    solicitation, (advertisement,) = frames.probe(LOWER, IPV6.ip), frames.announcements(LOWER, IPV6.ip)
    udp = solicitation[:20] + b"\x11" + solicitation[21:]
    others = [solicitation[:54] + bytes([kind]) + solicitation[55:] for kind in (128, 129, 134, 137)]
    with (
        closing(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)) as sock,
        closing(raw_socket(lan["node2"])) as other,
    ):
        attach_filter(sock, frames.NEIGHBOUR_DISCOVERY)
        sock.bind(("eth0", frames.IPV6))
        sock.settimeout(5)
        for frame in (solicitation, udp, *others, b"\xff" * 6 + LOWER + b"\x86\xdd", advertisement):
            other.send(frame)
        assert [sock.recv(2000) for _ in range(2)] == [solicitation, advertisement]


def test_without_the_right_to_raw_sockets():
    script = (
        "import asyncio; from relocd.adapters.net.arp_nd import PacketWire\n"
        "from relocd.model.settings import WireSettings\n"
        "asyncio.run(PacketWire(WireSettings(), lambda: ()).open())"
    )
    unprivileged = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", sys.executable, "-c", script]
    done = subprocess.run(unprivileged, capture_output=True, text=True, timeout=20, check=False)
    assert (
        "Failed: open a packet socket: Operation not permitted; run the agent as root or give it CAP_NET_RAW"
        in done.stderr
    )


@pytest.mark.parametrize("code", sorted(errno.errorcode), ids=errno.errorcode.get)
def test_every_error_of_a_socket_is_translated(code):
    error = OSError(code, "text")
    with pytest.raises(RelocdError, match=r"^send it: text") as caught, translated("send it"):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (OSError(errno.EPERM, "text"), Failed, "CAP_NET_RAW"),
        (OSError(errno.ENOBUFS, "text"), Unavailable, "try again"),
        (TimeoutError("without a number"), Failed, "without a number"),
    ],
    ids=lambda value: repr(value) if isinstance(value, Exception) else "",
)
def test_what_to_do_about_an_error(error, kind, message):
    with pytest.raises(kind, match=message), translated("send it"):
        raise error
