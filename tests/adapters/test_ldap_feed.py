"""The feed against a real slapd: what is sent, what survives which failure, and that nothing false is ever said."""

import asyncio
import contextlib
import threading
import time

import pytest

from relocd.adapters.ldap_feed import LdapFeed
from relocd.sync.cookie import SyncCookie
from relocd.sync.events import Cookie, Deleted, Lost, Present, PresentPhaseEnd, RefreshDone, Started, Upsert
from tests.adapters.ldap_lab import SERVICES, Followed, following, settings_for
from tests.lab.slapd import SUFFIX, Slapd, base_ldif, server_ldif, service_dn, service_ldif

pytestmark = pytest.mark.timeout(60)

EVERYTHING = "(objectClass=*)"


@pytest.fixture
def slapd():
    with Slapd() as slapd:
        slapd.add(service_ldif("web", parameters={"port": "80"}))
        slapd.add(service_ldif("ntp"))
        yield slapd


def replaced(dn, name, value):
    return f"dn: {dn}\nchangetype: modify\nreplace: {name}\n{name}: {value}\n"


def renamed(dn, rdn):
    return f"dn: {dn}\nchangetype: modrdn\nnewrdn: {rdn}\ndeleteoldrdn: 1\n"


def deleted(dn):
    return f"dn: {dn}\nchangetype: delete\n"


async def change(slapd, *ldifs):
    await asyncio.to_thread(slapd.modify, "\n".join(ldifs))


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

    async def test_a_referral_is_passed_over(self, slapd):
        slapd.add(
            f"dn: ou=far,{SUFFIX}\nobjectClass: referral\nobjectClass: extensibleObject\nref: ldap://far.invalid\n"
        )
        async with following(settings_for(slapd.uri), EVERYTHING) as followed:
            await followed.refreshed()
            await change(slapd, replaced(service_dn("web"), "description", "x"))
            await followed.until(lambda: followed.since(RefreshDone)[1:])
        assert "far" not in followed.names


