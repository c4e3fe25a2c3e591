"""What the kernel says rarely, said by a socket that stands for it."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from contextlib import asynccontextmanager, closing
from ipaddress import ip_interface

import pytest

from relocd.adapters.net import rtnetlink
from relocd.adapters.net.address_table import Assigned, InterfaceChange
from relocd.adapters.net.rtnetlink import RouteSocket
from relocd.adapters.net.rtnetlink_messages import Interrupted, KernelAnswer, read
from relocd.errors import Failed, Unavailable

NEW_ADDRESS, ERROR, DONE = 20, 2, 3
MULTI, INTERRUPTED = 2, 16


def message(kind: int, number: int, body: bytes = bytes(4), flags: int = MULTI) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, number, 0) + body


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value


def address(family: int, *attributes: bytes) -> bytes:
    return struct.pack("=BBBBI", family, 24, 0, 0, 2) + b"".join(attributes)


LOCAL = address(socket.AF_INET, attribute(2, bytes([192, 0, 2, 1])))


@asynccontextmanager
async def kernel(*answers: bytes):
    """A route socket and what it heard; whatever is asked is answered with `{number}` of the request put in."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    heard: list[InterfaceChange] = []
    route = RouteSocket(heard.extend, lambda: None)
    route._socket = ours
    loop = asyncio.get_running_loop()
    waiting = list(answers)

    def answer() -> None:
        number = theirs.recv(1 << 16)[8:12]
        for part in waiting.pop(0):
            theirs.send(part[:8] + number + part[12:])

    loop.add_reader(theirs, answer)
    loop.add_reader(ours, route._take)
    with closing(theirs):
        yield route, heard
        route.close()
        loop.remove_reader(theirs)


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([message(NEW_ADDRESS, 0, LOCAL, MULTI | INTERRUPTED), message(DONE, 0)], id="in the middle"),
        pytest.param([message(NEW_ADDRESS, 0, LOCAL), message(DONE, 0, flags=MULTI | INTERRUPTED)], id="at the end"),
    ],
)
async def test_a_dump_during_which_something_changed_is_not_trusted(parts):
    whole = [message(NEW_ADDRESS, 0, LOCAL), message(DONE, 0)]
    async with kernel([message(DONE, 0)], parts, [message(DONE, 0)], whole) as (route, heard):
        with pytest.raises(Unavailable, match="something changed while it was read"):
            await route.dump()
        heard.clear()
        await route.dump()
        assert heard == [InterfaceChange(Assigned(2, ip_interface("192.0.2.1/24"), None, secondary=False), gone=False)]


async def test_no_answer_at_all(monkeypatch):
    monkeypatch.setattr(rtnetlink, "_ANSWER_S", 0.01)
    async with kernel([]) as (route, _):
        with pytest.raises(Unavailable, match="read the interfaces: the kernel has not acknowledged it in time"):
            await route.dump()


async def test_a_refusal_without_words_of_the_kernel():
    refused = message(ERROR, 0, struct.pack("=i", -errno.EINVAL) + bytes(16))
    async with kernel([refused]) as (route, _):
        with pytest.raises(Failed, match="read the interfaces: Invalid argument"):
            await route.dump()


async def test_requests_are_cancelled_when_the_socket_closes():
    async with kernel([]) as (route, _):
        asked = asyncio.create_task(route.dump())
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await asked


def test_addresses_of_other_families_are_left_out():
    """A dump has those of MCTP and Phonet too, which are a byte long."""
    other = address(45, attribute(2, b"\x08\0\0\0"))
    told = list(read(message(NEW_ADDRESS, 1, other) + message(NEW_ADDRESS, 1, LOCAL)))
    assert [change.fact.address for change in told] == [ip_interface("192.0.2.1/24")]


def test_a_message_that_cannot_be_read_hides_no_other(caplog):
    nameless = address(socket.AF_INET)
    told = list(read(message(NEW_ADDRESS, 1, nameless) + message(DONE, 7, flags=MULTI | INTERRUPTED)))
    assert told == [Interrupted(7), KernelAnswer(7, None)]
    assert "a netlink message cannot be read" in caplog.text
