"""A provider that says something odd loses that message at most, and never the truth of the rest."""

import logging
from uuid import UUID

import pytest

from relocd.adapters.ldap.thread_bridge import StopSignal
from relocd.sync.session import Cookie, Deleted, Present, RefreshDone, SearchLost, Session, Started, Upsert
from tests.adapters.ldap.lab import following, settings_for
from tests.adapters.ldap.scripted_provider import (
    COOKIE,
    NTP,
    WEB,
    attribute,
    done,
    element,
    entry,
    foreign_info,
    info,
    malformed_entry,
    raw_entry,
    reference,
    refresh_done,
    scripted,
    state_value,
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
    [(done(), "the server has ended the search"), (done(52, "maintenance"), "maintenance"), (done(53, "no"), "(no)")],
)
async def test_an_end_of_the_search_is_lost_and_started_again(end, reason):
    with scripted([entry("cn=web", WEB), refresh_done(), end], [refresh_done()]) as uri:
        async with following(settings_for(uri)) as followed:
            await followed.refreshed(2)
    assert reason in followed.of(SearchLost)[0].reason
    assert [type(event) for event in followed.events] == [
        *(Started, Upsert, RefreshDone, Cookie, SearchLost),
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


_STATE = state_value(UUID(NTP).bytes)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(raw_entry(b"cn=\xff", value=_STATE), id="a name that is not UTF-8"),
        pytest.param(raw_entry("cn=ntp", attribute(b"c\xff", "x"), _STATE), id="an attribute that is not UTF-8"),
        pytest.param(raw_entry("cn=ntp", value=None), id="a state control without a value"),
        pytest.param(raw_entry("cn=ntp", value=b""), id="an empty state control"),
        pytest.param(raw_entry("cn=ntp", value=state_value(b"short")), id="an identity of five octets"),
        pytest.param(raw_entry("cn=ntp", value=state_value(UUID(NTP).bytes, state=9)), id="a state that is none"),
        pytest.param((element(0x79, element(0x80, b"1.3.6.1.4.1.4203.1.9.1.4")), b""), id="a message without a value"),
        pytest.param(info(b""), id="an empty message"),
        pytest.param(info(element(0xA3, element(0x31, element(0x04, b"short")))), id="a set with a short identity"),
        pytest.param((element(0x7F, b"x"), b""), id="an operation that is none"),
    ],
)
@pytest.mark.parametrize("refreshed", [False, True], ids=["in the refresh", "after it"])
async def test_a_malformed_message_ends_the_search_and_the_next_one_brings_the_truth(message, refreshed):
    begun = [entry("cn=web", WEB), refresh_done()] if refreshed else [entry("cn=web", WEB)]
    whole = [entry("cn=web", WEB), entry("cn=ntp", NTP), refresh_done()]
    with scripted([*begun, message], whole) as uri:
        async with following(settings_for(uri)) as followed:
            await followed.refreshed(1 + refreshed)
    assert followed.of(SearchLost)[0].reason.startswith(uri)
    assert followed.present == {"web", "ntp"}


async def test_a_server_that_spoils_every_search_is_asked_less_and_less(monkeypatch):
    """Each pause is drawn from the upper half of what it may be, and that doubles."""
    pauses_s = []
    monkeypatch.setattr(StopSignal, "wait", lambda stop, pause_s: pauses_s.append(pause_s) or stop.is_set())
    spoilt = [entry("cn=web", WEB), refresh_done(), raw_entry(b"cn=\xff", value=_STATE)]
    with scripted(spoilt) as uri:
        async with following(settings_for(uri, retry_min_s=10.0, retry_max_s=1000.0)) as followed:
            await followed.until(lambda: len(followed.of(SearchLost)) >= 7)
    assert all(5 * 2**n <= pause_s <= 10 * 2**n for n, pause_s in enumerate(pauses_s[:6]))


async def test_a_defect_in_what_takes_a_message_does_not_end_the_feed(monkeypatch, caplog):
    with scripted([entry("cn=web", WEB), refresh_done()]) as uri, monkeypatch.context() as patch:
        patch.setattr(Session, "entry", lambda *_: 1 / 0)
        async with following(settings_for(uri)) as followed:
            await followed.until(lambda: "ZeroDivisionError" in followed.losses)
            patch.undo()
            await followed.refreshed()
    assert followed.names == ["web"]
    assert "this is a defect of relocd" in caplog.text
