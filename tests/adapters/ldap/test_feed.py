"""The feed against a real slapd: what is sent, in which batches, and how it ends."""

import asyncio
import contextlib
import threading
import time

import pytest

from relocd.adapters.ldap.feed import LdapFeed
from relocd.sync.session import Cookie, Deleted, RefreshDone, SearchLost, Started, SyncCookie, Upsert
from tests.adapters.ldap.lab import (
    SERVICES,
    UNLIMITED,
    Followed,
    change,
    deleted,
    following,
    renamed,
    replaced,
    settings_for,
)
from tests.lab.slapd.slapd import ROOT_DN, SUFFIX, Slapd, server_ldif, service_dn, service_ldif

pytestmark = pytest.mark.timeout(60)


EVERYTHING = "(objectClass=*)"


@pytest.fixture
def slapd():
    with Slapd() as slapd:
        slapd.add(service_ldif("web", parameters={"port": "80"}))
        slapd.add(service_ldif("ntp"))
        yield slapd


class TestRefreshAndPersist:
    async def test_the_first_refresh_names_what_the_filter_matches(self, slapd):
        async with following(settings_for(slapd.uri)) as followed:
            await followed.refreshed()
        assert followed.events[0] == Started(slapd.uri, fresh=True)
        assert followed.names == ["web", "ntp"]
        assert [type(event) for event in followed.events[-2:]] == [RefreshDone, Cookie]

    async def test_an_entry_is_whole(self, slapd):
        async with following(settings_for(slapd.uri)) as followed:
            await followed.refreshed()
        entry = followed.of(Upsert)[0].entry
        assert entry.dn.text == service_dn("web")
        assert entry.attributes == {
            "cn": (b"web",),
            "modifiersname": (ROOT_DN.encode(),),
            "objectclass": (b"relocService",),
            "relocparameter": (b"port=80",),
        }
        assert SyncCookie.of([entry.csn])
        assert len(entry.uuid) == 36

    async def test_changes_arrive_as_they_happen(self, slapd):
        async with following(settings_for(slapd.uri)) as followed:
            await followed.refreshed()
            web = followed.of(Upsert)[0].entry
            await change(slapd, replaced(service_dn("web"), "relocParameter", "port=81"))
            await followed.until(lambda: len(followed.of(Upsert)) == 3)
            assert followed.of(Upsert)[-1].entry.attributes["relocparameter"] == (b"port=81",)
            await change(slapd, renamed(service_dn("web"), "cn=www"))
            await followed.until(lambda: len(followed.of(Upsert)) == 4)
            assert (followed.of(Upsert)[-1].entry.uuid, followed.names[-1]) == (web.uuid, "www")
            await change(slapd, deleted(service_dn("www")))
            await followed.until(lambda: followed.of(Deleted))
            assert followed.of(Deleted) == [Deleted((web.uuid,))]
            await asyncio.to_thread(slapd.add, service_ldif("dns"))
            await followed.until(lambda: followed.names[-1] == "dns")
        assert followed.since(Deleted)[0].value > followed.of(Cookie)[0].value, "each change comes with its cookie"

    async def test_an_entry_that_matches_no_more_is_deleted(self, slapd):
        async with following(settings_for(slapd.uri), "(relocInterface=eth0)") as followed:
            await followed.refreshed()
            await change(slapd, replaced(service_dn("web"), "relocInterface", "eth0"))
            await followed.until(lambda: followed.names == ["web"])
            await change(slapd, replaced(service_dn("web"), "relocInterface", "eth1"))
            await followed.until(lambda: followed.of(Deleted))

    async def test_changes_that_the_filter_leaves_out_wake_nobody(self, slapd):
        """Their cookies come with the next event."""
        async with following(settings_for(slapd.uri)) as followed:
            await followed.refreshed()
            before = len(followed.batches)
            await asyncio.to_thread(slapd.add, "".join(server_ldif(f"node{number}") for number in range(50)))
            await change(slapd, replaced(service_dn("web"), "description", "x"))
            await followed.until(lambda: len(followed.names) == 3)
            assert len(followed.batches) == before + 1

    async def test_names_of_every_spelling_arrive(self, slapd):
        odd = ["a\\, b", "\\C3\\BC", "x+relocInterface=y", "\\23\\22q\\22"]
        async with following(settings_for(slapd.uri)) as followed:
            await followed.refreshed()
            for rdn in odd:
                dn = f"cn={rdn},ou=services,{SUFFIX}"
                await asyncio.to_thread(slapd.add, f"dn: {dn}\nobjectClass: relocService\n")
            await followed.until(lambda: len(followed.names) == 2 + len(odd))
        assert followed.names[2:] == ["a, b", "ü", "x", '#"q"']

    @pytest.mark.parametrize("starttls", [True, False], ids=["starttls", "ldaps"])
    async def test_nothing_stays_behind_in_the_buffers_of_tls(self, starttls):
        with Slapd(tls=True, durable=False, database_lines=UNLIMITED) as slapd:
            slapd.add("".join(service_ldif(f"s{number}", description="x" * (number + 1)) for number in range(1000)))
            uri = slapd.uri if starttls else slapd.ldaps_uri
            certificate, key = map(str, slapd.certificates.client)
            files = {"ca_file": str(slapd.certificates.ca), "cert_file": certificate, "key_file": key}
            async with following(settings_for(uri, starttls=starttls, bind="external", **files)) as followed:
                await followed.refreshed()
                assert len(followed.names) == 1000
                for number in range(20):
                    await change(slapd, replaced(service_dn(f"s{number}"), "description", "y" * 20_000))
                    await followed.until(lambda number=number: followed.names[-1] == f"s{number}", deadline_s=2)

    async def test_a_referral_is_passed_over(self, slapd):
        slapd.add(
            f"dn: ou=far,{SUFFIX}\nobjectClass: referral\nobjectClass: extensibleObject\nref: ldap://far.invalid\n"
        )
        async with following(settings_for(slapd.uri), EVERYTHING) as followed:
            await followed.refreshed()
            await change(slapd, replaced(service_dn("web"), "description", "x"))
            await followed.until(lambda: followed.since(RefreshDone)[1:])
        assert "far" not in followed.names


