"""A provider that says something odd loses that message at most, and never the truth of the rest."""

import logging

import pytest

from relocd.sync.events import Cookie, Deleted, Lost, Present, RefreshDone, Started, Upsert
from tests.adapters.ldap_lab import following, settings_for
from tests.adapters.scripted_provider import (
    COOKIE,
    NTP,
    WEB,
    done,
    entry,
    foreign_info,
    malformed_entry,
    reference,
    refresh_done,
    scripted,
)

pytestmark = pytest.mark.timeout(20)


async def test_a_malformed_name_loses_no_other_entry(caplog):
    with scripted([entry("no name", WEB), entry("cn=ntp", NTP), refresh_done()]) as uri:
        async with following(settings_for(uri)) as followed:
            await followed.refreshed()
    assert followed.events[1:3] == [Present((WEB,)), followed.of(Upsert)[0]]
    assert followed.names == ["ntp"]
    assert "entry left out" in caplog.text


async def test_an_entry_without_a_state_is_reported(caplog):
    with scripted([entry("cn=web", None), entry("cn=ntp", NTP), refresh_done()]) as uri:
        async with following(settings_for(uri)) as followed:
            await followed.refreshed()
    assert followed.names == ["ntp"]
    assert "entry without a Sync State control" in caplog.text


async def test_references_and_foreign_messages_are_passed_over(caplog):
    caplog.set_level(logging.WARNING)
    with scripted([reference("ldap://far.invalid"), foreign_info(), entry("cn=web", WEB), refresh_done()]) as uri:
        async with following(settings_for(uri)) as followed:
            await followed.refreshed()
    assert followed.names == ["web"]
    assert "not followed" in caplog.text


async def test_a_malformed_control_ends_the_search_without_a_step_forward():
    broken = [entry("cn=web", WEB), malformed_entry("cn=ntp"), refresh_done()]
    with scripted(broken, [entry("cn=web", WEB), entry("cn=ntp", NTP), refresh_done()]) as uri:
        async with following(settings_for(uri)) as followed:
            await followed.refreshed()
    assert f"{uri}: a BER element is cut short" in followed.losses
    assert followed.of(Started) == [Started(uri, fresh=True)] * 2
    assert followed.names == ["web", "web", "ntp"]


@pytest.mark.parametrize(
    ("end", "reason"),
    [(done(), "the server has ended it"), (done(52, "maintenance"), "maintenance"), (done(53, "no"), "(no)")],
)
async def test_an_end_of_the_search_is_lost_and_started_again(end, reason):
    with scripted([entry("cn=web", WEB), refresh_done(), end], [refresh_done()]) as uri:
        async with following(settings_for(uri)) as followed:
            await followed.refreshed(2)
    assert reason in followed.of(Lost)[0].reason
    assert [type(event) for event in followed.events] == [
        *(Started, Upsert, RefreshDone, Cookie, Lost),
        *(Started, RefreshDone, Cookie),
    ]
    assert followed.of(Started)[1] == Started(uri, fresh=False)


async def test_a_cookie_in_the_middle_of_a_refresh_is_not_given_out():
    """OpenLDAP sends entries in no order of time, so that it would claim what was not sent."""
    cut_short = [entry("cn=web", WEB, cookie=COOKIE), done(52)]
    with scripted(cut_short, [entry("cn=web", WEB), refresh_done()]) as uri:
        async with following(settings_for(uri)) as followed:
            await followed.refreshed()
    assert followed.of(Started) == [Started(uri, fresh=True)] * 2
    assert len(followed.of(Cookie)) == 1


async def test_states_become_events():
    messages = [entry("cn=web", WEB), entry("cn=ntp", NTP, state=0), refresh_done(), entry("cn=web", WEB, state=3)]
    with scripted(messages) as uri:
        async with following(settings_for(uri)) as followed:
            await followed.until(lambda: followed.of(Deleted))
    assert followed.of(Present) == [Present((NTP,))]
    assert followed.of(Deleted) == [Deleted((WEB,))]
