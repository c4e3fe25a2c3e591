"""Addresses that the real kernel drops by itself, and what must not go with them."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from ipaddress import ip_interface

import pytest
from pyroute2.iproute.linux import AsyncIPRoute

from relocd.adapters.net.addresses import PROTOCOL, NetlinkAddresses
from relocd.errors import Failed, Unavailable

IPV4 = ip_interface("192.0.2.10/24")
IPV6 = ip_interface("2001:db8::10/64")
FIRST, SECOND = ip_interface("198.51.100.10/24"), ip_interface("198.51.100.11/24")
BOTH = pytest.mark.parametrize("address", [IPV4, IPV6], ids=["IPv4", "IPv6"])
FOREVER = 0xFFFFFFFF
# The kernel looks at most once a second (ADDRCONF_TIMER_FUZZ_MAX), up to a quarter of a second late.
LATE_S = 2.0


def ip(host, *arguments: str) -> str:
    return host.run(["ip", *arguments]).stdout


async def kernels(address) -> dict[str, object] | None:
    """What the kernel says of an address: its protocol, flags and lifetimes."""
    async with AsyncIPRoute() as route:
        found = [each async for each in await route.get_addr(address=str(address.ip))]
    if not found:
        return None
    ((flags, proto, cache),) = [
        (each.get("IFA_FLAGS"), each.get("IFA_PROTO"), each.get("IFA_CACHEINFO")) for each in found
    ]
    return {"flags": flags, "protocol": proto, "valid": cache["ifa_valid"], "preferred": cache["ifa_preferred"]}


def is_held(addresses, address) -> bool:
    return any(each.address == address for each in addresses.held())


async def gone(addresses, *expected, within_s: float) -> float:
    """Wait until the picture has lost addresses, woken by `watch` alone; returns how long that took."""
    start = time.monotonic()
    news = asyncio.Event()
    addresses.watch(news.set)
    async with asyncio.timeout(within_s):
        while any(is_held(addresses, each) for each in expected):
            news.clear()
            await news.wait()
    return time.monotonic() - start


async def test_without_being_extended_it_goes_by_itself_and_is_noticed(addresses):
    for address in (IPV4, IPV6):
        await addresses.add("eth0", address, lifetime_s=1)
    took_s = await gone(addresses, IPV4, IPV6, within_s=1 + LATE_S)
    assert took_s > 0.5
    assert await kernels(IPV4) is await kernels(IPV6) is None


async def test_nobody_needs_to_be_there_for_it_to_go(host, tmp_path):
    async with NetlinkAddresses(tmp_path) as before:
        await before.add("eth0", IPV4, lifetime_s=1)
        await before.add("eth0", IPV6, lifetime_s=1)
    async with NetlinkAddresses(tmp_path) as after:
        await gone(after, IPV4, IPV6, within_s=1 + LATE_S)


async def test_while_extended_it_stays(addresses):
    """The third one is not extended, so that the lifetime of all has surely run out."""
    unextended = ip_interface("192.0.2.11/24")
    for address in (IPV4, IPV6, unextended):
        await addresses.add("eth0", address, lifetime_s=1)
    lost = asyncio.create_task(gone(addresses, unextended, within_s=1 + LATE_S))
    while not lost.done():
        for address in (IPV4, IPV6):
            await addresses.extend("eth0", address, 1)
        await asyncio.wait([lost], timeout=0.2)
    await lost
    assert is_held(addresses, IPV4)
    assert is_held(addresses, IPV6)
    await gone(addresses, IPV4, IPV6, within_s=1 + LATE_S)


@BOTH
async def test_mark_and_flags_are_the_same_with_a_lifetime_and_after_an_extension(addresses, host, address):
    """But for what says that it is not for ever: IFA_F_PERMANENT, and the route of IPv6 that is not its own."""
    await addresses.add("eth0", address, lifetime_s=30)
    raised = await kernels(address)
    await addresses.extend("eth0", address, 20)
    assert await kernels(address) == raised | {"valid": 20, "preferred": 20 if address == IPV4 else 0}
    assert raised["protocol"] == PROTOCOL
    entry = next(
        each for each in json.loads(ip(host, "-json", "address"))[1]["addr_info"] if each["local"] == str(address.ip)
    )
    assert "tentative" not in entry
    assert "broadcast" not in entry
    assert ("nodad" in entry, "deprecated" in entry) == ((address == IPV6,) * 2)


@BOTH
async def test_a_lifetime_is_given_and_taken_back(addresses, address):
    await addresses.add("eth0", address)
    before = await kernels(address)
    assert before["valid"] == FOREVER
    await addresses.extend("eth0", address, 30)
    assert (await kernels(address))["valid"] == 30
    await addresses.extend("eth0", address, None)
    assert await kernels(address) == before


@BOTH
async def test_adding_again_leaves_the_lifetime_as_it_is(addresses, address):
    await addresses.add("eth0", address, lifetime_s=30)
    await addresses.add("eth0", address, lifetime_s=900)
    await addresses.add("eth0", address)
    assert (await kernels(address))["valid"] <= 30


@BOTH
async def test_what_went_is_not_raised_by_an_extension(addresses, address):
    await addresses.add("eth0", address, lifetime_s=1)
    await gone(addresses, address, within_s=1 + LATE_S)
    with pytest.raises(Failed, match=f"extend {address} on eth0: it is no longer there"):
        await addresses.extend("eth0", address, 5)
    assert await kernels(address) is None


@BOTH
@pytest.mark.parametrize("lifetime_s", [1, None])
async def test_an_agent_that_was_stopped_hears_first_what_it_has_lost(addresses, host, address, lifetime_s):
    """Its picture still shows the address when it goes on: it must not serve again after its lifetime."""
    await addresses.add("eth0", address, lifetime_s=30)
    ip(host, "address", "del", str(address), "dev", "eth0")
    assert is_held(addresses, address)
    with pytest.raises(Failed, match="it is no longer there"):
        await addresses.extend("eth0", address, lifetime_s)
    assert await kernels(address) is None


@BOTH
async def test_while_it_is_in_doubt_nothing_is_extended(addresses, host, address):
    """Events were lost, the end of the address among them: the picture is read again."""
    await addresses.add("eth0", address, lifetime_s=30)
    addresses._socket._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
    commands = [f"address add 10.1.1.{n}/32 dev eth0" for n in range(200)]
    commands.append(f"address del {address} dev eth0")
    host.run(["sh", "-c", "ip -batch - <<'END'\n" + "\n".join(commands) + "\nEND"])
    with pytest.raises(Unavailable, match=f"extend {address} on eth0: the addresses are being read again"):
        await addresses.extend("eth0", address, 5)
    await gone(addresses, address, within_s=5)
    with pytest.raises(Failed, match="it is no longer there"):
        await addresses.extend("eth0", address, 5)
    assert await kernels(address) is None


@BOTH
async def test_a_foreign_address_gets_no_lifetime(addresses, host, address):
    ip(host, "address", "add", str(address), "dev", "eth0", *(["nodad"] if address.version == 6 else []))
    before = await kernels(address)
    with pytest.raises(Failed, match=f"extend {address} on eth0: relocd has not raised it"):
        await addresses.extend("eth0", address, 1)
    assert await kernels(address) == before


async def test_what_cannot_be_extended_changes_no_setting_of_the_interface(addresses, host):
    host.run(["sysctl", "-q", "net.ipv4.conf.eth0.promote_secondaries=0"])
    with pytest.raises(Failed, match="it is no longer there"):
        await addresses.extend("eth0", FIRST, 1)
    assert host.run(["sysctl", "-n", "net.ipv4.conf.eth0.promote_secondaries"]).stdout.strip() == "0"


async def test_no_such_interface(addresses):
    with pytest.raises(Failed, match=f"extend {IPV4} on eth9: it is no longer there"):
        await addresses.extend("eth9", IPV4, 1)


@BOTH
async def test_no_lifetime_at_all_is_refused(addresses, address):
    with pytest.raises(Failed, match=f"raise {address} on eth0: "):
        await addresses.add("eth0", address, lifetime_s=0)
    assert await kernels(address) is None


def route_to_neighbours(host) -> dict[str, object]:
    """The IPv6 route of the host's own network; raises when there is none in use."""
    (route,) = json.loads(ip(host, "-json", "-6", "route", "show", "2001:db8::/64", "dev", "eth0"))
    ip(host, "-6", "route", "get", "2001:db8::99")
    return route


