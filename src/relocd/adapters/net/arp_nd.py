"""The port `Wire`: probes for addresses and announces them, with raw Ethernet frames on packet sockets (packet(7)).

Two sockets, one for ARP and one for IPv6, receive from all interfaces and stay open as long as the agent runs: closing
a packet socket waits some 15 ms for the kernel's network stack, which would block the event loop. A filter in the
kernel rejects every frame while there is no probe, so traffic never wakes the agent; during a probe it accepts only ARP
and neighbour discovery.

Interfaces that are not Ethernet have no neighbours: a probe there gets no answer, and an announcement is not sent.
`frames` builds and parses the frames.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_interface
from types import TracebackType
from typing import Final, Self

from relocd.adapters.net import frames
from relocd.errors import Failed, Unavailable
from relocd.model.entries import ServiceAddress
from relocd.model.host import Interface, Probe
from relocd.model.settings import WireSettings
from relocd.reconcile.addresses import interface_for

__all__ = ["PacketWire", "attach_filter", "translated"]

_FRAME_BYTES: Final = 2048
_ASK_AGAIN_S: Final = 0.2
_SO_ATTACH_FILTER: Final = 26  # asm-generic/socket.h; Python has no name for it
_FILTERS: Final = {frames.ARP: frames.EVERYTHING, frames.IPV6: frames.NEIGHBOUR_DISCOVERY}

_PASSING: Final = frozenset({errno.ENOBUFS, errno.EAGAIN, errno.EINTR, errno.ENOMEM})
_REMEDIES: Final[Mapping[int, str]] = {
    errno.EPERM: "run the agent as root or give it CAP_NET_RAW",
    errno.ENETDOWN: "bring the interface up",
}


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise every error of a socket as one of relocd that begins with the operation."""
    try:
        yield
    except OSError as error:
        reason = f"{doing}: {error.strerror or error}"
        if error.errno in _PASSING:
            raise Unavailable(f"{reason}; try again") from error
        remedy = _REMEDIES.get(error.errno or 0)
        raise Failed(f"{reason}; {remedy}" if remedy else reason) from error


def attach_filter(sock: socket.socket, program: Sequence[frames.Instruction]) -> None:
    """Set a classic BPF program as the filter of a socket, in place of the one before."""
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code)
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(buffer)))


def _require_up(interface: Interface) -> None:
    if not interface.up:
        raise Failed(f"{interface.name} is down or has no carrier, so no neighbour can be reached; check its cable")


@dataclass(frozen=True, slots=True)
class _Probing:
    """A running probe; `own` are the MACs of this host, `held` says that this host has the addresses itself."""

    interface: Interface
    addresses: frozenset[frames.Address]
    own: frozenset[bytes]
    held: bool
    answer: asyncio.Future[frames.AddressClaim]

    def take(self, interface: str, claim: frames.AddressClaim) -> None:
        """Keep the first claim that answers.

        A probe of another host counts as well (RFC 5227, section 2.1.1; RFC 4862, section 5.4.3). Of two servers that
        probe at the same moment, the one with the lower MAC goes on; otherwise they would stop each other for ever. A
        host that has the address itself ignores probes of others.
        """
        if interface != self.interface.name or claim.ip not in self.addresses or claim.mac in self.own:
            return
        counts = not claim.asking or (not self.held and claim.mac < self.interface.mac)
        if counts and not self.answer.done():
            self.answer.set_result(claim)