class TestResume:
    async def test_after_a_restart_only_changes_come(self, slapd):
        async with following(settings_for(slapd.uri)) as followed:
            await followed.refreshed()
            slapd.stop()
            await followed.until(lambda: followed.of(Lost))
            slapd.start()
            await followed.refreshed(2)
            assert Started(slapd.uri, fresh=False) in followed.events
            assert followed.since(Lost)[0] == Started(slapd.uri, fresh=False)
            assert len(followed.names) == 2, "nothing was sent again"

    async def test_a_stored_cookie_is_used(self, slapd):
        async with following(settings_for(slapd.uri)) as followed:
            await followed.refreshed()
        slapd.add(service_ldif("dns"))
        slapd.modify(deleted(service_dn("ntp")))
        async with following(settings_for(slapd.uri), cookie=followed.cookie) as again:
            await again.refreshed()
        assert again.events[0] == Started(slapd.uri, fresh=False)
        assert again.names == ["dns"]
        assert len(again.of(Deleted)) == 1

    async def test_a_provider_with_a_number_tells_its_own_changes(self):
        """Its cookies name it; sent back as they are, they would make it leave out its own changes."""
        with Slapd(server_id=1) as slapd:
            slapd.add(service_ldif("web"))
            async with following(settings_for(slapd.uri)) as followed:
                await followed.refreshed()
            slapd.add(service_ldif("dns"))
            async with following(settings_for(slapd.uri), cookie=followed.cookie) as again:
                await again.refreshed()
                await asyncio.to_thread(slapd.add, service_ldif("ntp"))
                await again.until(lambda: again.names == ["dns", "ntp"])
        assert "sid=" not in again.cookie

    async def test_without_a_session_log_the_present_phase_names_the_rest(self):
        with Slapd(session_log=0) as slapd:
            for name in ("web", "ntp", "dns"):
                slapd.add(service_ldif(name))
            async with following(settings_for(slapd.uri)) as followed:
                await followed.refreshed()
                slapd.stop()
                await followed.until(lambda: followed.of(Lost))
                slapd.start()
                slapd.modify(deleted(service_dn("ntp")) + "\n" + replaced(service_dn("web"), "description", "x"))
                await followed.refreshed(2)
            assert followed.present >= {"web", "dns"}
            assert PresentPhaseEnd() in followed.since(Started)
            gone = next(event.entry.uuid for event in followed.of(Upsert) if event.entry.dn.name == "ntp")
            assert gone not in {uuid for event in followed.of(Present) for uuid in event.uuids}

    @pytest.mark.parametrize(
        "cookie",
        [
            pytest.param("rid=000,csn=20010101000000.000000Z#000000#000#000000", id="from the past"),
            pytest.param("rid=000,csn=20010101000000.000000Z#000000#007#000000", id="of another provider"),
        ],
    )
    async def test_a_stale_cookie_leads_to_a_whole_refresh(self, slapd, cookie):
        async with following(settings_for(slapd.uri), cookie=cookie) as followed:
            await followed.refreshed()
        assert sorted(followed.names) == ["ntp", "web"]
        assert PresentPhaseEnd() in followed.events, "so that what is kept from before and gone is found"

    async def test_a_bogus_cookie_is_never_sent(self, slapd):
        """slapd would answer it with a refresh that deletes nothing."""
        async with following(settings_for(slapd.uri), cookie="nonsense") as followed:
            await followed.refreshed()
        assert followed.events[0] == Started(slapd.uri, fresh=True)

    async def test_a_refused_cookie_is_dropped_at_once(self):
        with Slapd(database_lines=[]) as slapd:
            slapd.add(service_ldif("web"))
            hint = "dn: olcOverlay={0}syncprov,olcDatabase={1}mdb,cn=config\nchangetype: modify\n"
            slapd.modify(
                hint
                + "replace: olcSpReloadHint\nolcSpReloadHint: TRUE\n-\nreplace: olcSpSessionlog\nolcSpSessionlog: 0\n"
            )
            stale = "rid=000,csn=20010101000000.000000Z#000000#000#000000"
            async with following(settings_for(slapd.uri), cookie=stale) as followed:
                await followed.refreshed()
            assert "sync cookie is stale" in followed.losses
            assert followed.of(Started) == [Started(slapd.uri, fresh=False), Started(slapd.uri, fresh=True)]
            assert followed.names == ["web"]

    async def test_a_provider_that_knows_less_is_believed_after_a_while(self, slapd):
        """A cookie from the future stands for a provider that was restored from an old backup."""
        future = "rid=000,csn=20990101000000.000000Z#000000#000#000000"
        started = time.monotonic()
        async with following(settings_for(slapd.uri), cookie=future) as followed:
            await followed.refreshed()
        assert time.monotonic() - started > 2.5, "first it may catch up"
        assert "lags behind" in followed.losses
        assert followed.of(Started) == [Started(slapd.uri, fresh=True)]
        assert SyncCookie.parse(future).is_ahead_of(SyncCookie.parse(followed.cookie)), "what was known is forgotten"

    async def test_an_interrupted_refresh_starts_again_from_the_last_whole_one(self):
        with Slapd(session_log=0, durable=False) as slapd:
            slapd.add("".join(service_ldif(f"s{number}") for number in range(1500)))
            async with following(settings_for(slapd.uri)) as followed:
                while not followed.of(Upsert):
                    await asyncio.sleep(0)
                slapd.kill()
                await followed.until(lambda: followed.of(Lost))
                assert followed.of(RefreshDone) == [] or len(followed.of(Upsert)) == 1500
                slapd.start()
                await followed.refreshed(1 + len(followed.of(RefreshDone)))
            assert len({event.entry.uuid for event in followed.of(Upsert)}) == 1500


