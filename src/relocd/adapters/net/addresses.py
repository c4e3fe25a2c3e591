"""The port `Addresses`: this host's interfaces and addresses, kept current by the kernel's events.

The table of links and addresses is read once and follows the events from then on. When the kernel has lost events, it
is read again beside the old one, which stays in use meanwhile. `add` and `drop` return when the kernel has acknowledged
and the table shows it.

An address is ours when it has our protocol number (IFA_PROTO, Linux 5.18), or when the record in the run folder names
it: it is recorded before it is raised, and removed from the record when it is gone. So an agent that starts again knows
its addresses, even where their mark was removed. A foreign address is never touched.

An address with a lifetime expires in the kernel, also when the agent hangs or is dead: mostly within 0.1 s, at most
1.5 s, because the kernel checks only once a second. Nothing else on the interface may go with it. The kernel would
remove more in two cases, which are closed when the address gets its lifetime: `_keep_secondaries` for IPv4, `_terms`
for IPv6.

`rtnetlink` talks to the kernel; `address_table` holds its answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from relocd.adapters.net.address_messages import AddressTerms
from relocd.adapters.net.address_record import AddressRecord
from relocd.adapters.net.address_table import AddressTable, Assigned, InterfaceChange, Link
from relocd.adapters.net.rtnetlink import RouteSocket, translated
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
_TELL_S: Final = 0.005
"""How long the watchers wait for a change: so an address that moves does not wait for them, on its way to a server."""


@dataclass(frozen=True, slots=True)
class _View:
    """The interfaces and their addresses as the port returns them; `key` is the state that they were made from."""

    key: object
    interfaces: tuple[Interface, ...]
    by_fact: Mapping[tuple[str, Assigned], HeldAddress]
    by_ip: Mapping[bytes, Sequence[HeldAddress]]


class NetlinkAddresses:
    """The addresses of the network namespace in which `open` is called; `run` is the folder of the record."""

    def __init__(self, run: Path) -> None:
        self._record = AddressRecord(run / "addresses")
        self._socket = RouteSocket(self._hear, self._reread)
        self._table = AddressTable()
        self._next_table: AddressTable | None = None
        self._view = _View(None, (), {}, {})
        self._reading: asyncio.Task[None] | None = None
        self._lost_events = False
        self._news = asyncio.Event()
        self._one_change = asyncio.Lock()
        self._watchers: list[Callable[[], None]] = []
        self._telling: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Read the record, the interfaces and the addresses, and start to follow the events."""
        self._record.load()
        try:
            self._socket.open()
            self._reading = asyncio.create_task(self._read())
            await self._reading
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop following the events; interfaces stay as they are."""
        if self._telling is not None:
            self._telling.cancel()
        self._record.close()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait((self._reading,))
        self._socket.close()

    def interfaces(self) -> Sequence[Interface]:
        """The interfaces by index, each with the addresses that are not ours."""
        return self._known().interfaces

    def held(self) -> Sequence[HeldAddress]:
        """Every address of every interface."""
        return tuple(self._known().by_fact.values())

    def copies(self, addresses: Iterable[ServiceAddress]) -> Sequence[HeldAddress]:
        """Those of them with the IP of one of these addresses."""
        by_ip = self._known().by_ip
        return [each for ip in dict.fromkeys(address.packed for address in addresses) for each in by_ip.get(ip, ())]

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` in the event loop soon after every change, including ours; once for those of a moment."""
        self._watchers.append(changed)

    async def add(self, interface: str, address: ServiceAddress, lifetime_s: int | None = None) -> None:
        """Raise an address and mark it as ours; do nothing where it already is there and ours, whatever its lifetime.

        After `lifetime_s` whole seconds, at least 1, the kernel drops it, unless it was extended.

        Raises `Failed` when the interface is missing or not up, a foreign address of the same IP is on it, or the
        kernel refuses; `Unavailable` when the kernel's answer was lost, so the outcome is unknown.
        """
        async with self._one_change:
            link = self._usable(interface, address)
            if not self._has_ours(link, address):
                await self._raise(link, address, lifetime_s)

    async def extend(self, interface: str, address: ServiceAddress, lifetime_s: int | None) -> None:
        """Let an address of ours stay for whole seconds, at least 1, from now; with None for ever.

        Raises `Failed` when it is not there or not ours, `Unavailable` when that is unknown now. An expired address is
        not raised again, although the kernel would do so (RTM_NEWADDR does, even without NLM_F_CREATE): all its events
        are read right before the request, in one turn of the event loop. So an agent that was stopped for longer than
        the lifetime first learns what it has lost. Only an address that expires in the microseconds between is raised
        again, marked and with the lifetime.
        """
        async with self._one_change:
            await self._keep_secondaries(self._extensible(interface, address), address, lifetime_s)
            link = self._extensible(interface, address)
            await self._socket.extend(link, address, self._terms(link, address, lifetime_s))

    async def check(self, interface: str, address: ServiceAddress) -> None:
        """Raise `Failed` when an address could not be raised now, for its interface, a foreign address or the record.

        On a kernel with marks a record that cannot be written is no obstacle.
        """
        self._has_ours(self._usable(interface, address), address)
        if not self._table.shows_protocols:
            self._record.check()

    async def drop(self, interface: str, address: ServiceAddress) -> None:
        """Drop an address of ours if it is there; raises `Failed` for a foreign one."""
        async with self._one_change:
            link = self._table.link(interface)
            found = link and self._table.find(link, address)
            if link and found:
                if not self._is_ours(link, found):
                    raise Failed(f"drop {address} on {interface}: relocd has not raised it, so it stays")
                await self._remove(link, found)
            self._forget(interface, address)

    async def _raise(self, link: Link, address: ServiceAddress, lifetime_s: int | None) -> None:
        self._record_ours(link.name, address)
        try:
            await self._keep_secondaries(link, address, lifetime_s)
            await self._socket.assign(link, address, self._terms(link, address, lifetime_s))
            await self._shown(f"raise {address} on {link.name}", lambda: self._table.find(link, address) is not None)
            self._record_ours(link.name, address)  # again: a table that was read meanwhile may not have had it
        except Failed:
            self._forget(link.name, address)
            # Refused because the address was added by others? Its event may come after our refusal, so read.
            await self._socket.dump()
            if not self._has_ours(link, address):
                raise

    def _record_ours(self, interface: str, address: ServiceAddress) -> None:
        """Name an address in the record: on a kernel without marks at once, else soon.

        Raises `Failed` where there would be neither mark nor record.
        """
        self._record.add(interface, address)
        if self._table.shows_protocols:
            self._record.write_soon()
            return
        try:
            self._record.write()
        except Failed:
            self._record.forget(interface, address)
            raise

    def _forget(self, interface: str, address: ServiceAddress) -> None:
        """Remove an address that is gone from the record."""
        self._record.forget(interface, address)
        if self._table.shows_protocols:
            self._record.write_soon()
        else:
            self._record.write_or_log()

    async def _remove(self, link: Link, found: Assigned) -> None:
        address = found.address
        try:
            async with self._keeping_dependants(link, found):
                await self._socket.remove(link, address)
            await self._shown(f"drop {address} on {link.name}", lambda: self._table.find(link, address) is None)
        except Failed:
            if self._table.find(link, address) is not None:
                raise

    @asynccontextmanager
    async def _keeping_dependants(self, link: Link, found: Assigned) -> AsyncIterator[None]:
        """Keep the other addresses while this one is dropped inside the block.

        With the first IPv4 address of a network the kernel drops the other ones of that network, and with the last one
        of the interface its routes, unless promote_secondaries is set, as in most distributions. It is set for this
        moment, so that nothing has to be repaired afterwards.
        """
        if not self._table.dependants(link, found):
            yield
            return
        await self._socket.look_at(link)
        before = self._table.links.get(link.index, link).promotes
        await self._socket.promote(link, wanted=True)
        try:
            yield
        finally:
            await self._socket.promote(link, wanted=before)

    async def _keep_secondaries(self, link: Link, address: ServiceAddress, lifetime_s: int | None) -> None:
        """Keep the other IPv4 addresses when this one expires, at a time when the agent may not run.

        Where it is the first of its network, promote_secondaries stays set on the interface.
        """
        if lifetime_s is None or address.version == 6 or link.promotes:
            return
        if not any(not each.secondary for each in self._beside(link, address)):
            await self._socket.promote(link, wanted=True)
            await self._socket.look_at(link)

    def _terms(self, link: Link, address: ServiceAddress, lifetime_s: int | None) -> AddressTerms:
        """The terms of an address of ours; with a lifetime it has no network route where the host's own address has.

        The kernel has one route for all addresses of an IPv6 network, which would expire with ours.
        """
        hosts = any(not self._is_ours(link, each) for each in self._beside(link, address))
        return AddressTerms(PROTOCOL, lifetime_s, routed=lifetime_s is not None and hosts)

    def _beside(self, link: Link, address: ServiceAddress) -> Sequence[Assigned]:
        """The other addresses of the same network on that link."""
        return [
            each for each in self._table.on(link) if each.address.network == address.network and each.address != address
        ]

    def _extensible(self, interface: str, address: ServiceAddress) -> Link:
        """The link of an address that is there and ours, by all events up to now."""
        self._socket.catch_up()
        if self._reading is None or not self._reading.done():
            raise Unavailable(f"extend {address} on {interface}: the addresses are being read again; try again")
        link = self._table.link(interface)
        found = None if link is None else self._table.find(link, address)
        if link is None or found is None:
            raise Failed(f"extend {address} on {interface}: it is no longer there; raise it if it belongs there")
        if not self._is_ours(link, found):
            raise Failed(f"extend {address} on {interface}: relocd has not raised it, so it is left alone")
        return link

    def _usable(self, interface: str, address: ServiceAddress) -> Link:
        link = self._table.link(interface)
        if link is None:
            raise Failed(f"raise {address} on {interface}: there is no such interface here; correct relocInterface")
        if not link.up:
            raise Failed(f"raise {address} on {interface}: it is down or has no carrier; bring it up, check its cable")
        return link

    def _has_ours(self, link: Link, address: ServiceAddress) -> bool:
        """Whether the address is there and ours; raises `Failed` for a foreign one with any prefix length."""
        for same in self._table.on(link):
            if same.address.ip == address.ip and not self._is_ours(link, same):
                raise Failed(
                    f"raise {address} on {link.name}: {same.address} is there and relocd has not raised it; remove it "
                    f"(ip address del {same.address} dev {link.name}) and from where it is configured"
                )
        return self._table.find(link, address) is not None

    def _is_ours(self, link: Link, assigned: Assigned) -> bool:
        return assigned.protocol == PROTOCOL or self._record.names(link.name, assigned.address)

    def _known(self) -> _View:
        """The view by table and record. It is needed often, so it is made again only when one of them has changed."""
        key = (self._table, self._table.revision, self._record.all)
        if self._view.key != key:
            links = [link for _, link in sorted(self._table.links.items())]
            facts = {(link.name, each): self._held(link, each) for link in links for each in self._table.on(link)}
            by_ip: dict[bytes, list[HeldAddress]] = {}
            for held in facts.values():
                by_ip.setdefault(held.packed, []).append(held)
            self._view = _View(key, tuple(map(self._interface, links)), facts, by_ip)
        return self._view

    def _held(self, link: Link, assigned: Assigned) -> HeldAddress:
        """An address as the port returns it, the same object as before while nothing of it has changed."""
        ours, known = self._is_ours(link, assigned), self._view.by_fact.get((link.name, assigned))
        return known if known and known.ours == ours else HeldAddress(link.name, assigned.address, ours)

    def _interface(self, link: Link) -> Interface:
        own = tuple(each.address for each in self._table.on(link) if not self._is_ours(link, each))
        return Interface(link.index, link.name, link.mac, link.up, own, link.altnames, link.carrier_ups)

    def _hear(self, changes: Sequence[InterfaceChange]) -> None:
        """Apply events, also to the table that is being read."""
        for change in changes:
            self._note_gone(change)
        news = [self._table.apply(change) for change in changes]
        if self._next_table is not None:
            for change in changes:
                self._next_table.apply(change)
        if any(news):
            self._notify()

    def _note_gone(self, change: InterfaceChange) -> None:
        link = self._table.links.get(change.fact.index) if change.gone else None
        if link is not None and isinstance(change.fact, Assigned):
            self._record.forget(link.name, change.fact.address)

    def _notify(self) -> None:
        self._news.set()
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(_TELL_S, self._tell)

    def _tell(self) -> None:
        self._telling = None
        for changed in self._watchers:
            asyncio.get_running_loop().call_soon(changed)

    async def _shown(self, doing: str, is_shown: Callable[[], bool]) -> None:
        """Wait until the table shows it: IPv6 events come a moment after the acknowledgement."""
        if is_shown():
            return
        with translated(doing):
            async with asyncio.timeout(_CONFIRM_S):
                while not is_shown():
                    self._news.clear()
                    await self._news.wait()

    async def _read(self) -> None:
        """Read a new table and use it; changes made meanwhile are in it, because events come in order."""
        while True:
            self._lost_events = False
            fresh = self._next_table = AddressTable()
            try:
                await self._socket.dump()
            except Unavailable as error:
                _log.debug("the addresses are read again", extra={"fields": {"problem": str(error)}})
                await asyncio.sleep(_REREAD_S)
                continue
            finally:
                self._next_table = None
            if not self._lost_events:
                break
        self._table = fresh
        self._record.keep_only({(each.interface, each.address) for each in self.held()})
        self._notify()

    def _reread(self) -> None:
        """Read the table again after events were lost; a reading under way restarts by itself."""
        self._lost_events = True
        if self._reading is None or self._reading.done():
            _log.info("netlink events were lost; the addresses are read again")
            self._reading = asyncio.get_running_loop().create_task(self._reread_until_done())

    async def _reread_until_done(self) -> None:
        while True:
            try:
                return await self._read()
            except Failed as error:
                _log.warning("the addresses cannot be read; retrying", extra={"fields": {"problem": str(error)}})
                await asyncio.sleep(_RETRY_S)
