"""The feed goes on where a search ended: what a cookie is good for, and when it is not believed."""

import asyncio
import contextlib
import time
from datetime import UTC, datetime, timedelta

import pytest

from relocd.adapters.ldap import feed
from relocd.sync.session import Cookie, Deleted, Present, PresentPhaseEnd, SearchLost, Started, SyncCookie, Upsert
from tests.adapters.ldap.lab import UNLIMITED, change, deleted, following, replaced, settings_for
from tests.lab.slapd.slapd import SUFFIX, Slapd, base_ldif, service_dn, service_ldif

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def slapd():
    with Slapd() as slapd:
        slapd.add(service_ldif("web", parameters={"port": "80"}))
        slapd.add(service_ldif("ntp"))
        yield slapd


@pytest.fixture
def impatient(monkeypatch):
    """Wait less for a provider that lags."""
    monkeypatch.setattr(feed, "_LAG_S", 0.4)


class TestFirst:
    """The first server is preferred: on a base server it is its own slapd."""

    async def test_it_carries_the_search_again_once_it_answers(self, slapd, monkeypatch):
        monkeypatch.setattr(feed, "_FIRST_AGAIN_S", 0.1)
        with Slapd() as first:
            first.add(service_ldif("web"))
            first.stop()
            async with following(settings_for(first.uri, slapd.uri)) as followed:
                await followed.refreshed()
                assert followed.feed.current_uri == slapd.uri
                first.start()
                await followed.refreshed(2)
                assert followed.feed.current_uri == first.uri

    async def test_the_search_stays_where_it_is_while_the_first_does_not_answer(self, slapd, monkeypatch):
        monkeypatch.setattr(feed, "_FIRST_AGAIN_S", 0.01)
        with Slapd() as first:
            first.stop()
            async with following(settings_for(first.uri, slapd.uri)) as followed:
                await followed.refreshed()
                await asyncio.sleep(0.3)
                slapd.add(service_ldif("dns"))
                await followed.until(lambda: "dns" in followed.names)
                assert len(followed.of(Started)) == 1


class TestResume:
    async def test_after_a_restart_only_changes_come(self, slapd):
        async with following(settings_for(slapd.uri)) as followed:
            await followed.refreshed()
            slapd.stop()
            await followed.until(lambda: followed.of(SearchLost))
            slapd.start()
            await followed.refreshed(2)
            assert Started(slapd.uri, fresh=False) in followed.events
            assert followed.since(SearchLost)[0] == Started(slapd.uri, fresh=False)
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
            slapd.add(service_ldif("web") + service_ldif("ntp") + service_ldif("dns"))
            async with following(settings_for(slapd.uri)) as followed:
                await followed.refreshed()
            slapd.stop()
            slapd.start()
            slapd.modify(deleted(service_dn("ntp")) + "\n" + replaced(service_dn("web"), "description", "x"))
            async with following(settings_for(slapd.uri), cookie=followed.cookie) as again:
                await again.refreshed()
        assert again.names == ["web"]
        assert PresentPhaseEnd() in again.events
        uuids = {event.entry.dn.name: event.entry.uuid for event in followed.of(Upsert)}
        present = {uuid for event in again.of(Present) for uuid in event.uuids}
        assert uuids["dns"] in present
        assert uuids["ntp"] not in present

    async def test_a_stale_cookie_leads_to_a_whole_refresh(self, slapd):
        past = "rid=000,csn=20010101000000.000000Z#000000#000#000000"
        async with following(settings_for(slapd.uri), cookie=past) as followed:
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

    @pytest.mark.parametrize(
        ("stamped", "provider"),
        [
            pytest.param(datetime.now, "000", id="restored from an old backup"),
            pytest.param(lambda _: datetime(2001, 1, 1, tzinfo=UTC), "007", id="has never heard of a provider"),
        ],
    )
    @pytest.mark.usefixtures("impatient")
    async def test_a_provider_that_knows_less_is_believed_after_a_while(self, slapd, stamped, provider):
        csn = csn_of(stamped(UTC), provider)
        started = time.monotonic()
        async with following(settings_for(slapd.uri), cookie=f"rid=000,csn={csn}") as followed:
            await followed.refreshed()
        assert time.monotonic() - started > 0.4, "first it may catch up"
        assert "must catch up" in followed.losses
        assert followed.of(Started) == [Started(slapd.uri, fresh=True)]
        assert csn not in followed.cookie, "what was known is forgotten"

    async def test_an_interrupted_refresh_starts_again_from_nothing(self):
        with Slapd(database_lines=UNLIMITED, durable=False) as slapd:
            slapd.add("".join(service_ldif(f"s{number}", description="x" * 4000) for number in range(3000)))
            async with following(settings_for(slapd.uri)) as followed:
                await followed.until(lambda: followed.of(Upsert))
                slapd.kill()
                await followed.until(lambda: followed.of(SearchLost))
                assert followed.events.index(followed.of(SearchLost)[0]) < 3000, "in the middle"
                slapd.start()
                await followed.refreshed()
            assert not any(isinstance(event, Cookie) for event in followed.events[:3000])
            assert {started.fresh for started in followed.of(Started)} == {True}
            assert len([event for event in followed.since(Started) if isinstance(event, Upsert)]) == 3000


