"""The feed when its server fails: noticed, named, found again, and nothing false said meanwhile."""

import asyncio
import subprocess

import pytest

from relocd.adapters.ldap import feed
from relocd.sync.session import Deleted, RefreshDone, SearchLost, Started, Upsert
from tests.adapters.ldap.lab import UNLIMITED, change, deleted, following, renamed, replaced, settings_for
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


@pytest.mark.usefixtures("impatient")
async def test_a_killed_server_is_noticed_and_found_again(slapd):
    async with following(settings_for(slapd.uri)) as followed:
        await followed.refreshed()
        slapd.kill()
        await followed.until(lambda: followed.of(SearchLost))
        assert followed.feed.current_uri is None
        slapd.start()
        await followed.refreshed(2)
        assert followed.feed.current_uri == slapd.uri
        await asyncio.to_thread(slapd.add, service_ldif("dns"))
        await followed.until(lambda: followed.names[-1] == "dns")


@pytest.mark.usefixtures("impatient")
async def test_a_crash_that_loses_the_newest_number_is_survived(slapd):
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


async def test_restarts_that_find_no_search_do_not_end_the_next_one(slapd):
    """A heartbeat that is missed again and again restarts the search; one that is not there yet must get its chance."""
    slapd.stop()
    async with following(settings_for(slapd.uri, retry_min_s=600.0, retry_max_s=600.0)) as followed:
        for count in range(1, 4):
            await followed.until(lambda: len(followed.of(SearchLost)) >= count)  # noqa: B023 - used up in its round
            followed.feed.restart("(objectClass=*)")
        slapd.start()
        followed.feed.restart("(objectClass=*)")
        await followed.refreshed()
        assert not any("restarted by the agent" in event.reason for event in followed.of(SearchLost))


async def test_in_a_hurry_a_server_that_returned_is_found_at_once(slapd):
    slapd.stop()
    async with following(settings_for(slapd.uri, retry_min_s=600.0, retry_max_s=600.0)) as followed:
        await followed.until(lambda: followed.of(SearchLost))
        slapd.start()
        followed.feed.hurry()
        await followed.refreshed()


async def test_a_paused_server_is_noticed(slapd):
    settings = settings_for(slapd.uri, silence_timeout_s=0.3, operation_timeout_s=0.3)
    async with following(settings) as followed:
        await followed.refreshed()
        slapd.pause()
        await followed.until(lambda: "it hangs" in followed.losses)
        slapd.resume()
        await followed.refreshed(2)


async def test_a_server_that_hangs_in_the_middle_of_a_refresh_is_noticed():
    """What is left in the buffers ends within a message."""
    with Slapd(database_lines=UNLIMITED, durable=False) as slapd:
        slapd.add("".join(service_ldif(f"s{number}", description="x" * 9000) for number in range(2000)))
        settings = settings_for(slapd.uri, silence_timeout_s=0.3, operation_timeout_s=0.3)
        for _ in range(10):  # the whole refresh may be on its way before the pause; then it was not the middle
            async with following(settings) as followed:
                await followed.until(lambda followed=followed: followed.of(Upsert))
                slapd.pause()
                await followed.until(lambda followed=followed: followed.of(SearchLost))
                in_the_middle = not followed.of(RefreshDone)
                slapd.resume()
                await followed.refreshed()
            if in_the_middle:
                break
        assert in_the_middle


async def test_a_quiet_server_is_asked_and_kept(slapd):
    async with following(settings_for(slapd.uri, silence_timeout_s=0.05)) as followed:
        await followed.refreshed()
        await asyncio.sleep(0.4)
        assert not followed.of(SearchLost)


async def test_an_empty_server_says_nothing(slapd):
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


