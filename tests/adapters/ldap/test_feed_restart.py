"""A search that is begun anew with another filter, and the heartbeat that comes back through it from a real slapd."""

import asyncio
import contextlib
import time

import pytest

from relocd.adapters.ldap.feed import LdapFeed
from relocd.agent.liveness.heartbeat import Heartbeat
from relocd.model.dn import DN
from relocd.model.parse import search_filter
from relocd.model.settings import HandoverSettings
from relocd.model.status import StatusReport
from relocd.sync.session import RefreshDone, SearchLost, Started, Upsert
from tests.adapters.ldap.lab import DEADLINE_S, change, following, renamed, replaced, settings_for
from tests.adapters.ldap.writer_lab import directory, writer_for
from tests.lab.slapd.ldif import record
from tests.lab.slapd.slapd import Slapd, base_ldif, server_dn, server_ldif
from tests.support.fake_records import FakeHeartbeatRecord
from tests.support.fakes import until

pytestmark = pytest.mark.timeout(60)

NODE1, NODE2, MOVED = (DN.parse(server_dn(name)) for name in ("node1", "node2", "moved"))


def status_dn(server):
    return server.below("cn=status").text


def status_ldif(server, heartbeat):
    return record(status_dn(server), {"objectClass": "relocServerStatus", "relocHeartbeat": heartbeat})


def beat(server, number):
    """The n-th heartbeat of a server."""
    return replaced(status_dn(server), "relocHeartbeat", f"2026010100000{number}.0Z")


CONTENT = "".join(
    [
        base_ldif(),
        *(server_ldif(name) for name in ("node1", "node2")),
        *(status_ldif(server, "20260101000000.0Z") for server in (NODE1, NODE2)),
    ]
)


@pytest.fixture
def slapd():
    with Slapd(content=CONTENT, durable=False) as slapd:
        yield slapd


def beats(followed):
    """The heartbeats that were seen, each by its server and its last digit before the point."""
    entries = (event.entry for event in followed.of(Upsert))
    return [
        (entry.dn.parent.name, entry.attributes["relocheartbeat"][0].decode()[13])
        for entry in entries
        if "relocheartbeat" in entry.attributes
    ]


ALL = {"relocd", "servers", "services", "clusters", "node1", "node2", "status"}


class TestFilter:
    async def test_of_all_statuses_only_the_own_is_followed(self, slapd):
        async with following(settings_for(slapd.uri), search_filter(NODE1)) as followed:
            await followed.refreshed()
            assert set(followed.names) == ALL
            await change(slapd, beat(NODE2, 1), beat(NODE1, 1))
            await followed.until(lambda: ("node1", "1") in beats(followed))
        assert beats(followed) == [("node1", "0"), ("node1", "1")]

    async def test_begun_anew_it_follows_what_the_new_filter_matches_and_no_more_the_old(self, slapd):
        async with following(settings_for(slapd.uri), search_filter(NODE1)) as followed:
            await followed.refreshed()
            followed.feed.restart(search_filter(NODE2))
            await followed.refreshed(2)
            await change(slapd, beat(NODE1, 1), beat(NODE2, 1))
            await followed.until(lambda: ("node2", "1") in beats(followed))
        assert ("node1", "1") not in beats(followed)

    async def test_after_a_rename_the_own_status_is_followed_by_its_new_name(self, slapd):
        async with following(settings_for(slapd.uri), search_filter(NODE1)) as followed:
            await followed.refreshed()
            await change(slapd, renamed(NODE1.text, "cn=moved"))
            await followed.until(lambda: "moved" in followed.names)
            followed.feed.restart(search_filter(MOVED))
            await followed.refreshed(2)
            await change(slapd, beat(MOVED, 1))
            await followed.until(lambda: ("moved", "1") in beats(followed))

    @pytest.mark.parametrize("name", ["cn=rack (7)", "cn=a*", "cn=a\\2Cb", "cn=a\\\\b", "cn=ü"])
    async def test_a_name_that_needs_escapes_is_followed(self, slapd, name):
        odd = DN.parse(f"{name},{NODE1.parent}")
        slapd.add(record(odd.text, {"objectClass": ("device", "relocServer")}))
        slapd.add(status_ldif(odd, "20260101000000.0Z"))
        async with following(settings_for(slapd.uri), search_filter(odd)) as followed:
            await followed.refreshed()
            await change(slapd, beat(odd, 1))
            await followed.until(lambda: (odd.name, "1") in beats(followed))
        assert beats(followed) == [(odd.name, "0"), (odd.name, "1")]


