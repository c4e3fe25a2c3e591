"""The kernel's routing socket (rtnetlink(7)): requests, their answers, and the events of links and addresses.

The socket is a plain one, read by the event loop; pyroute2 encodes and decodes the messages. The sockets of pyroute2
are not used, for three reasons. Requests and events share one socket here, so all messages are in order: the event of a
requested change comes before its acknowledgement. The kernel does the work while the request is sent, so its answer is
read at once, without a turn of the event loop (0.1 ms for an address; `AsyncIPRoute` and `IPRoute` take 0.2). And an
overrun, when events come faster than they are read, is survived: unanswered requests fail with `Unavailable`, and the
owner of the table is message to read it again.

The socket belongs to the network namespace in which it was opened.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from typing import Final

from pyroute2.netlink import NETLINK_EXT_ACK, NETLINK_ROUTE, SOL_NETLINK
from pyroute2.netlink.exceptions import NetlinkDecodeError, NetlinkDumpInterrupted, NetlinkError
from pyroute2.netlink.rtnl import RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR, RTMGRP_LINK

from relocd.adapters.net import rtnetlink_messages as messages
from relocd.adapters.net.address_messages import AddressTerms, assignment, extension, removal
from relocd.adapters.net.address_table import InterfaceChange, Link
from relocd.errors import Failed, Unavailable
from relocd.model.entries import ServiceAddress

__all__ = ["RouteSocket", "translated"]

_GROUPS: Final = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR
_BUFFER_BYTES: Final = 1 << 20
_DATAGRAM_BYTES: Final = 1 << 16
# How many datagrams are read for an answer before the event loop gets a turn.
_AT_ONCE: Final = 8
# The kernel answers at once; this is the limit for a lost answer.
_ANSWER_S: Final = 5.0

_PASSING: Final = frozenset({errno.ENOBUFS, errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.ENOMEM})
_REMEDIES: Final[Mapping[int, str]] = {
    errno.EPERM: "run the agent as root or give it CAP_NET_ADMIN",
    errno.EACCES: "see sysctl net.ipv6.conf.*.disable_ipv6",
    errno.EEXIST: "it is there with another prefix length; drop that one first",
}


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise every error of the kernel and of pyroute2 as one of relocd that begins with the operation."""
    try:
        yield
    except TimeoutError as error:
        raise Unavailable(f"{doing}: the kernel has not acknowledged it in time") from error
    except NetlinkDumpInterrupted as error:
        raise Unavailable(f"{doing}: something changed while it was read; read it again") from error
    except NetlinkDecodeError as error:
        raise Failed(f"{doing}: the kernel's message cannot be read: {error.exception}") from error
    except NetlinkError as error:
        raise _explained(doing, error.code, error.args[-1]) from error
    except OSError as error:
        raise _explained(doing, error.errno or 0, error.strerror or str(error)) from error


def _explained(doing: str, code: int, reason: str) -> Failed | Unavailable:
    if code in _PASSING:
        return Unavailable(f"{doing}: {reason}; try again")
    remedy = _REMEDIES.get(code)
    return Failed(f"{doing}: {reason}; {remedy}" if remedy else f"{doing}: {reason}")


class RouteSocket:
    """One socket for requests and events; `heard` gets the changes, `overrun` is called when some were lost."""

    def __init__(self, heard: Callable[[Sequence[InterfaceChange]], None], overrun: Callable[[], None]) -> None:
        self._heard = heard
        self._overrun = overrun
        self._numbers = count(1)
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._interrupted: set[int] = set()
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Open the socket in the namespace of this thread and receive events."""
        with translated("open a netlink socket"):
            opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, NETLINK_ROUTE)
            self._socket = opened
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            opened.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
            opened.bind((0, _GROUPS))
        asyncio.get_running_loop().add_reader(opened, self._take)

    def close(self) -> None:
        """Close the socket; unanswered requests are cancelled."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        for answer in self._answers.values():
            answer.cancel()

    async def dump(self) -> None:
        """Receive all links and then all addresses; raises `Unavailable` when they changed meanwhile."""
        with translated("read the interfaces"):
            await self._ask(messages.link_dump())
        with translated("read the addresses"):
            await self._ask(messages.address_dump())

    async def look_at(self, link: Link) -> None:
        """Receive one link; not every change of its settings makes an event."""
        with translated(f"read interface {link.name}"):
            await self._ask(messages.link_request(link))

    def catch_up(self) -> None:
        """Handle all messages that the kernel has sent so far, without a turn of the event loop."""
        while self._take():
            pass

    async def assign(self, link: Link, address: ServiceAddress, terms: AddressTerms) -> None:
        """Put an address on a link."""
        with translated(f"raise {address} on {link.name}"):
            await self._ask(assignment(link, address, terms))

    async def extend(self, link: Link, address: ServiceAddress, terms: AddressTerms) -> None:
        """Give an address new terms. The request is sent at once, before any turn of the event loop."""
        with translated(f"extend {address} on {link.name}"):
            await self._ask(extension(link, address, terms))

    async def remove(self, link: Link, address: ServiceAddress) -> None:
        """Remove an address from a link."""
        with translated(f"drop {address} on {link.name}"):
            await self._ask(removal(link, address))

    async def promote(self, link: Link, *, wanted: bool) -> None:
        """Set promote_secondaries of a link; by netlink, because /proc/sys is often read-only for a service."""
        with translated(f"set promote_secondaries of {link.name}"):
            await self._ask(messages.promotion(link, wanted=wanted))

    async def _ask(self, request: bytes) -> None:
        """Send a request; return when it is acknowledged or its dump complete, with all earlier messages handled."""
        if self._socket is None:
            raise OSError(errno.EBADF, "the netlink socket is not open")
        number = next(self._numbers) & 0xFFFFFFFF
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            self._socket.send(messages.numbered(request, number))
            for _ in range(_AT_ONCE):
                if answer.done() or not self._take():
                    break
            if not answer.done():
                async with asyncio.timeout(_ANSWER_S):
                    await answer
            answer.result()
        finally:
            del self._answers[number]
            self._interrupted.discard(number)

    def _take(self) -> bool:
        """Read one datagram and handle its messages; return False when there is none."""
        try:
            datagram = self._receive()
        except OSError as error:
            self._lose(error)
            return True
        changes = []
        for message in messages.read(datagram):
            if isinstance(message, InterfaceChange):
                changes.append(message)
            else:
                self._resolve(message)
        if changes:
            self._heard(changes)
        return bool(datagram)

    def _receive(self) -> bytes:
        """The next datagram; empty when there is none now."""
        try:
            return self._socket.recv(_DATAGRAM_BYTES) if self._socket is not None else b""
        except BlockingIOError:
            return b""

    def _resolve(self, message: messages.KernelAnswer | messages.Interrupted) -> None:
        answer = self._answers.get(message.number)
        if answer is None or answer.done():
            return
        if isinstance(message, messages.Interrupted):
            self._interrupted.add(message.number)
        elif message.error is not None:
            answer.set_exception(message.error)
        elif message.number in self._interrupted:
            answer.set_exception(NetlinkDumpInterrupted())
        else:
            answer.set_result(None)

    def _lose(self, error: OSError) -> None:
        """Fail all requests after the kernel had no room for messages; answers may be among the lost ones.

        The kernel reports that once and drops further messages until the socket is empty. So it is emptied first.
        """
        with suppress(OSError):
            while self._receive():
                pass
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(error)
        self._overrun()