async def test_a_replica_that_is_not_loaded_says_nothing(tmp_path):
    """It has entries, but no state yet: what it does not have is not gone."""
    consumer = f'syncrepl rid=001 provider=ldap://127.0.0.1:1 searchbase="{SUFFIX}" bindmethod=simple retry="60 +"'
    with Slapd(content="", database_lines=[consumer]) as slapd:
        slapd.stop()
        (tmp_path / "half").write_text(base_ldif())
        load = ["slapadd", "-q", "-f", f"{slapd.folder}/slapd.conf", "-b", SUFFIX, "-l", f"{tmp_path}/half"]
        await asyncio.to_thread(subprocess.run, load, check=True, timeout=20)
        slapd.start()
        async with following(settings_for(slapd.uri)) as followed:
            await followed.until(lambda: "not loaded yet" in followed.losses)
        assert not followed.of(RefreshDone)


async def test_a_search_that_the_server_ends_is_started_again(slapd):
    """slapd ends it when the base is renamed; what has its name later is another one."""
    base = f"ou=services,{SUFFIX}"
    async with following(settings_for(slapd.uri, base=base)) as followed:
        await followed.refreshed()
        await change(slapd, renamed(base, "ou=former"))
        await change(slapd, replaced(f"cn=web,ou=former,{SUFFIX}", "description", "x"))
        await followed.until(lambda: "search base has changed" in followed.losses)
        await followed.until(lambda: "not yet loaded" in followed.losses)
        await asyncio.to_thread(slapd.add, f"dn: {base}\nobjectClass: organizationalUnit\n\n{service_ldif('new')}")
        await followed.refreshed(2)
        await followed.until(lambda: followed.names[-1] == "new")
    assert followed.of(Started)[-1].fresh


async def test_the_content_may_be_replaced_under_a_search(slapd):
    async with following(settings_for(slapd.uri)) as followed:
        await followed.refreshed()
        folders = [f"ou={name},{SUFFIX}" for name in ("servers", "services", "clusters")]
        await change(slapd, *map(deleted, [service_dn("web"), service_dn("ntp"), *folders, SUFFIX]))
        await asyncio.to_thread(slapd.add, base_ldif() + service_ldif("new"))
        await followed.until(lambda: followed.names[-1] == "new")
    assert followed.present == {"new"}


async def test_the_second_server_is_used_when_the_first_is_dead(slapd):
    async with following(settings_for("ldap://127.0.0.1:1", slapd.uri)) as followed:
        await followed.refreshed()
        assert followed.feed.current_uri == slapd.uri
    assert followed.events[0] == Started(slapd.uri, fresh=True)
    assert not followed.of(SearchLost)


async def test_every_server_is_named_when_all_are_dead():
    async with following(settings_for("ldap://127.0.0.1:1", "ldap://127.0.0.1:2")) as followed:
        await followed.until(lambda: len(followed.of(SearchLost)) >= 3)
    assert "ldap://127.0.0.1:1" in followed.of(SearchLost)[0].reason
    assert "ldap://127.0.0.1:2" in followed.of(SearchLost)[0].reason


async def test_a_wrong_password_is_said_and_tried_again(slapd, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("wrong\n")
    secret.chmod(0o600)
    settings = settings_for(slapd.uri, bind="simple", bind_dn=f"cn=admin,{SUFFIX}", password_file=str(secret))
    async with following(settings) as followed:
        await followed.until(lambda: "password_file" in followed.losses)
        secret.write_text("secret\n")
        await followed.refreshed()


async def test_a_size_limit_is_named():
    with Slapd(database_lines=["limits anonymous size=3"]) as slapd:
        slapd.add("".join(service_ldif(f"s{number}") for number in range(10)))
        async with following(settings_for(slapd.uri)) as followed:
            await followed.until(lambda: "size=unlimited" in followed.losses)
        assert not followed.of(RefreshDone)


async def test_a_server_without_the_overlay_is_named(slapd):
    settings = settings_for(slapd.ldapi_uri, bind="external", base="cn=config")
    async with following(settings) as followed:
        await followed.until(lambda: followed.of(SearchLost))
    assert "overlay syncprov" in followed.losses
