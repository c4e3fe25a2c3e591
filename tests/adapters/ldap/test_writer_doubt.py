"""Writes that get no answer from a real slapd: nobody says more than they know, and the connection starts anew."""

import asyncio
import time
from pathlib import Path
from socket import SHUT_WR

import pytest

from relocd.adapters.ldap.writer import LdapWriter
from relocd.errors import Failed, Unavailable
from relocd.model.writes import Add, Done, Increment, Lost, Modification, Unknown
from tests.adapters.ldap.lab import settings_for
from tests.adapters.ldap.writer_lab import (
    DEAD,
    NODES,
    STATE,
    directory,
    socket_of,
    state,
    take,
    writer_for,
    writer_settings,
)

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def slapd():
    with directory() as slapd:
        yield slapd


async def arrived(slapd):
    """Wait until a paused slapd has something unread on one of its connections."""
    end = time.monotonic() + 10.0
    while not any(unread(int(slapd.uri.rpartition(":")[2]))):
        assert time.monotonic() < end, "the request has not arrived"
        await asyncio.sleep(0.001)


def unread(port):
    """The length of each receive queue of the established connections to a local port: proc_pid_net(5)."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    for _, local, _, status, queues, *_ in rows:
        if local.endswith(f":{port:04X}") and status == "01":
            yield int(queues.partition(":")[2], 16)


class TestDoubt:
    """Who has sent a write and got no answer knows nothing, and says so."""

    async def test_a_server_that_hangs(self, slapd):
        """Whether slapd carries it out when it wakes up is open; what is read then decides, and it settles."""
        async with writer_for(slapd, operation_timeout_s=0.3) as writer:
            assert await writer.apply(take(NODES[0], NODES[1])) == Done()
            slapd.pause()
            started = time.monotonic()
            outcome = await writer.apply(take(NODES[1], NODES[2]))
            assert time.monotonic() - started < 2.0
            assert isinstance(outcome, Unknown)
            assert started <= outcome.sent_at < started + 0.3
            assert f"{slapd.uri}: modify {STATE}: " in outcome.reason
            assert "does not answer in time" in outcome.reason
            with pytest.raises(Unavailable):
                await writer.apply(take(NODES[1], NODES[2]))
            slapd.resume()
            # The same swap again is harmless whatever became of the first: one of the two has lost.
            again = await writer.apply(take(NODES[1], NODES[2]))
            assert isinstance(again, Done | Lost)
            assert await state(slapd) == (NODES[2], 9)

    async def test_a_write_that_takes_away_what_the_doubtful_one_compares_with_settles_it(self, slapd):
        """A read alone does not: slapd may answer it first, and write then."""
        async with writer_for(slapd, operation_timeout_s=0.3) as writer:
            assert await writer.apply(take(NODES[0], NODES[1])) == Done()
            slapd.pause()
            doubtful = await writer.apply(take(NODES[1], NODES[2], "(relocGeneration=8)"))
            assert isinstance(doubtful, Unknown)
            slapd.resume()
            fence = Modification(STATE, (Increment("relocGeneration"),), "(relocGeneration=8)")
            happened = isinstance(await writer.apply(fence), Lost)
            for _ in range(20):
                assert await state(slapd) == (NODES[2] if happened else NODES[1], 9)

    async def test_a_server_that_dies_with_the_request(self, slapd):
        async with writer_for(slapd, operation_timeout_s=10.0) as writer:
            assert await writer.apply(take(NODES[0], NODES[1])) == Done()
            slapd.pause()
            write = asyncio.create_task(writer.apply(take(NODES[1], NODES[2])))
            await arrived(slapd)
            slapd.kill()
            outcome = await write
            assert isinstance(outcome, Unknown)
            slapd.start()
            assert await state(slapd) == (NODES[1], 8)
            assert await writer.apply(take(NODES[1], NODES[2])) == Done()

    async def test_a_cancelled_write_goes_on(self, slapd):
        async with writer_for(slapd, operation_timeout_s=10.0) as writer:
            assert await writer.apply(take(NODES[0], NODES[1])) == Done()
            slapd.pause()
            write = asyncio.create_task(writer.apply(take(NODES[1], NODES[2])))
            await arrived(slapd)
            write.cancel()
            with pytest.raises(asyncio.CancelledError):
                await write
            slapd.resume()
            assert await writer.apply(take(NODES[2], NODES[3])) == Done()
            assert await state(slapd) == (NODES[3], 10)


class TestConnection:
    async def test_nothing_is_sent_without_a_connection(self):
        uris = (DEAD, "ldap://127.0.0.1:2")
        async with LdapWriter(settings_for(*uris), lambda: None) as writer:
            with pytest.raises(Unavailable, match=r"127.0.0.1:1: .*; ldap://127.0.0.1:2: "):
                await writer.apply(take(NODES[0], NODES[1]))

    async def test_what_could_not_be_sent_is_not_written(self, slapd):
        async with writer_for(slapd, operation_timeout_s=0.3) as writer:
            assert await writer.apply(take(NODES[0], NODES[1])) == Done()
            slapd.pause()  # so that it does not answer with its own end of the connection
            with socket_of(writer) as same:
                same.shutdown(SHUT_WR)
            with pytest.raises(Unavailable):
                await writer.apply(take(NODES[1], NODES[2]))
            slapd.resume()
            assert await state(slapd) == (NODES[1], 8)
            assert await writer.apply(take(NODES[1], NODES[2])) == Done()

    async def test_a_connection_that_ended_in_between_leaves_no_doubt(self, slapd):
        async with writer_for(slapd) as writer:
            assert await writer.apply(take(NODES[0], NODES[1])) == Done()
            slapd.kill()
            with pytest.raises(Unavailable):
                await writer.apply(take(NODES[1], NODES[2]))
            slapd.start()
            assert await writer.apply(take(NODES[1], NODES[2])) == Done()
            slapd.kill()
            slapd.start()
            assert await writer.apply(take(NODES[2], NODES[3])) == Done()

    @pytest.mark.parametrize("kind", ["uri", "ldaps_uri", "ldapi_uri"])
    async def test_one_connection_serves_many_writes(self, kind):
        with directory(tls=True) as slapd:
            async with writer_for(slapd, getattr(slapd, kind), ca_file=str(slapd.certificates.ca)) as writer:
                assert await writer.apply(take(NODES[0], NODES[1])) == Done()
                connection = writer._kept.get()
                for _ in range(5):
                    assert await writer.apply(Modification(STATE, (Increment("relocGeneration"),))) == Done()
                assert writer._kept.get() is connection

    async def test_a_refused_write_ends_its_connection(self, slapd):
        async with writer_for(slapd) as writer:
            with pytest.raises(Failed):
                await writer.apply(Modification(STATE, (Add("relocNonsense", (b"1",)),)))
            assert not writer._kept.is_open

    async def test_the_server_whose_search_is_followed_is_written_to_and_no_other(self, slapd):
        async with writer_for(slapd, current=DEAD) as writer:
            with pytest.raises(Unavailable, match=r"ldap://127\.0\.0\.1:1"):
                await writer.apply(take(NODES[0], NODES[1]))
        assert await state(slapd) == (NODES[0], 7)

    async def test_it_moves_with_the_search(self, slapd):
        with directory() as other:
            current = [slapd.uri]
            async with LdapWriter(writer_settings(slapd, slapd.uri, other.uri), lambda: current[0]) as writer:
                assert await writer.apply(take(NODES[0], NODES[1])) == Done()
                current[0] = other.uri
                assert await writer.apply(take(NODES[0], NODES[2])) == Done()
            assert (await state(slapd), await state(other)) == ((NODES[1], 8), (NODES[2], 8))

    async def test_closing_waits_for_nothing(self, slapd):
        writer = writer_for(slapd, operation_timeout_s=10.0)
        assert await writer.apply(take(NODES[0], NODES[1])) == Done()
        slapd.pause()
        write = asyncio.create_task(writer.apply(take(NODES[1], NODES[2])))
        await arrived(slapd)
        started = time.monotonic()
        await writer.aclose()
        assert time.monotonic() - started < 0.5
        slapd.resume()
        assert await write == Done()

    async def test_a_writer_that_was_never_used_is_closed(self):
        await LdapWriter(settings_for(DEAD), lambda: None).aclose()