@pytest.mark.parametrize("added_with_lifetime", [True, False])
@pytest.mark.parametrize("own_lasts", ["forever", "900"])
async def test_the_route_of_the_hosts_own_ipv6_network_does_not_end_with_it(
    addresses, host, own_lasts, added_with_lifetime
):
    """The kernel has one route for all addresses of a network, and would let it end with ours."""
    own = next(each for each in host.own if each.version == 6)
    ip(host, "address", "del", str(own), "dev", "eth0")
    ip(host, "address", "add", str(own), "dev", "eth0", "nodad", "valid_lft", own_lasts, "preferred_lft", own_lasts)
    await addresses.add("eth0", IPV6, lifetime_s=1 if added_with_lifetime else None)
    await addresses.extend("eth0", IPV6, 1)
    await gone(addresses, IPV6, within_s=1 + LATE_S)
    await asyncio.to_thread(route_to_neighbours, host)


async def test_a_network_of_ours_alone_has_a_route_as_long_as_the_address(addresses, host):
    alone = ip_interface("2001:db8:1::10/64")
    await addresses.add("eth0", alone, lifetime_s=30)
    assert "dev eth0" in ip(host, "-6", "route", "show", "2001:db8:1::/64")
    await addresses.extend("eth0", alone, None)
    assert "expires" not in ip(host, "-6", "route", "show", "2001:db8:1::/64")


@pytest.mark.parametrize("added_with_lifetime", [True, False])
async def test_no_other_ipv4_address_of_its_network_goes_with_it(addresses, host, added_with_lifetime):
    """Without promote_secondaries the kernel takes all away with the first of them."""
    host.run(["sysctl", "-q", "net.ipv4.conf.eth0.promote_secondaries=0"])
    await addresses.add("eth0", FIRST, lifetime_s=1 if added_with_lifetime else None)
    ip(host, "address", "add", str(SECOND), "dev", "eth0")
    await addresses.extend("eth0", FIRST, 1)
    await gone(addresses, FIRST, within_s=1 + LATE_S)
    assert (await kernels(SECOND))["valid"] == FOREVER


async def test_the_settings_of_the_interface_stay_where_the_host_has_an_address_of_that_network(addresses, host):
    host.run(["sysctl", "-q", "net.ipv4.conf.eth0.promote_secondaries=0"])
    await addresses.add("eth0", IPV4, lifetime_s=30)
    await addresses.extend("eth0", IPV4, 30)
    assert host.run(["sysctl", "-n", "net.ipv4.conf.eth0.promote_secondaries"]).stdout.strip() == "0"
