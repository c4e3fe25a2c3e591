"""The port `Probes`: asks a service over the network, on the event loop, without a lookup of names.

Whoever asks sets the time limit: a probe that is cancelled closes its socket and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import cache
from typing import Final

from relocd.adapters.health import questions
from relocd.errors import Failed
from relocd.model.health import Check, CheckKind, Endpoint, HttpRequest

__all__ = ["NetworkProbes"]

_DATAGRAM_BYTES: Final = 4096
_READ_BYTES: Final = 65536


class NetworkProbes:
    """Asks by HTTP, TCP, DNS and NTP."""

    async def probe(self, check: Check) -> None:
        """Ask once; raises `Failed` with the reason when the answer is not as it should be."""
        try:
            await _PROBES[check.kind](check)
        except OSError as error:
            raise Failed(f"{check.name}: {error.strerror or error}") from error
        except ValueError as error:
            raise Failed(f"{check.name}: {error}") from error


async def _tcp(check: Check) -> None:
    async with _connected(check, None):
        pass


async def _http(check: Check) -> None:
    request = check.request
    if request is None:
        raise ValueError("has no request")
    async with _connected(check, request) as (reader, writer):
        writer.write(questions.http_request(request))
        status = await _status(reader)
        if not any(first <= status <= last for first, last in request.statuses):
            raise ValueError(f"answers with status {status}")
        await reader.read(_READ_BYTES)  # closing with unread data would reset the connection


async def _status(reader: asyncio.StreamReader) -> int:
    """The status of the final answer; interim ones (RFC 9110, section 15.2) are skipped."""
    try:
        while (status := questions.http_status(await reader.readuntil(b"\n"))) < 200:
            while (await reader.readuntil(b"\n")).strip():
                pass
    except asyncio.IncompleteReadError as error:
        raise ValueError("closes the connection without an answer") from error
    except asyncio.LimitOverrunError as error:
        raise ValueError("does not answer in HTTP") from error
    return status


async def _dns(check: Check) -> None:
    await _ask(check, questions.DnsQuestion.random())


async def _ntp(check: Check) -> None:
    await _ask(check, questions.NtpQuestion.random())


async def _ask(check: Check, question: questions.DnsQuestion | questions.NtpQuestion) -> None:
    why = question.refusal(await _datagram(check, question.message))
    if why:
        raise ValueError(why)


@asynccontextmanager
async def _connected(
    check: Check, request: HttpRequest | None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    endpoint, tls = _endpoint(check), request is not None and request.tls
    name = request.host.rpartition(":")[0] or request.host if request is not None else ""
    reader, writer = await asyncio.open_connection(
        str(endpoint.ip),
        endpoint.port,
        ssl=_unverified() if tls else None,
        server_hostname=name.strip("[]") if tls else None,
    )
    try:
        yield reader, writer
    finally:
        writer.transport.abort() if tls else writer.close()


async def _datagram(check: Check, message: bytes) -> bytes:
    endpoint, loop = _endpoint(check), asyncio.get_running_loop()
    family = socket.AF_INET6 if endpoint.ip.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        # From the address itself, where it is of this host: Linux would take the first one of the network, which the
        # service may not answer.
        with suppress(OSError):
            sock.bind((str(endpoint.ip), 0))
        sock.connect((str(endpoint.ip), endpoint.port))
        sock.send(message)
        return await loop.sock_recv(sock, _DATAGRAM_BYTES)


def _endpoint(check: Check) -> Endpoint:
    if check.endpoint is None:
        raise ValueError("has no endpoint")
    return check.endpoint


@cache
def _unverified() -> ssl.SSLContext:
    """TLS without a look at the certificate: a check asks whether the service answers, not who it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


_PROBES: Final[Mapping[CheckKind, Callable[[Check], Awaitable[None]]]] = {
    CheckKind.HTTP: _http,
    CheckKind.TCP: _tcp,
    CheckKind.DNS: _dns,
    CheckKind.NTP: _ntp,
}
