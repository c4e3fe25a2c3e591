"""Addresses on real interfaces, in namespaces of their own, with `ip` as the other administrator."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from ipaddress import ip_interface

import pytest

from relocd.adapters.net.address_table import InterfaceChange, Link
from relocd.adapters.net.addresses import PROTOCOL, NetlinkAddresses
from relocd.errors import Failed, Unavailable
from relocd.model.host import HeldAddress
from tests.adapters.net.lab import BOTH, FIRST, IPV4, IPV6, SECOND, held, ip, protocol, shown, until


@BOTH
async def test_add_raises_and_marks_drop_removes(addresses, host, address):
    await addresses.add("eth0", address)
    assert held(addresses, address) == HeldAddress("eth0", address, ours=True)
    assert shown(host, address) is not None
    assert await protocol(address) == PROTOCOL
    await addresses.drop("eth0", address)
    assert held(addresses, address) is None
    assert shown(host, address) is None


@BOTH
async def test_add_and_drop_again_do_nothing(addresses, host, address):
    await addresses.add("eth0", address)
    await addresses.add("eth0", address)
    await addresses.drop("eth0", address)
    await addresses.drop("eth0", address)
    assert shown(host, address) is None


async def test_many_at_once(addresses):
    wanted = [ip_interface(f"192.0.2.{n}/24") for n in range(50, 70)]
    wanted += [ip_interface(f"2001:db8::{n}/64") for n in range(50, 70)]
    await asyncio.gather(*(addresses.add("eth0", each) for each in wanted))
    assert all(held(addresses, each).ours for each in wanted)
    await asyncio.gather(*(addresses.drop("eth0", each) for each in wanted))
    assert not any(held(addresses, each) for each in wanted)


async def test_ipv6_is_usable_at_once_and_no_source_address(addresses, host):
    await addresses.add("eth0", IPV6)
    entry = shown(host, IPV6)
    assert "tentative" not in entry
    assert entry["nodad"]
    assert entry["deprecated"]
    route = json.loads(host.run(["ip", "-json", "route", "get", "2001:db8::99"]).stdout)
    assert route[0]["prefsrc"] == host.ipv6


async def test_ipv4_is_no_source_address_and_has_no_broadcast_address(addresses, host):
    await addresses.add("eth0", IPV4)
    assert "broadcast" not in shown(host, IPV4)
    route = json.loads(host.run(["ip", "-json", "route", "get", "192.0.2.99"]).stdout)
    assert route[0]["prefsrc"] == host.ipv4


@BOTH
@pytest.mark.parametrize("same_prefix", [True, False], ids=["same prefix length", "another prefix length"])
async def test_foreign_address_is_not_touched(addresses, host, address, same_prefix):
    foreign = address if same_prefix else ip_interface(f"{address.ip}/{address.max_prefixlen}")
    ip(host, "address", "add", str(foreign), "dev", "eth0", *(["nodad"] if address.version == 6 else []))
    await until(lambda: held(addresses, foreign))
    before = shown(host, address)
    for raising in (addresses.check, addresses.add):
        with pytest.raises(
            Failed, match=rf"raise {address} on eth0: {foreign} is there .*ip address del {foreign} dev eth0"
        ):
            await raising("eth0", address)
    with pytest.raises(Failed, match=f"drop {foreign} on eth0: relocd has not raised it"):
        await addresses.drop("eth0", foreign)
    assert shown(host, address) == before


@BOTH
async def test_foreign_address_that_the_table_does_not_show_yet(addresses, host, address):
    """The kernel refuses (EEXIST), and whose address it is was told before its refusal."""
    ip(host, "address", "add", str(address), "dev", "eth0", *(["nodad"] if address.version == 6 else []))
    assert held(addresses, address) is None
    with pytest.raises(Failed, match="is there and relocd has not raised it"):
        await addresses.add("eth0", address)


@BOTH
async def test_drop_of_what_somebody_just_removed(addresses, host, address):
    await addresses.add("eth0", address)
    ip(host, "address", "del", str(address), "dev", "eth0")
    assert held(addresses, address)
    await addresses.drop("eth0", address)
    assert held(addresses, address) is None


async def test_our_own_ipv6_address_with_another_prefix_length(addresses):
    await addresses.add("eth0", IPV6)
    with pytest.raises(Failed, match="drop that one first"):
        await addresses.add("eth0", ip_interface("2001:db8::10/56"))


async def test_interfaces_without_our_addresses(addresses, host):
    await addresses.add("eth0", IPV4)
    await addresses.add("eth0", IPV6)
    lo, eth0 = addresses.interfaces()
    assert (lo.name, lo.mac, lo.up) == ("lo", b"", True)
    assert (eth0.name, eth0.mac.hex(":"), eth0.up) == ("eth0", host.mac, True)
    assert set(host.own) <= set(eth0.addresses)
    assert not {IPV4, IPV6} & set(eth0.addresses)


@BOTH
async def test_interface_down(addresses, host, address):
    ip(host, "link", "set", "eth0", "down")
    await until(lambda: not addresses.interfaces()[1].up)
    with pytest.raises(Failed, match=r"raise .* on eth0: it is down or has no carrier; bring it up"):
        await addresses.add("eth0", address)


async def test_drop_on_an_interface_that_went_down(addresses, host):
    await addresses.add("eth0", IPV4)
    ip(host, "link", "set", "eth0", "down")
    await until(lambda: not addresses.interfaces()[1].up)
    await addresses.drop("eth0", IPV4)
    assert shown(host, IPV4) is None


async def test_without_a_carrier_nothing_is_raised(addresses, host):
    host.cut()
    await until(lambda: not addresses.interfaces()[1].up)
    with pytest.raises(Failed, match="has no carrier"):
        await addresses.add("eth0", IPV4)
    host.heal()
    await until(lambda: addresses.interfaces()[1].up)
    await addresses.add("eth0", IPV4)


async def test_no_such_interface(addresses):
    with pytest.raises(Failed, match="no such interface here; correct relocInterface"):
        await addresses.add("eth9", IPV4)
    await addresses.drop("eth9", IPV4)


async def test_interface_gone_before_the_table_knows(addresses, host):
    ip(host, "link", "add", "veth8", "up", "type", "veth", "peer", "name", "veth9")
    await until(lambda: len(addresses.interfaces()) == 4)
    ip(host, "link", "del", "veth8")
    with pytest.raises(Failed, match=r"raise 192\.0\.2\.10/24 on veth8: "):
        await addresses.add("veth8", IPV4)


async def test_ipv6_switched_off_on_the_interface(addresses, host):
    host.run(["sysctl", "-q", "net.ipv6.conf.eth0.disable_ipv6=1"])
    with pytest.raises(Failed, match="IPv6 is disabled on this device; see sysctl"):
        await addresses.add("eth0", IPV6)


@BOTH
async def test_somebody_else_removes_our_address(addresses, host, address):
    removed = asyncio.Event()
    await addresses.add("eth0", address)
    await until(lambda: held(addresses, address))
    addresses.watch(lambda: None if held(addresses, address) else removed.set())
    ip(host, "address", "del", str(address), "dev", "eth0")
    start = time.monotonic()
    await asyncio.wait_for(removed.wait(), 5)
    assert time.monotonic() - start < 0.1


async def test_watchers_are_told_once_for_all_changes_of_a_moment(tmp_path):
    """So an address that moves does not wait for what they do: they are told when the move has gone on."""
    quiet, told = NetlinkAddresses(tmp_path), asyncio.Event()
    times = []
    quiet.watch(lambda: (times.append(asyncio.get_running_loop().time()), told.set()))
    begun = asyncio.get_running_loop().time()
    for number in range(20):
        link = Link(number, f"eth{number}", b"", up=True, promotes=False)
        quiet._hear([InterfaceChange(link, gone=False)])
    await asyncio.wait_for(told.wait(), 5)
    assert len(times) == 1
    assert times[0] - begun >= 0.004
    assert len(quiet.interfaces()) == 20


async def test_watch_tells_of_interfaces_too(addresses, host):
    changed = asyncio.Event()
    addresses.watch(changed.set)
    ip(host, "link", "set", "eth0", "mtu", "1400")
    ip(host, "link", "set", "eth0", "down")
    await asyncio.wait_for(changed.wait(), 5)
    await until(lambda: not addresses.interfaces()[1].up)


async def test_a_port_that_leaves_a_bridge_is_not_gone(addresses, host):
    for command in ("link add br0 type bridge", "link set eth0 master br0", "link set eth0 nomaster"):
        ip(host, *command.split())
    ip(host, "link", "del", "br0")
    ip(host, "link", "set", "lo", "down")
    await until(lambda: not addresses.interfaces()[0].up)
    assert [interface.name for interface in addresses.interfaces()] == ["lo", "eth0"]
    assert set(host.own) <= {each.address for each in addresses.held()}


@pytest.mark.parametrize("promotes", ["0", "1"])
async def test_dropping_the_first_address_of_a_network_takes_nothing_else(addresses, host, promotes):
    """Without promote_secondaries the kernel would remove the foreign address, and the route through its network."""
    host.run(["sysctl", "-q", f"net.ipv4.conf.eth0.promote_secondaries={promotes}"])
    await addresses.add("eth0", FIRST)
    ip(host, "address", "add", str(SECOND), "dev", "eth0")
    ip(host, "route", "add", "203.0.113.0/24", "via", "198.51.100.1")
    await until(lambda: held(addresses, SECOND))
    assert shown(host, SECOND)["secondary"]
    removed = asyncio.Event()
    addresses.watch(lambda: None if held(addresses, SECOND) else removed.set())
    await addresses.drop("eth0", FIRST)
    assert shown(host, FIRST) is None
    assert "secondary" not in shown(host, SECOND)
    assert "203.0.113.0/24" in host.run(["ip", "route"]).stdout
    assert host.run(["sysctl", "-n", "net.ipv4.conf.eth0.promote_secondaries"]).stdout.strip() == promotes
    assert not removed.is_set()


MANY = [ip_interface(f"10.1.{n >> 8}.{n & 255}/32") for n in range(400)]


def overrun(addresses, host, *commands: str) -> None:
    """Many changes while the event loop stands still, more than the socket has room for."""
    addresses._socket._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
    batch = "\n".join((*(f"address add {each} dev eth0" for each in MANY), *commands))
    host.run(["sh", "-c", f"ip -batch - <<'END'\n{batch}\nEND"])


async def test_an_overrun_is_survived(addresses, host, caplog):
    await addresses.add("eth0", IPV4)
    overrun(addresses, host, f"address del {IPV4} dev eth0")
    with caplog.at_level("INFO"):
        await until(lambda: held(addresses, MANY[-1]))
    assert "events were lost" in caplog.text
    assert {each.address for each in addresses.held()} >= set(MANY)
    assert held(addresses, IPV4) is None
    await addresses.add("eth0", IPV4)
    assert held(addresses, IPV4).ours


async def test_a_request_whose_answer_may_be_lost_is_worth_another_try(addresses, host):
    """At once: the kernel answers nothing while it believes that the socket is full."""
    overrun(addresses, host)
    with pytest.raises(Unavailable, match=r"raise 192\.0\.2\.10/24 on eth0: .*try again"):
        await addresses.add("eth0", IPV4)
    await asyncio.wait_for(addresses.add("eth0", IPV4), 2)
    assert held(addresses, IPV4).ours
    await until(lambda: held(addresses, MANY[-1]))


async def test_closed_means_closed(host, tmp_path):
    addresses = NetlinkAddresses(tmp_path)
    await addresses.open()
    await addresses.close()
    await addresses.close()
    with pytest.raises(Failed, match="the netlink socket is not open"):
        await addresses.add("eth0", IPV4)


def test_without_the_right_to_change_addresses(host, tmp_path):
    """Reading needs no right."""
    script = f"""
import asyncio
from ipaddress import ip_interface
from pathlib import Path
from relocd.adapters.net.addresses import NetlinkAddresses

async def main():
    async with NetlinkAddresses(Path({str(tmp_path)!r})) as addresses:
        print(len(addresses.interfaces()))
        await addresses.add("eth0", ip_interface("192.0.2.10/24"))

asyncio.run(main())
"""
    unprivileged = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", sys.executable, "-c", script]
    done = subprocess.run(unprivileged, capture_output=True, text=True, timeout=20, check=False)
    assert done.stdout == "2\n"
    assert "Operation not permitted; run the agent as root or give it CAP_NET_ADMIN" in done.stderr
