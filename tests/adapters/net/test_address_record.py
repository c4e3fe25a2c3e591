"""The record of raised addresses beside the kernel's mark: after a restart, a lost mark, and on kernels without."""

from __future__ import annotations

import asyncio

import pytest

from relocd.adapters.net import addresses as netlink
from relocd.adapters.net.addresses import PROTOCOL, NetlinkAddresses
from relocd.errors import Failed
from tests.adapters.net.lab import BOTH, FIRST, IPV4, IPV6, held, ip, protocol, shown, until


async def test_addresses_are_adopted_after_a_restart(host, tmp_path):
    async with NetlinkAddresses(tmp_path) as before:
        await before.add("eth0", IPV4)
        await before.add("eth0", IPV6)
    async with NetlinkAddresses(tmp_path) as after:
        assert held(after, IPV4).ours
        assert held(after, IPV6).ours
        assert not any(each.ours for each in after.held() if each.address in host.own)
        await after.drop("eth0", IPV4)
        assert shown(host, IPV4) is None
    assert (tmp_path / "addresses").read_text() == f"eth0 {IPV6}\n"


@pytest.fixture
def bare(host):
    """A host without any address, so that no IFA_PROTO of the kernel's own is seen."""
    for link in ("lo", "eth0"):
        ip(host, "address", "flush", "dev", link)
    return host


@pytest.fixture
def old_kernel(bare, monkeypatch):
    """A host that never shows an IFA_PROTO: 0, which is none, stands for ours."""
    monkeypatch.setattr(netlink, "PROTOCOL", 0)
    return bare


@BOTH
async def test_an_address_whose_mark_was_taken_away_is_relocds_still(host, tmp_path, address):
    """`ip address replace` does that, and so it is with the addresses of other programs that repair them."""
    async with NetlinkAddresses(tmp_path) as before:
        await before.add("eth0", address)
        ip(host, "address", "replace", str(address), "dev", "eth0")
        assert await protocol(address) != PROTOCOL
        assert held(before, address).ours
        await before.extend("eth0", address, None)
        assert await protocol(address) == PROTOCOL
        ip(host, "address", "replace", str(address), "dev", "eth0")
    async with NetlinkAddresses(tmp_path) as after:
        assert held(after, address).ours
        await after.drop("eth0", address)
        assert shown(host, address) is None


@BOTH
async def test_an_address_that_somebody_removed_and_added_again_is_theirs(addresses, host, address):
    await addresses.add("eth0", address)
    ip(host, "address", "del", str(address), "dev", "eth0")
    await until(lambda: held(addresses, address) is None)
    ip(host, "address", "add", str(address), "dev", "eth0", *(["nodad"] if address.version == 6 else []))
    await until(lambda: held(addresses, address))
    assert not held(addresses, address).ours


@BOTH
async def test_an_address_that_went_while_no_agent_looked_is_nobodys(host, tmp_path, address):
    (tmp_path / "addresses").write_text(f"eth0 {address}\n")
    async with NetlinkAddresses(tmp_path) as addresses:
        ip(host, "address", "add", str(address), "dev", "eth0", *(["nodad"] if address.version == 6 else []))
        await until(lambda: held(addresses, address))
        assert not held(addresses, address).ours


@BOTH
async def test_where_nothing_can_be_recorded_the_mark_does(host, tmp_path, address):
    """The record is a second proof only: a full run folder keeps no service down, and no address up."""
    async with NetlinkAddresses(tmp_path) as addresses:
        (tmp_path / "addresses").mkdir()
        await addresses.check("eth0", address)
        await addresses.add("eth0", address)
        assert held(addresses, address).ours
        await addresses.drop("eth0", address)
        assert held(addresses, address) is None


@BOTH
async def test_a_kernel_without_protocols_is_helped_by_the_record(old_kernel, tmp_path, address):
    async with NetlinkAddresses(tmp_path) as before:
        await before.add("eth0", address)
        assert held(before, address).ours
        assert (tmp_path / "addresses").read_text() == f"eth0 {address}\n"
    ip(old_kernel, "address", "add", str(FIRST), "dev", "eth0")
    async with NetlinkAddresses(tmp_path) as after:
        assert held(after, address).ours
        assert not held(after, FIRST).ours
        await after.drop("eth0", address)
        assert shown(old_kernel, address) is None
    assert (tmp_path / "addresses").read_text() == ""


@BOTH
async def test_the_record_does_not_claim_what_somebody_raised_first(old_kernel, tmp_path, address):
    async with NetlinkAddresses(tmp_path) as addresses:
        ip(old_kernel, "address", "add", str(address), "dev", "eth0", *(["nodad"] if address.version == 6 else []))
        with pytest.raises(Failed, match="is there and relocd has not raised it"):
            await addresses.add("eth0", address)
        assert not held(addresses, address).ours


@BOTH
async def test_two_that_raise_one_address_on_an_old_kernel(old_kernel, tmp_path, address):
    async with NetlinkAddresses(tmp_path) as addresses:
        await asyncio.gather(addresses.add("eth0", address), addresses.add("eth0", address))
        assert held(addresses, address).ours


async def test_a_damaged_record_claims_nothing(old_kernel, tmp_path):
    ip(old_kernel, "address", "add", str(IPV4), "dev", "eth0")
    (tmp_path / "addresses").write_bytes(b"eth0\n\xff\xfe eth0 192.0.2.10/24\neth0 192.0.2\n")
    async with NetlinkAddresses(tmp_path) as addresses:
        assert not held(addresses, IPV4).ours


async def test_without_its_record_an_old_kernel_raises_nothing(old_kernel, tmp_path):
    async with NetlinkAddresses(tmp_path) as addresses:
        (tmp_path / "addresses").mkdir()
        with pytest.raises(Failed, match="addresses: cannot be written"):
            await addresses.check("eth0", IPV4)
        with pytest.raises(Failed, match="addresses: cannot be written"):
            await addresses.add("eth0", IPV4)
    assert shown(old_kernel, IPV4) is None


async def test_what_is_refused_leaves_no_record(old_kernel, tmp_path):
    async with NetlinkAddresses(tmp_path) as addresses:
        old_kernel.run(["sysctl", "-q", "net.ipv6.conf.eth0.disable_ipv6=1"])
        with pytest.raises(Failed, match="IPv6 is disabled"):
            await addresses.add("eth0", IPV6)
    assert (tmp_path / "addresses").read_text() == ""
