"""What the kernel tells of real interfaces: their other names, their MAC, and whether they have a carrier."""

from __future__ import annotations

from ipaddress import ip_interface

from relocd.adapters.net.addresses import NetlinkAddresses
from tests.support.fakes import until

ADDRESS = ip_interface("192.0.2.10/24")


def eth0(addresses):
    return next(each for each in addresses.interfaces() if each.name == "eth0")


async def test_altnames_are_names_of_an_interface_and_follow_the_kernel(addresses, host):
    assert eth0(addresses).altnames == ()
    host.run(["ip", "link", "property", "add", "dev", "eth0", "altname", "enp19s0", "altname", "a-name-longer-than-15"])
    await until(lambda: eth0(addresses).altnames == ("enp19s0", "a-name-longer-than-15"))
    assert eth0(addresses).is_called("enp19s0")
    await addresses.add("a-name-longer-than-15", ADDRESS)
    assert [(each.interface, each.ours) for each in addresses.held() if each.address == ADDRESS] == [("eth0", True)]
    host.run(["ip", "link", "property", "del", "dev", "eth0", "altname", "enp19s0"])
    await until(lambda: not eth0(addresses).is_called("enp19s0"))


async def test_an_interface_that_had_altnames_before_is_known_by_them(host, tmp_path):
    host.run(["ip", "link", "property", "add", "dev", "eth0", "altname", "enp19s0"])
    async with NetlinkAddresses(tmp_path) as addresses:
        assert eth0(addresses).is_called("enp19s0")


async def test_a_cable_that_is_out_and_in_again_counts(addresses, host):
    before = eth0(addresses).carrier_ups
    host.cut()
    await until(lambda: not eth0(addresses).up)
    host.heal()
    await until(lambda: eth0(addresses).up and eth0(addresses).carrier_ups == before + 1)


async def test_another_mac_is_seen(addresses, host):
    host.run(["ip", "link", "set", "dev", "eth0", "address", "02:00:00:00:00:77"])
    await until(lambda: eth0(addresses).mac == bytes.fromhex("020000000077"))