class TestRestart:
    async def test_it_is_prompt_and_goes_on_from_the_cookie(self, slapd):
        async with following(settings_for(slapd.uri), search_filter(NODE1)) as followed:
            await followed.refreshed()
            started = time.monotonic()
            followed.feed.restart(search_filter(NODE1))
            await followed.refreshed(2)
            assert time.monotonic() - started < 1.0
        assert [event.fresh for event in followed.of(Started)] == [True, False]
        assert followed.present == ALL
        assert "restarted by the agent" in followed.losses

    async def test_fresh_it_reads_everything_again_and_only_that_time(self, slapd):
        async with following(settings_for(slapd.uri), search_filter(NODE1)) as followed:
            await followed.refreshed()
            followed.feed.restart(search_filter(NODE1), fresh=True)
            await followed.refreshed(2)
            followed.feed.restart(search_filter(NODE1))
            await followed.refreshed(3)
        assert [event.fresh for event in followed.of(Started)] == [True, True, False]

    async def test_several_at_once_end_on_the_last_filter(self, slapd):
        async with following(settings_for(slapd.uri), search_filter(NODE1)) as followed:
            await followed.refreshed()
            for server in (NODE2, NODE1, NODE2):
                followed.feed.restart(search_filter(server))
            await followed.refreshed(2)
            await change(slapd, beat(NODE1, 1), beat(NODE2, 1))
            await followed.until(lambda: ("node2", "1") in beats(followed))
        assert ("node1", "1") not in beats(followed)

    async def test_while_no_server_answers_it_counts_for_the_next_search(self, slapd):
        async with following(settings_for(slapd.uri), search_filter(NODE1)) as followed:
            await followed.refreshed()
            slapd.stop()
            await followed.until(lambda: followed.of(SearchLost))
            followed.feed.restart(search_filter(NODE2))
            slapd.start()
            await followed.until(lambda: len(followed.of(RefreshDone)) >= 2)
            await change(slapd, beat(NODE1, 1), beat(NODE2, 1))
            await followed.until(lambda: ("node2", "1") in beats(followed))
        assert ("node1", "1") not in beats(followed)

    async def test_after_the_end_it_does_nothing(self, slapd):
        async with following(settings_for(slapd.uri), search_filter(NODE1)) as followed:
            await followed.refreshed()
            await followed.feed.aclose()
            followed.feed.restart(search_filter(NODE2))


class TestHeartbeat:
    """`Heartbeat`, the writer, slapd, the search and back."""

    LEASE = HandoverSettings(lease_s=2.0)

    @contextlib.asynccontextmanager
    async def beating(self, slapd):
        """A pulse and what has happened to it: `missed` and confirmed heartbeats."""
        happened = []
        writer = writer_for(slapd)
        async with writer, LdapFeed(settings_for(slapd.uri), search_filter(NODE1)) as feed, asyncio.timeout(30):
            pulse = Heartbeat(writer, self.LEASE, FakeHeartbeatRecord())

            def missed():
                happened.append("missed")
                feed.restart(search_filter(NODE1))

            async def hear():
                async for batch in feed.batches():
                    for event in batch:
                        if isinstance(event, Upsert) and event.entry.dn.text == status_dn(NODE1):
                            happened.extend(["confirmed"] * pulse.confirm(event.entry, None))

            tasks = [
                asyncio.create_task(pulse.run(lambda: NODE1, StatusReport, missed, lambda: None)),
                asyncio.create_task(hear()),
            ]
            try:
                yield pulse, happened
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def test_it_comes_back_again_and_again_and_keeps_the_lease(self):
        with directory() as slapd:
            async with self.beating(slapd) as (pulse, happened):
                await until(lambda: happened.count("confirmed") >= 4, DEADLINE_S)
                assert pulse.problem == ""
                assert pulse.is_current(time.monotonic())
                now_s = pulse.clock.now_s(time.monotonic())
                assert now_s == pytest.approx(time.time(), abs=1.0)
            assert "missed" not in happened

    async def test_while_the_server_hangs_the_lease_runs_out_and_afterwards_it_is_renewed(self):
        with directory() as slapd:
            async with self.beating(slapd) as (pulse, happened):
                await until(lambda: "confirmed" in happened, DEADLINE_S)
                slapd.pause()
                await until(lambda: not pulse.is_current(time.monotonic()), DEADLINE_S)
                assert pulse.problem
                slapd.resume()
                await until(lambda: pulse.is_current(time.monotonic()), DEADLINE_S)
                assert not pulse.is_steady(time.monotonic(), "")
