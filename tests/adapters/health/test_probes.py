"""Probes against servers on loopback that answer well, wrongly, too much, or not at all."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import subprocess
from contextlib import asynccontextmanager, suppress

import pytest

from relocd.adapters.health.probes import NetworkProbes
from relocd.errors import Failed
from relocd.model.health import Check, CheckKind, HealthLimits, HttpRequest
from relocd.reconcile.health import endpoint_of

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def tcp_server(answer: bytes | None, *, tls=None, host="127.0.0.1"):
    """A server that sends `answer` after a request and closes, None: accepts and says nothing; yields its requests."""
    asked, ends, serving = [], asyncio.Event(), []

    async def serve(reader, writer):
        serving.append(asyncio.current_task())
        try:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
        except asyncio.IncompleteReadError:
            asked.append(b"")
        if answer is None:
            await ends.wait()
        else:
            writer.write(answer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, host, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        ends.set()
        server.close()
        await server.wait_closed()
        await asyncio.gather(*serving, return_exceptions=True)


def http(port, *, tls=False, statuses=((200, 399),), ip="127.0.0.1"):
    request = HttpRequest("/a?b", f"www.example.org:{port}", tls=tls, statuses=statuses)
    return Check(CheckKind.HTTP, "the check", HealthLimits(), endpoint_of(f"{ip}:{port}"), request)


def of(kind, port):
    return Check(kind, "the check", HealthLimits(), endpoint_of(f"127.0.0.1:{port}"))


async def failure(check, timeout_s=5.0):
    async with asyncio.timeout(timeout_s):
        try:
            await NetworkProbes().probe(check)
        except Failed as error:
            return str(error)
    return ""


@pytest.fixture
def tls(tmp_path):
    """A server's side of TLS, with a certificate for another name by an authority that nobody knows."""
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    made += ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=other"]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


class TestHttp:
    async def test_a_good_status_is_well_and_the_request_is_a_plain_one(self):
        async with tcp_server(OK) as (port, asked):
            assert not await failure(http(port))
        (request,) = asked
        assert request.startswith(b"GET /a?b HTTP/1.1\r\n")
        assert f"\r\nHost: www.example.org:{port}\r\n".encode() in request

    @pytest.mark.parametrize(("status", "fails"), [(204, False), (302, False), (404, True), (500, True), (503, True)])
    async def test_the_status_decides(self, status, fails):
        async with tcp_server(b"HTTP/1.1 %d x\r\n\r\n" % status) as (port, _):
            assert bool(await failure(http(port))) == fails

    async def test_the_statuses_of_the_declaration_count(self):
        async with tcp_server(b"HTTP/1.0 404\r\n\r\n") as (port, _):
            assert not await failure(http(port, statuses=((404, 404),)))

    async def test_an_interim_answer_is_skipped(self):
        async with tcp_server(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 500 no\r\n\r\n") as (port, _):
            assert "500" in await failure(http(port))

    @pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/9 200 OK\r\n", b"x" * 200_000, b"HTTP/1.1 "])
    async def test_what_is_not_http_fails(self, answer):
        async with tcp_server(answer) as (port, _):
            assert await failure(http(port))

    async def test_a_body_without_end_is_not_read_to_its_end(self):
        async with tcp_server(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000_000) as (port, _):
            assert not await failure(http(port))

    async def test_silence_is_left_to_the_time_limit(self):
        async with tcp_server(None) as (port, _):
            with pytest.raises(TimeoutError):
                await failure(http(port), 0.1)

    async def test_a_certificate_is_not_verified(self, tls):
        async with tcp_server(OK, tls=tls) as (port, _):
            assert not await failure(http(port, tls=True))
            assert await failure(http(port))

    async def test_ipv6(self):
        async with tcp_server(OK, host="::1") as (port, _):
            assert not await failure(http(port, ip="[::1]"))


class TestTcp:
    async def test_a_connection_is_enough(self):
        async with tcp_server(None) as (port, _):
            assert not await failure(of(CheckKind.TCP, port))

    @pytest.mark.parametrize("kind", [CheckKind.TCP, CheckKind.DNS, CheckKind.NTP])
    async def test_a_closed_port_fails_with_the_reason(self, kind):
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        assert "the check: " in await failure(of(kind, port))


class _Answers(asyncio.DatagramProtocol):
    def __init__(self, answer):
        self.answer = answer

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(self.answer if isinstance(self.answer, bytes) else self.answer(data), addr)


@asynccontextmanager
async def udp_server(answer):
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Answers(answer), ("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


def dns_answer(code, *, flags=0x8180, id_=0):
    return lambda data: struct.pack("!HH", (int.from_bytes(data[:2]) + id_) % 65536, flags | code) + data[4:]


def ntp_answer(first=0x24, stratum=2, stamp=0):
    return lambda data: bytes((first, stratum)) + bytes(22) + bytes(8)[:stamp] + data[40 + stamp :] + bytes(16)


@pytest.mark.parametrize(
    ("kind", "answer", "fails"),
    [
        pytest.param(CheckKind.DNS, dns_answer(0), False, id="answer"),
        pytest.param(CheckKind.DNS, dns_answer(3), False, id="no such name"),
        pytest.param(CheckKind.DNS, dns_answer(5), False, id="refused"),
        pytest.param(CheckKind.DNS, dns_answer(2), True, id="SERVFAIL"),
        pytest.param(CheckKind.DNS, dns_answer(0, id_=1), True, id="another question's answer"),
        pytest.param(CheckKind.DNS, lambda data: data, True, id="echo"),
        pytest.param(CheckKind.DNS, b"x", True, id="noise"),
        pytest.param(CheckKind.NTP, ntp_answer(), False, id="time"),
        pytest.param(CheckKind.NTP, ntp_answer(first=0xE4), True, id="unsynchronized"),
        pytest.param(CheckKind.NTP, ntp_answer(stratum=16), True, id="stratum 16"),
        pytest.param(CheckKind.NTP, ntp_answer(stratum=0), True, id="kiss of death"),
        pytest.param(CheckKind.NTP, ntp_answer(stamp=4), True, id="another packet's answer"),
        pytest.param(CheckKind.NTP, lambda data: data, True, id="time echo"),
        pytest.param(CheckKind.NTP, b"x" * 47, True, id="too short"),
    ],
)
async def test_answers_over_udp(kind, answer, fails):
    async with udp_server(answer) as port:
        assert bool(await failure(of(kind, port))) == fails
