"""A service address goes on the interface it is on-link on, or on the one that the directory names."""

from __future__ import annotations

from ipaddress import ip_interface

import pytest

from relocd.errors import Invalid
from relocd.model.host import Interface
from relocd.reconcile.addresses import interface_for


def interface(index: int, name: str, *addresses: str, up: bool = True, altnames: tuple[str, ...] = ()) -> Interface:
    own = tuple(ip_interface(each) for each in addresses)
    return Interface(index, name, bytes(5) + bytes([index]), up, own, altnames)


LO = interface(1, "lo", "127.0.0.1/8", "::1/128")
LAN = interface(2, "eth0", "192.0.2.1/24", "2001:db8::1/64", "fe80::1/64")
OTHER = interface(3, "eth1", "198.51.100.1/24")
BARE = interface(4, "eth2")
ALL = (LO, LAN, OTHER, BARE)


DOWN = interface(2, "eth0", "192.0.2.1/24", up=False)
WIDE = interface(3, "eth1", "192.0.0.1/16")
SLOT = interface(5, "eth3", altnames=("enp19s0", "enx0200000000fe"))


@pytest.mark.parametrize(
    ("address", "wanted", "interfaces", "name"),
    [
        pytest.param("192.0.2.10/24", None, ALL, "eth0", id="IPv4 on-link"),
        pytest.param("2001:db8::10/64", None, ALL, "eth0", id="IPv6 on-link"),
        pytest.param("198.51.100.10/32", None, ALL, "eth1", id="the interface's prefix counts, not the service's"),
        pytest.param("198.51.100.10/24", "eth0", ALL, "eth0", id="named, though on-link elsewhere"),
        pytest.param("203.0.113.10/24", "eth2", ALL, "eth2", id="named, on-link nowhere"),
        pytest.param("203.0.113.10/24", "enp19s0", (*ALL, SLOT), "eth3", id="named by an altname"),
        pytest.param("192.0.2.10/24", None, (WIDE, interface(9, "eth9", "192.0.2.1/24")), "eth9", id="most specific"),
        pytest.param("192.0.2.10/24", None, (interface(9, "eth9", "192.0.2.2/24"), LAN), "eth0", id="lowest index"),
        pytest.param("192.0.2.10/24", None, (DOWN, WIDE), "eth1", id="one that is up before a better one"),
    ],
)
def test_interface(address, wanted, interfaces, name):
    assert interface_for(ip_interface(address), wanted, interfaces).name == name


@pytest.mark.parametrize(
    ("address", "wanted", "interfaces", "message"),
    [
        pytest.param(
            "192.0.2.10/24", "eth9", ALL, r"no interface eth9 here \(lo, .*correct relocInterface", id="no such"
        ),
        pytest.param("192.0.2.10/24", "eth0", (), r"no interface eth0 here \(none\)", id="no interface at all"),
        pytest.param("192.0.2.10/24", "eth0", (DOWN,), "eth0 is down or has no carrier", id="named, but down"),
        pytest.param("192.0.2.10/24", None, (DOWN,), "eth0, .* is down or has no carrier", id="on-link, but down"),
        pytest.param("203.0.113.10/24", None, ALL, "name one with relocInterface", id="on-link nowhere"),
        pytest.param("2001:db9::10/64", None, ALL, "2001:db9::10/64: no interface", id="IPv6 on-link nowhere"),
    ],
)
def test_no_interface_says_what_to_change(address, wanted, interfaces, message):
    with pytest.raises(Invalid, match=message):
        interface_for(ip_interface(address), wanted, interfaces)