class TestFailures:
    async def test_a_killed_server_is_noticed_and_found_again(self, slapd):
        async with following(settings_for(slapd.uri)) as followed:
            await followed.refreshed()
            slapd.kill()
            await followed.until(lambda: followed.of(Lost))
            assert followed.feed.current_uri is None
            slapd.start()
            await followed.refreshed(2)
            assert followed.feed.current_uri == slapd.uri
            await asyncio.to_thread(slapd.add, service_ldif("dns"))
            await followed.until(lambda: followed.names[-1] == "dns")

    async def test_a_crash_that_loses_the_newest_number_is_survived(self, slapd):
        """The last change before the crash was a deletion: afterwards slapd knows of no change as new as the cookie."""
        async with following(settings_for(slapd.uri)) as followed:
            await followed.refreshed()
            await change(slapd, deleted(service_dn("ntp")))
            await followed.until(lambda: followed.of(Deleted))
            slapd.kill()
            slapd.start()
            await followed.refreshed(2)
            await asyncio.to_thread(slapd.add, service_ldif("dns"))
            await followed.until(lambda: followed.names[-1] == "dns")

    async def test_a_paused_server_is_noticed(self, slapd):
        settings = settings_for(slapd.uri, silence_timeout_s=0.3, operation_timeout_s=0.3)
        async with following(settings) as followed:
            await followed.refreshed()
            slapd.pause()
            await followed.until(lambda: "it hangs" in followed.losses)
            slapd.resume()
            await followed.refreshed(2)

    async def test_a_server_that_hangs_in_the_middle_of_a_refresh_is_noticed(self):
        """What is left in the buffers ends within a message."""
        with Slapd(durable=False) as slapd:
            slapd.add("".join(service_ldif(f"s{number}", description="x" * 9000) for number in range(2000)))
            settings = settings_for(slapd.uri, silence_timeout_s=0.3, operation_timeout_s=0.3)
            async with following(settings) as followed:
                await followed.until(lambda: followed.of(Upsert))
                slapd.pause()
                await followed.until(lambda: followed.of(Lost))
                assert not followed.of(RefreshDone)
                slapd.resume()
                await followed.refreshed()

    async def test_a_quiet_server_is_asked_and_kept(self, slapd):
        async with following(settings_for(slapd.uri, silence_timeout_s=0.05)) as followed:
            await followed.refreshed()
            await asyncio.sleep(0.4)
            assert not followed.of(Lost)

    async def test_an_empty_server_says_nothing(self, slapd):
        async with following(settings_for(slapd.uri)) as followed:
            await followed.refreshed()
            slapd.stop()
            slapd.wipe()
            slapd.start()
            await followed.until(lambda: "not yet loaded" in followed.losses)
            assert not followed.of(Deleted)
            assert len(followed.of(RefreshDone)) == 1
            await asyncio.to_thread(slapd.add, base_ldif() + service_ldif("new"))
            await followed.refreshed(2)
            await followed.until(lambda: followed.names[-1] == "new")

    async def test_a_search_that_the_server_ends_is_started_again(self, slapd):
        """Deleting the base ends the search."""
        async with following(settings_for(slapd.uri)) as followed:
            await followed.refreshed()
            folders = [f"ou={name},{SUFFIX}" for name in ("servers", "services", "clusters")]
            await change(slapd, *map(deleted, [service_dn("web"), service_dn("ntp"), *folders, SUFFIX]))
            await followed.until(lambda: followed.of(Lost))
            await asyncio.to_thread(slapd.add, base_ldif() + service_ldif("web"))
            await followed.refreshed(2)

    async def test_the_second_server_is_used_when_the_first_is_dead(self, slapd):
        async with following(settings_for("ldap://127.0.0.1:1", slapd.uri)) as followed:
            await followed.refreshed()
            assert followed.feed.current_uri == slapd.uri
        assert followed.events[0] == Started(slapd.uri, fresh=True)
        assert not followed.of(Lost)

    async def test_every_server_is_named_when_all_are_dead(self):
        async with following(settings_for("ldap://127.0.0.1:1", "ldap://127.0.0.1:2")) as followed:
            await followed.until(lambda: len(followed.of(Lost)) >= 3)
        assert "ldap://127.0.0.1:1" in followed.of(Lost)[0].reason
        assert "ldap://127.0.0.1:2" in followed.of(Lost)[0].reason

    async def test_a_wrong_password_is_said_and_tried_again(self, slapd, tmp_path):
        secret = tmp_path / "password"
        secret.write_text("wrong\n")
        secret.chmod(0o600)
        settings = settings_for(slapd.uri, bind="simple", bind_dn=f"cn=admin,{SUFFIX}", password_file=str(secret))
        async with following(settings) as followed:
            await followed.until(lambda: "password_file" in followed.losses)
            secret.write_text("secret\n")
            await followed.refreshed()

    async def test_a_size_limit_is_named(self):
        with Slapd(database_lines=["limits anonymous size=3"]) as slapd:
            slapd.add("".join(service_ldif(f"s{number}") for number in range(10)))
            async with following(settings_for(slapd.uri)) as followed:
                await followed.until(lambda: "size=unlimited" in followed.losses)
            assert not followed.of(RefreshDone)

    async def test_a_server_without_the_overlay_is_named(self):
        with Slapd() as slapd:
            async with following(settings_for(slapd.uri, base="cn=config")) as followed:
                await followed.until(lambda: followed.of(Lost))
        assert "syncprov" in followed.losses or "not yet loaded" in followed.losses