class PacketWire:
    """ARP and neighbour discovery in the network namespace in which it was opened.

    `interfaces` returns the interfaces of this host, whose frames are never an answer.
    """

    def __init__(self, settings: WireSettings, interfaces: Callable[[], Iterable[Interface]]) -> None:
        self._settings = settings
        self._interfaces = interfaces
        self._sockets: dict[int, socket.socket] = {}
        self._probings: list[_Probing] = []

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Open the sockets; raises `Failed` without the capability."""
        try:
            for protocol in _FILTERS:
                self._open(protocol)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the sockets."""
        for sock in self._sockets.values():
            asyncio.get_running_loop().remove_reader(sock)
            sock.close()
        self._sockets.clear()

    async def probe(self, interface: Interface, addresses: Sequence[ServiceAddress]) -> Sequence[Probe]:
        """Ask for all addresses at once, several times, and return who answered.

        Returns with the first answer, when the other addresses are not known yet; else after the last pause. Raises
        `Failed` on an interface that is not up, where silence proves nothing.
        """
        return await self._asked(interface, addresses, held=False)

    async def contested(self, interface: Interface, addresses: Sequence[ServiceAddress]) -> Sequence[Probe]:
        """Ask in the same way for addresses of this host, and return which other host has one as well.

        The frames of a probe claim nothing, so the other host keeps its traffic (RFC 5227, section 2.1.1).
        """
        return await self._asked(interface, addresses, held=True)

    async def reach(self, ip: frames.Address) -> None:
        """Ask for an address until a neighbour answers; raises `Failed` where no interface is in its network."""
        interface = interface_for(ip_interface(ip), None, tuple(self._interfaces()))
        asking = [frames.probe(interface.mac, ip)]
        with self._answering(interface, frozenset((ip,)), held=False) as answer:
            while not answer.done():
                self._send(interface, asking)
                await asyncio.wait((answer,), timeout=_ASK_AGAIN_S)

    async def announce(self, interface: Interface, addresses: Sequence[ServiceAddress]) -> None:
        """Announce addresses to all neighbours once, in every form that they may accept."""
        if interface.mac:
            _require_up(interface)
            self._send(interface, [f for each in addresses for f in frames.announcements(interface.mac, each.ip)])

    async def _asked(self, interface: Interface, addresses: Sequence[ServiceAddress], *, held: bool) -> Sequence[Probe]:
        ips = frozenset(address.ip for address in addresses)
        answer = await self._answer(interface, ips, held=held) if ips and interface.mac else None
        return tuple(
            Probe(address, answer.mac.hex(":") if answer is not None and answer.ip == address.ip else None)
            for address in addresses
        )

    async def _answer(
        self, interface: Interface, ips: frozenset[frames.Address], *, held: bool
    ) -> frames.AddressClaim | None:
        _require_up(interface)
        asking = [frames.probe(interface.mac, ip) for ip in ips]
        with self._joined(interface, ips), self._answering(interface, ips, held=held) as answer:
            for _ in range(self._settings.probes):
                self._send(interface, asking)
                await asyncio.wait((answer,), timeout=self._settings.probe_interval_ms / 1000)
                if answer.done():
                    return answer.result()
        return None

    @contextmanager
    def _answering(
        self, interface: Interface, ips: frozenset[frames.Address], *, held: bool
    ) -> Iterator[asyncio.Future[frames.AddressClaim]]:
        """The first claim of another host on one of the addresses, received inside the block."""
        own = frozenset((interface.mac, *(each.mac for each in self._interfaces())))
        probing = _Probing(interface, ips, own, held, asyncio.get_running_loop().create_future())
        self._probings.append(probing)
        self._set_filters()
        try:
            yield probing.answer
        finally:
            self._probings.remove(probing)
            self._set_filters()

    @contextmanager
    def _joined(self, interface: Interface, ips: frozenset[frames.Address]) -> Iterator[None]:
        """Join the groups of the IPv6 addresses, to receive probes of other hosts (RFC 4862, section 5.4.2)."""
        groups = {frames.solicited_node(ip) for ip in ips if isinstance(ip, IPv6Address)}
        if not groups:
            yield
            return
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as member:
            with translated(f"join the neighbour discovery of {interface.name}"):
                for group in groups:
                    request = group.packed + struct.pack("@I", interface.index)
                    member.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
            yield

    def _open(self, protocol: int) -> None:
        with translated("open a packet socket"):
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(protocol))
            self._sockets[protocol] = sock
            attach_filter(sock, frames.NOTHING)
        asyncio.get_running_loop().add_reader(sock, self._receive, sock)

    def _set_filters(self) -> None:
        with translated("set the filter of a packet socket"):
            for protocol, sock in self._sockets.items():
                attach_filter(sock, _FILTERS[protocol] if self._probings else frames.NOTHING)

    def _receive(self, sock: socket.socket) -> None:
        """Pass a received frame to the running probes."""
        try:
            frame, (interface, *_) = sock.recvfrom(_FRAME_BYTES)
        except OSError:  # nothing there, or the interface went down
            return
        claim = frames.claim(frame)
        if claim is not None:
            for probing in self._probings:
                probing.take(interface, claim)

    def _send(self, interface: Interface, sent: Iterable[bytes]) -> None:
        with translated(f"send on {interface.name}"):
            for frame in sent:
                protocol = int.from_bytes(frame[12:14])
                self._sockets[protocol].sendto(frame, (interface.name, protocol))
