"""The port `Addresses`: this host's interfaces and addresses, kept current by the kernel's events.

A picture is read once and follows the events from then on; when the kernel could not deliver some, it is read anew
beside the old one, which stays in use meanwhile. `add` and `drop` return when the kernel has acknowledged and the
picture shows it.

Ours is an address that carries our protocol number (IFA_PROTO, Linux 5.18), or that the record in the run folder
names: it is written before an address is raised, and an address that goes is struck out. So an agent that starts again
knows its addresses, also where somebody took the mark away. A foreign address is never touched.

An address with a lifetime goes by itself, also when the agent hangs or is dead: mostly 0.1 s after it has run out, but
up to 1.5 s, because the kernel looks at most once a second. What else is on the interface must not go with it. The
kernel's ways to take more are closed when the address gets its lifetime: `_outlived` for IPv4, `_terms` for IPv6.

`rtnetlink` speaks with the kernel, `address_picture` holds what it told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from relocd.adapters.net.address_record import AddressRecord
from relocd.adapters.net.address_table import AddressTable, Assigned, Change, Link
from relocd.adapters.net.rtnetlink import RouteSocket, translated
from relocd.adapters.net.rtnetlink_messages import AddressTerms
from relocd.errors import Failed, Unavailable
from relocd.model.entries import ServiceAddress
from relocd.model.host import HeldAddress, Interface

__all__ = ["PROTOCOL", "NetlinkAddresses"]

_log = logging.getLogger(__name__)

PROTOCOL: Final = 0x72
"""The IFA_PROTO of addresses that relocd has raised: `r`. `ip address show proto 0x72` lists them."""

_CONFIRM_S: Final = 1.0
_RETRY_S: Final = 1.0
_REREAD_S: Final = 0.01
_WRITE_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class _View:
    """The interfaces and their addresses as the port gives them; `key` is what they were made from."""

    key: object
    interfaces: tuple[Interface, ...]
    held: tuple[HeldAddress, ...]


class NetlinkAddresses:
    """The addresses of the network namespace in which it was opened; `run` is the folder of the record."""

    def __init__(self, run: Path) -> None:
        self._record = AddressRecord(run / "addresses")
        self._socket = RouteSocket(self._hear, self._reread)
        self._picture = AddressTable()
        self._next_picture: AddressTable | None = None
        self._view = _View(None, (), ())
        self._reading: asyncio.Task[None] | None = None
        self._lost_events = False
        self._news = asyncio.Event()
        self._one_change = asyncio.Lock()
        self._writing: asyncio.TimerHandle | None = None
        self._watchers: list[Callable[[], None]] = []

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Read the record, the interfaces and the addresses, and follow the events."""
        self._record.load()
        try:
            self._socket.open()
            self._reading = asyncio.create_task(self._read())
            await self._reading
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop following; nothing changes on any interface."""
        if self._writing is not None:
            self._writing.cancel()
            self._write_record()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait((self._reading,))
        self._socket.close()

    def interfaces(self) -> Sequence[Interface]:
        """The interfaces by index, each with the addresses that are not ours."""
        return self._known().interfaces

    def held(self) -> Sequence[HeldAddress]:
        """Every address of every interface."""
        return self._known().held

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` in the event loop after any change, also after one of ours."""
        self._watchers.append(changed)

    async def add(self, interface: str, address: ServiceAddress, lifetime_s: int | None = None) -> None:
        """Raise an address and mark it as ours; nothing happens when it is there and ours, whatever its lifetime.

        After `lifetime_s` whole seconds, at least 1, the kernel drops it, unless it was extended.

        Raises `Failed` when the interface is missing or not up, the same address of somebody else is on it, or the
        kernel refuses; `Unavailable` when the kernel's answer was lost, so that nobody knows.
        """
        async with self._one_change:
            link = self._usable(interface, address)
            if not self._has_ours(link, address):
                await self._raise(link, address, lifetime_s)

    async def extend(self, interface: str, address: ServiceAddress, lifetime_s: int | None) -> None:
        """Let an address of ours that is there stay for whole seconds, at least 1, from now; with None for ever.

        Raises `Failed` when it is not there or not ours, `Unavailable` when nobody knows that now. An address that
        went is not raised anew: that would be the kernel's way (RTM_NEWADDR does it without NLM_F_CREATE too), so
        everything that it has told is heard right before it is asked, in one turn of the event loop; an agent that
        was stopped for longer than the lifetime hears first what it has lost. What remains is an address that goes
        in the microseconds between: that one is raised anew, and marked, for the lifetime.
        """
        async with self._one_change:
            await self._outlived(self._extensible(interface, address), address, lifetime_s)
            link = self._extensible(interface, address)
            await self._socket.extend(link, address, self._terms(link, address, lifetime_s))

    async def check(self, interface: str, address: ServiceAddress) -> None:
        """Raise `Failed` when an address could not be raised now: the interface, an address in the way, the record.

        A kernel with marks needs no record, so one that cannot be written stands against nothing there.
        """
        self._has_ours(self._usable(interface, address), address)
        if not self._picture.shows_protocols:
            self._record.check()

    async def drop(self, interface: str, address: ServiceAddress) -> None:
        """Drop an address of ours, and no other; nothing happens when it is gone. Raises `Failed` for a foreign one."""
        async with self._one_change:
            link = self._picture.link(interface)
            found = link and self._picture.find(link, address)
            if link and found:
                if not self._is_ours(link, found):
                    raise Failed(f"drop {address} on {interface}: relocd has not raised it, so it stays")
                await self._remove(link, found)
            self._forget(interface, address)

    async def _raise(self, link: Link, address: ServiceAddress, lifetime_s: int | None) -> None:
        self._write_down(link.name, address)
        try:
            await self._outlived(link, address, lifetime_s)
            await self._socket.assign(link, address, self._terms(link, address, lifetime_s))
            await self._shown(f"raise {address} on {link.name}", lambda: self._picture.find(link, address) is not None)
            self._write_down(link.name, address)  # again: a picture that was read meanwhile may not have shown it
        except Failed:
            self._forget(link.name, address)
            # Refused because somebody was faster? Their event may be later than our refusal, so ask.
            await self._socket.dump()
            if not self._has_ours(link, address):
                raise

    def _write_down(self, interface: str, address: ServiceAddress) -> None:
        """Name an address in the record. The kernel's mark has to do until it is written; without marks it is at once.

        Raises `Failed` where there is neither.
        """
        self._record.add(interface, address)
        if self._picture.shows_protocols:
            self._write_soon()
            return
        try:
            self._record.write()
        except Failed:
            self._record.forget(interface, address)
            raise

    def _forget(self, interface: str, address: ServiceAddress) -> None:
        """Strike an address that is gone out of the record."""
        self._record.forget(interface, address)
        if self._picture.shows_protocols:
            self._write_soon()
        else:
            self._write_record()

    def _write_soon(self) -> None:
        """Write the record a moment later, when the addresses that move are up."""
        if self._writing is None:
            self._writing = asyncio.get_running_loop().call_later(_WRITE_S, self._write_record)

    def _write_record(self) -> None:
        self._writing = None
        try:
            self._record.write()
        except Failed as error:
            _log.warning("the record of addresses cannot be written", extra={"fields": {"problem": str(error)}})

    async def _remove(self, link: Link, found: Assigned) -> None:
        address = found.address
        try:
            async with self._sparing_dependants(link, found):
                await self._socket.remove(link, address)
            await self._shown(f"drop {address} on {link.name}", lambda: self._picture.find(link, address) is None)
        except Failed:
            if self._picture.find(link, address) is not None:
                raise

    @asynccontextmanager
    async def _sparing_dependants(self, link: Link, found: Assigned) -> AsyncIterator[None]:
        """Let no other address go with this one inside the block.

        With the first IPv4 address of a network the kernel drops that network's others, and with the last one of the
        interface its routes, unless promote_secondaries is set (the kernel's default is not, that of most
        distributions is). It is set for this moment, so that there is nothing to repair afterwards.
        """
        if not self._picture.dependants(link, found):
            yield
            return
        await self._socket.look_at(link)
        before = self._picture.links.get(link.index, link).promotes
        await self._socket.promote(link, wanted=True)
        try:
            yield
        finally:
            await self._socket.promote(link, wanted=before)

    async def _outlived(self, link: Link, address: ServiceAddress, lifetime_s: int | None) -> None:
        """See to it that no other IPv4 address goes with this one: its end comes when nobody can look after them.

        Where it is the first of its network, the interface keeps promote_secondaries set.
        """
        if lifetime_s is None or address.version == 6 or link.promotes:
            return
        if not any(not each.secondary for each in self._beside(link, address)):
            await self._socket.promote(link, wanted=True)
            await self._socket.look_at(link)

    def _terms(self, link: Link, address: ServiceAddress, lifetime_s: int | None) -> AddressTerms:
        """The terms of an address of ours; with a lifetime it leaves the route of its network to the host's own.

        The kernel gives an IPv6 network one route for all its addresses, and would let that route end with ours.
        """
        hosts = any(not self._is_ours(link, each) for each in self._beside(link, address))
        return AddressTerms(PROTOCOL, lifetime_s, routed=lifetime_s is not None and hosts)

    def _beside(self, link: Link, address: ServiceAddress) -> Sequence[Assigned]:
        """The other addresses of an address's network on that link."""
        return [
            each
            for each in self._picture.on(link)
            if each.address.network == address.network and each.address != address
        ]

    def _extensible(self, interface: str, address: ServiceAddress) -> Link:
        """The link of an address that is there and ours, by all that the kernel has told up to now."""
        self._socket.catch_up()
        if self._reading is None or not self._reading.done():
            raise Unavailable(f"extend {address} on {interface}: the addresses are read anew; it is worth another try")
        link = self._picture.link(interface)
        found = None if link is None else self._picture.find(link, address)
        if link is None or found is None:
            raise Failed(f"extend {address} on {interface}: it is not there any more; raise it if it belongs there")
        if not self._is_ours(link, found):
            raise Failed(f"extend {address} on {interface}: relocd has not raised it, so it stays as it is")
        return link

    def _usable(self, interface: str, address: ServiceAddress) -> Link:
        link = self._picture.link(interface)
        if link is None:
            raise Failed(f"raise {address} on {interface}: there is no such interface here; correct relocInterface")
        if not link.up:
            raise Failed(f"raise {address} on {interface}: it is down or has no carrier; bring it up, check its cable")
        return link

    def _has_ours(self, link: Link, address: ServiceAddress) -> bool:
        """Whether the address is there and ours; raises `Failed` when somebody else's is, with any prefix length."""
        for same in self._picture.on(link):
            if same.address.ip == address.ip and not self._is_ours(link, same):
                raise Failed(
                    f"raise {address} on {link.name}: {same.address} is there and relocd has not raised it; remove it "
                    f"(ip address del {same.address} dev {link.name}) and from where it is configured"
                )
        return self._picture.find(link, address) is not None

    def _is_ours(self, link: Link, assigned: Assigned) -> bool:
        return assigned.protocol == PROTOCOL or self._record.names(link.name, assigned.address)

    def _known(self) -> _View:
        """What picture and record say together; made anew only where one of them has changed, for it is asked often."""
        key = (self._picture, self._picture.revision, self._record.all)
        if self._view.key != key:
            links = [link for _, link in sorted(self._picture.links.items())]
            held = (
                HeldAddress(link.name, each.address, self._is_ours(link, each))
                for link in links
                for each in self._picture.on(link)
            )
            self._view = _View(key, tuple(map(self._interface, links)), tuple(held))
        return self._view

    def _interface(self, link: Link) -> Interface:
        own = tuple(each.address for each in self._picture.on(link) if not self._is_ours(link, each))
        return Interface(link.index, link.name, link.mac, link.up, own, link.altnames, link.carrier_ups)

    def _hear(self, changes: Sequence[Change]) -> None:
        """Take in what the kernel told, also into the picture that is being read."""
        for change in changes:
            self._note_gone(change)
        news = [self._picture.apply(change) for change in changes]
        if self._next_picture is not None:
            for change in changes:
                self._next_picture.apply(change)
        if any(news):
            self._tell()

    def _note_gone(self, change: Change) -> None:
        link = self._picture.links.get(change.fact.index) if change.gone else None
        if link is not None and isinstance(change.fact, Assigned):
            self._record.forget(link.name, change.fact.address)

    def _tell(self) -> None:
        self._news.set()
        for changed in self._watchers:
            asyncio.get_running_loop().call_soon(changed)

    async def _shown(self, doing: str, is_shown: Callable[[], bool]) -> None:
        """Wait until the picture shows it: IPv6 events come a moment after the acknowledgement."""
        if is_shown():
            return
        with translated(doing):
            async with asyncio.timeout(_CONFIRM_S):
                while not is_shown():
                    self._news.clear()
                    await self._news.wait()

    async def _read(self) -> None:
        """Read a new picture and use it; what changes meanwhile is in it, because the kernel tells in order."""
        while True:
            self._lost_events = False
            fresh = self._next_picture = AddressTable()
            try:
                await self._socket.dump()
            except Unavailable as error:
                _log.debug("the addresses are read again", extra={"fields": {"problem": str(error)}})
                await asyncio.sleep(_REREAD_S)
                continue
            finally:
                self._next_picture = None
            if not self._lost_events:
                break
        self._picture = fresh
        self._record.keep_only({(each.interface, each.address) for each in self.held()})
        self._tell()

    def _reread(self) -> None:
        """Events were lost, so the picture may be wrong; a reading that is under way starts anew by itself."""
        self._lost_events = True
        if self._reading is None or self._reading.done():
            _log.info("netlink events came too fast and some were lost; the addresses are read anew")
            self._reading = asyncio.get_running_loop().create_task(self._reread_until_done())

    async def _reread_until_done(self) -> None:
        while True:
            try:
                return await self._read()
            except Failed as error:
                _log.warning("the addresses cannot be read; trying again", extra={"fields": {"problem": str(error)}})
                await asyncio.sleep(_RETRY_S)
