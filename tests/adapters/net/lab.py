"""What the tests of addresses share: `ip` as the other administrator, and what the kernel and the picture say."""

from __future__ import annotations

import asyncio
import json
from ipaddress import ip_interface

import pytest
from pyroute2.iproute.linux import AsyncIPRoute

from relocd.model.host import HeldAddress

__all__ = ["BOTH", "FIRST", "IPV4", "IPV6", "SECOND", "held", "ip", "protocol", "shown", "until"]

IPV4 = ip_interface("192.0.2.10/24")
IPV6 = ip_interface("2001:db8::10/64")
BOTH = pytest.mark.parametrize("address", [IPV4, IPV6], ids=["IPv4", "IPv6"])
FIRST, SECOND = ip_interface("198.51.100.10/24"), ip_interface("198.51.100.11/24")


def ip(host, *arguments: str) -> None:
    host.run(["ip", *arguments])


def shown(host, address) -> dict[str, object] | None:
    """What `ip` says of an address on eth0."""
    (link,) = json.loads(host.run(["ip", "-json", "address", "show", "dev", "eth0"]).stdout)
    return next((each for each in link["addr_info"] if each["local"] == str(address.ip)), None)


async def protocol(address) -> int | None:
    """The IFA_PROTO of an address, which Debian's `ip` does not show."""
    async with AsyncIPRoute() as route:
        (found,) = [each async for each in await route.get_addr(address=str(address.ip))]
    return found.get("IFA_PROTO")


def held(addresses, address) -> HeldAddress | None:
    return next((each for each in addresses.held() if each.address == address), None)


async def until(is_so, timeout_s: float = 5.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not is_so():  # noqa: ASYNC110 - what is waited for is the kernel's, often without an event of its own
            await asyncio.sleep(0.001)