class TestTwoProviders:
    """Two providers replicate each other; changes of both arrive from either."""

    @pytest.fixture
    def pair(self):
        with contextlib.ExitStack() as stack:
            slapds = [stack.enter_context(Slapd(server_id=number, content="")) for number in (1, 2)]
            for slapd in slapds:
                others = [other for other in slapds if other is not slapd]
                slapd.modify(
                    "dn: olcDatabase={1}mdb,cn=config\nchangetype: modify\nadd: olcSyncrepl\n"
                    f'olcSyncrepl: rid=001 provider={others[0].uri} searchbase="{SUFFIX}" type=refreshAndPersist\n'
                    f'  bindmethod=simple binddn="cn=admin,{SUFFIX}" credentials=secret retry="1 +"\n'
                    "-\nadd: olcMultiProvider\nolcMultiProvider: TRUE\n"
                )
            slapds[0].add(base_ldif())
            yield slapds

    async def test_changes_of_both_arrive_and_the_cookie_covers_both(self, pair):
        first, second = pair
        async with following(settings_for(second.uri)) as followed:
            await followed.refreshed()
            await asyncio.to_thread(first.add, service_ldif("from-first"))
            await followed.until(lambda: "from-first" in followed.names)
            await asyncio.to_thread(second.add, service_ldif("from-second"))
            await followed.until(lambda: "from-second" in followed.names)
            await followed.until(lambda: len(SyncCookie.parse(followed.cookie).csns) == 2)
        await asyncio.to_thread(first.add, service_ldif("later"))
        async with following(settings_for(second.uri), cookie=followed.cookie) as again:
            await again.until(lambda: again.names == ["later"])

    async def test_the_other_provider_goes_on_where_the_first_ended(self, pair):
        first, second = pair
        async with following(settings_for(first.uri, second.uri)) as followed:
            await followed.refreshed()
            await asyncio.to_thread(first.add, service_ldif("web"))
            await followed.until(lambda: followed.names == ["web"])
            async with following(settings_for(second.uri)) as other:
                await other.until(lambda: other.names == ["web"])
            first.kill()
            await followed.until(lambda: followed.feed.current_uri == second.uri)
            await asyncio.to_thread(second.add, service_ldif("ntp"))
            await followed.until(lambda: followed.names == ["web", "ntp"])
            assert not followed.of(Deleted)

    async def test_a_provider_that_lags_is_waited_for(self, pair):
        """What only the first provider has so far must not look deleted when the second is asked."""
        first, second = pair
        async with following(settings_for(second.uri)) as other:
            await other.refreshed()
            second.pause()
            await asyncio.to_thread(first.add, service_ldif("web"))
            async with following(settings_for(first.uri)) as followed:
                await followed.until(lambda: followed.names == ["web"])
            second.resume()
        async with following(settings_for(second.uri), cookie=followed.cookie) as again:
            await again.refreshed()
        assert again.of(Started)[-1] == Started(second.uri, fresh=False)
        assert not again.of(Deleted)


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
            await followed.until(lambda: followed.of(Lost))
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
        feed = LdapFeed(settings_for(slapd.uri), None)
        with pytest.raises(Exception, match="str"):
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