class TestNumbersOfTheFuture:
    """The provider's clock was two hours ahead when an entry was written, and has been set right."""

    @pytest.fixture
    def ahead(self, slapd, tmp_path):
        slapd.stop()
        slapd.slapcat(tmp_path / "content.ldif")
        lines = (tmp_path / "content.ldif").read_text().replace("\n ", "").splitlines()
        later = csn_of(datetime.now(UTC) + timedelta(hours=2))
        begun = lines.index(f"dn: {service_dn('ntp')}")
        number = next(at for at, line in enumerate(lines) if at > begun and line.startswith("entryCSN:"))
        lines[number] = f"entryCSN: {later}"
        loaded = [line for line in lines if not line.startswith("contextCSN:")]
        (tmp_path / "content.ldif").write_text("\n".join(loaded) + "\n")
        slapd.wipe()
        slapd.slapadd(tmp_path / "content.ldif")
        slapd.start()
        return later

    async def test_a_cookie_of_the_future_is_not_sent(self, slapd, ahead):
        async with following(settings_for(slapd.uri)) as followed:
            await followed.refreshed()
        assert ahead in followed.cookie
        slapd.modify(replaced(service_dn("web"), "description", "changed meanwhile"))
        async with following(settings_for(slapd.uri), cookie=followed.cookie) as again:
            await again.refreshed()
        changed = [event.entry for event in again.of(Upsert) if event.entry.dn.name == "web"]
        assert [entry.attributes.get("description") for entry in changed] == [(b"changed meanwhile",)]

    async def test_a_change_with_an_older_number_makes_the_cookie_no_point_to_resume_from(self, slapd, ahead):
        """Also where this server's own clock does not show it."""
        async with following(settings_for(slapd.uri)) as followed:
            await followed.refreshed()
            assert followed.of(Cookie)[-1].resumable
            await change(slapd, replaced(service_dn("web"), "description", "now"))
            await followed.until(lambda: not followed.of(Cookie)[-1].resumable)
        assert ahead in followed.cookie

    @pytest.mark.usefixtures("ahead")
    async def test_what_was_written_while_the_provider_was_restarted_arrives(self, slapd):
        async with following(settings_for(slapd.uri, retry_min_s=600.0, retry_max_s=600.0)) as followed:
            await followed.refreshed()
            slapd.stop()
            await followed.until(lambda: followed.of(SearchLost))
            slapd.start()
            await change(slapd, replaced(service_dn("web"), "description", "meanwhile"))
            followed.feed.hurry()
            await followed.refreshed(2)
        assert any(event.entry.attributes.get("description") == (b"meanwhile",) for event in followed.of(Upsert))


class TestBaseBelowTheSuffix:
    """The provider says how far it is at the top of its database only."""

    @pytest.mark.usefixtures("impatient")
    async def test_one_that_lags_is_passed_over(self, slapd):
        settings = settings_for(slapd.uri, base=f"ou=services,{SUFFIX}")
        async with following(settings, cookie=f"rid=000,csn={csn_of(datetime.now(UTC))}") as followed:
            await followed.refreshed()
        assert "must catch up" in followed.losses
        assert followed.of(Started) == [Started(slapd.uri, fresh=True)]


def csn_of(at, provider="000"):
    return f"{at:%Y%m%d%H%M%S.%f}Z#000000#{provider}#000000"


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

    async def test_a_cookie_of_the_first_hides_none_of_its_changes_at_the_second(self, pair):
        """It names its author, and slapd would not tell the author its own changes."""
        first, second = pair
        async with following(settings_for(first.uri)) as followed:
            await followed.refreshed()
        async with following(settings_for(second.uri), cookie=followed.cookie) as again:
            await again.refreshed()
            await asyncio.to_thread(first.add, service_ldif("web"))
            await again.until(lambda: again.names == ["web"])

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