class TestThread:
    async def test_closing_is_prompt_and_ends_the_thread(self, slapd):
        async with following(settings_for(slapd.uri)) as followed:
            await followed.refreshed()
            started = time.monotonic()
            await followed.feed.aclose()
            assert time.monotonic() - started < 0.5
        assert "ldap-feed" not in {thread.name for thread in threading.enumerate()}

    async def test_closing_waits_for_no_hung_server(self, slapd):
        slapd.pause()
        async with following(settings_for(slapd.uri, operation_timeout_s=3.0)) as followed:
            await asyncio.sleep(0.1)
            started = time.monotonic()
            await followed.feed.aclose()
            assert time.monotonic() - started < 2.0
        slapd.resume()

    async def test_closing_while_all_are_dead_is_prompt(self):
        async with following(settings_for("ldap://127.0.0.1:1", retry_min_s=30, retry_max_s=60)) as followed:
            await followed.until(lambda: followed.of(SearchLost))
            started = time.monotonic()
            await followed.feed.aclose()
            assert time.monotonic() - started < 0.5

    async def test_a_feed_that_was_never_begun_is_closed(self, slapd):
        async with LdapFeed(settings_for(slapd.uri), SERVICES) as feed:
            assert feed.current_uri is None

    async def test_a_cancelled_consumer_ends_it(self, slapd):
        feed, followed = LdapFeed(settings_for(slapd.uri), SERVICES), Followed()
        task = asyncio.create_task(followed.take(feed))
        await followed.refreshed()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await feed.aclose()
        assert "ldap-feed" not in {thread.name for thread in threading.enumerate()}

    async def test_a_bug_in_the_thread_is_raised_in_the_loop(self, slapd):
        feed = LdapFeed(settings_for(slapd.uri), "(objectClass=*)", begin=lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            async for _ in feed.batches():
                pass
        await feed.aclose()

    async def test_many_entries_come_in_few_batches(self):
        with Slapd(durable=False) as slapd:
            slapd.add("".join(service_ldif(f"s{number}") for number in range(3000)))
            async with following(settings_for(slapd.ldapi_uri, bind="external")) as followed:
                await followed.refreshed()
            assert len(followed.of(Upsert)) == 3000
            assert len(followed.batches) <= 6
