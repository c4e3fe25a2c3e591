"""Addresses on real interfaces, in namespaces of their own, with `ip` as the other administrator."""

from __future__ import annotations

import asyncio
import errno
import inspect
import json
import socket
import subprocess
import sys
import time
from ipaddress import ip_interface

import pytest
from pyroute2.iproute.linux import AsyncIPRoute
from pyroute2.netlink import exceptions as library

from relocd.adapters import netlink
from relocd.adapters.netlink import PROTOCOL, NetlinkAddresses
from relocd.adapters.rtnetlink import translated
from relocd.errors import Failed, RelocdError, Unavailable
from relocd.model.host import HeldAddress
from tests.lab.hosts import Lan, entered

IPV4 = ip_interface("192.0.2.10/24")
IPV6 = ip_interface("2001:db8::10/64")
BOTH = pytest.mark.parametrize("address", [IPV4, IPV6], ids=["IPv4", "IPv6"])
FIRST, SECOND = ip_interface("198.51.100.10/24"), ip_interface("198.51.100.11/24")


@pytest.fixture
def host():
    with Lan(["node1"]) as lan, entered(lan["node1"]):
        yield lan["node1"]


@pytest.fixture
async def addresses(host, tmp_path):
    async with NetlinkAddresses(tmp_path) as opened:
        yield opened


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
    with pytest.raises(
        Failed, match=rf"raise {address} on eth0: {foreign} is there .*ip address del {foreign} dev eth0"
    ):
        await addresses.add("eth0", address)
    with pytest.raises(Failed, match=f"drop {foreign} on eth0: relocd has not raised it"):
        await addresses.drop("eth0", foreign)
    assert shown(host, address) == before


@BOTH
async def test_foreign_address_that_the_picture_does_not_show_yet(addresses, host, address):
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


async def test_interface_gone_before_the_picture_knows(addresses, host):
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
    assert "events came too fast" in caplog.text
    assert {each.address for each in addresses.held()} >= set(MANY)
    assert held(addresses, IPV4) is None
    await addresses.add("eth0", IPV4)
    assert held(addresses, IPV4).ours


async def test_a_request_whose_answer_may_be_lost_is_worth_another_try(addresses, host):
    """At once: the kernel answers nothing while it believes that the socket is full."""
    overrun(addresses, host)
    with pytest.raises(Unavailable, match=r"raise 192\.0\.2\.10/24 on eth0: .*another try"):
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
from relocd.adapters.netlink import NetlinkAddresses

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


LIBRARY = [kind for _, kind in inspect.getmembers(library, inspect.isclass) if issubclass(kind, Exception)]
# Raised by its socket statistics and by a socket for tests of its own, neither of which is used here.
NOT_USED = {library.SkipInode, library.ChaoticException}


def made(kind: type[Exception]) -> Exception:
    if issubclass(kind, library.NetlinkDumpInterrupted):
        return kind()
    return kind(ValueError("short")) if issubclass(kind, library.NetlinkDecodeError) else kind(errno.EPERM)


@pytest.mark.parametrize("kind", [kind for kind in LIBRARY if kind not in NOT_USED], ids=lambda kind: kind.__name__)
def test_every_error_of_the_library_is_translated(kind):
    error = made(kind)
    with pytest.raises(RelocdError, match=r"^raise it: ") as caught, translated("raise it"):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("code", sorted(errno.errorcode), ids=errno.errorcode.get)
def test_every_error_of_the_kernel_is_translated(code):
    for error in (OSError(code, "text"), library.NetlinkError(code)):
        with pytest.raises(RelocdError, match=r"^raise it: ") as caught, translated("raise it"):
            raise error
        assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (library.NetlinkError(errno.EPERM), Failed, "CAP_NET_ADMIN"),
        (library.NetlinkError(errno.EBUSY), Unavailable, "another try"),
        (OSError(errno.ENOBUFS, "No buffer space available"), Unavailable, "another try"),
        (library.NetlinkDumpInterrupted(), Unavailable, "read it again"),
        (TimeoutError(), Unavailable, "not confirmed it in time"),
        (OSError("without a number"), Failed, "without a number"),
    ],
    ids=lambda value: repr(value) if isinstance(value, Exception) else "",
)
def test_what_to_do_about_an_error(error, kind, message):
    with pytest.raises(kind, match=message), translated("raise it"):
        raise error
