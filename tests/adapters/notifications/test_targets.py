"""Notifications to a real web server and real programs that behave, answer badly, hang or go away in the middle."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import threading
import time
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import pytest

from relocd.adapters.notifications.command import CommandTarget
from relocd.adapters.notifications.webhook import WebhookTarget
from relocd.errors import Failed, Unavailable
from relocd.model.dn import DN
from relocd.model.notification import Notification, NotifiedEvent
from tests.lab.deadline import eventually
from tests.lab.slapd.certificates import issued

BODY = Notification(datetime.now(UTC), NotifiedEvent.TEST, DN.parse("cn=node1,dc=example"), "näme").encoded()
SECRET = "t0ken"


class Server:
    """A web server of few words: what it got, and how it answers."""

    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.port = 0
        self.tasks = set()  # the loop alone keeps no task that waits for ever

    async def __call__(self, reader, writer):
        self.tasks.add(asyncio.current_task())
        try:
            with suppress(asyncio.IncompleteReadError):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lengths = [
                    line.split(":")[1] for line in head.splitlines() if line.lower().startswith("content-length")
                ]
                self.requests.append((head, await reader.readexactly(int(lengths[0]))))
                await self.answer(writer)
        finally:
            writer.close()


@asynccontextmanager
async def serving(answer, context=None):
    own = Server(answer)
    server = await asyncio.start_server(own, "127.0.0.1", 0, ssl=context)
    own.port = server.sockets[0].getsockname()[1]
    try:
        yield own
    finally:
        server.close()
        for task in own.tasks:
            task.cancel()
        await asyncio.gather(*own.tasks, return_exceptions=True)


def answers(status):
    async def answer(writer):
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()

    return answer


async def hangs(_writer):
    await asyncio.Event().wait()


async def drips(writer):
    while not writer.is_closing():
        writer.write(b"H")
        await writer.drain()
        await asyncio.sleep(0.02)


async def closes(_writer):
    return


def webhook(server, timeout_s=5.0, scheme="http", ca_file="", host="127.0.0.1"):
    return WebhookTarget(f"{scheme}://{host}:{server.port}/hook/{SECRET}?a=b", ca_file, timeout_s)


def threads():
    return [each for each in threading.enumerate() if each.name == "webhook"]


class TestWebhook:
    async def test_the_event_is_posted_as_json(self):
        async with serving(answers("204 No Content")) as server:
            assert await webhook(server).send(BODY) == "204 No Content"
            ((head, body),) = server.requests
            assert head.startswith(f"POST /hook/{SECRET}?a=b HTTP/1.1\r\n")
            assert "content-type: application/json" in head.lower()
            assert json.loads(body)["text"] == "näme"

    @pytest.mark.parametrize("status", ["500 Oops", "503 Later", "429 Slowly", "408 Timeout"])
    async def test_an_answer_that_may_change_is_tried_again(self, status):
        async with serving(answers(status)) as server:
            with pytest.raises(Unavailable, match=status):
                await webhook(server).send(BODY)

    @pytest.mark.parametrize("status", ["404 No", "401 Who", "302 Elsewhere"])
    async def test_an_answer_that_stays_is_final(self, status):
        async with serving(answers(status)) as server:
            with pytest.raises(Failed, match=status):
                await webhook(server).send(BODY)

    @pytest.mark.parametrize("behaviour", [hangs, drips])
    async def test_a_server_without_an_end_is_left_in_time_and_its_thread_ends(self, behaviour):
        async with serving(behaviour) as server:
            target, began = webhook(server, timeout_s=0.2), time.monotonic()
            with pytest.raises(Unavailable):
                await target.send(BODY)
            assert time.monotonic() - began < 5
            await eventually(lambda: not threads())
            server.answer = answers("200 OK")
            assert await target.send(BODY) == "200 OK"

    async def test_a_server_that_closes_is_tried_again(self):
        async with serving(closes) as server:
            with pytest.raises(Unavailable):
                await webhook(server).send(BODY)

    async def test_a_server_that_is_not_there_is_tried_again(self):
        async with serving(closes) as server:
            pass
        with pytest.raises(Unavailable):
            await webhook(server).send(BODY)

    @pytest.mark.parametrize("answer", [answers("500 Oops"), answers("404 No"), closes, hangs])
    async def test_no_message_has_the_path_of_the_url(self, answer):
        async with serving(answer) as server:
            with pytest.raises((Failed, Unavailable)) as failed:
                await webhook(server, timeout_s=0.2).send(BODY)
            assert SECRET not in str(failed.value)
            assert SECRET not in webhook(server).shown

    async def test_the_certificate_is_verified(self, tmp_path):
        certificates = issued(tmp_path, ["localhost"], "cn=x")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificates.server)
        async with serving(answers("200 OK"), context) as server:
            trusting = webhook(server, scheme="https", ca_file=str(certificates.ca), host="localhost")
            assert await trusting.send(BODY) == "200 OK"
            with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
                await webhook(server, scheme="https", host="localhost").send(BODY)
            with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
                await webhook(server, scheme="https", ca_file=str(certificates.ca)).send(BODY)


class TestCommand:
    async def test_it_gets_the_event_on_its_standard_input(self, tmp_path):
        file = tmp_path / "got"
        target = CommandTarget(("/bin/sh", "-c", f"cat >{file}"), 10.0)
        assert await target.send(BODY) == "ended with status 0"
        assert file.read_bytes() == BODY

    async def test_one_that_does_not_read_does_no_harm(self):
        await CommandTarget(("/bin/true",), 10.0).send(b"x" * 1_000_000)

    @pytest.mark.parametrize("script", ["exit 3", "kill -9 $$"])
    async def test_one_that_fails_is_run_again(self, script):
        with pytest.raises(Unavailable):
            await CommandTarget(("/bin/sh", "-c", script), 10.0).send(BODY)

    async def test_one_that_hangs_is_killed_in_time(self):
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await CommandTarget(("/bin/sleep", "600"), 0.2).send(BODY)
        assert time.monotonic() - began < 5

    async def test_one_that_is_not_there_is_run_again(self):
        with pytest.raises(Unavailable):
            await CommandTarget(("/nowhere/program",), 10.0).send(BODY)

    async def test_what_it_says_is_in_no_message(self):
        with pytest.raises(Unavailable) as failed:
            await CommandTarget((sys.executable, "-c", f"raise SystemExit('{SECRET}'.upper())"), 10.0).send(BODY)
        assert SECRET.upper() not in str(failed.value)
