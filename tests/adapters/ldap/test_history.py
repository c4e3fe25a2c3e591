"""The history of a service against a real slapd: created once, the last records stay, and a refusal says what to do."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from relocd.adapters.ldap.history import LdapHistory
from relocd.errors import Failed, Invalid, Unavailable
from relocd.model.dn import DN
from relocd.model.history import KEPT, Happened, HistoryRecord, last_change, records_of
from tests.adapters.ldap.writer_lab import DEAD, directory, read, writer_settings
from tests.lab.deadline import eventually
from tests.lab.slapd.slapd import SCHEMA, server_dn, service_dn

WEB = DN.parse(service_dn("web"))
HISTORY = WEB.below("cn=history")
BEGIN = datetime(2026, 11, 30, 15, 49, 24, 123000, UTC)
SERVED = HistoryRecord(
    BEGIN,
    Happened.SERVED,
    server_dn("node2"),
    12,
    server_dn("node1"),
    server_dn("node2"),
    "R3",
    "node2 linked",
    "cn=ännä,dc=example,dc=org",
    4.25,
)


@pytest.fixture(scope="module")
def slapd():
    with directory() as slapd:
        yield slapd


@pytest.fixture
async def history(slapd):
    async with LdapHistory(writer_settings(slapd), lambda: None) as history:
        yield history
    _run(slapd, "ldapdelete", HISTORY.text)


async def test_a_record_is_there_as_it_was_and_to_write_it_again_changes_nothing(slapd, history):
    await history.add(WEB, SERVED)
    await history.add(WEB, SERVED)
    entry = await read(slapd, HISTORY)
    assert records_of(entry) == (replace(SERVED, took_ms=4.2),)
    assert last_change(entry) == replace(SERVED, took_ms=4.2)


async def test_ldapsearch_shows_it_as_text_that_begins_with_the_time(slapd, history):
    await history.add(WEB, SERVED)
    found = _run(slapd, "ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", HISTORY.text, "relocHistoryRecord")
    (line,) = [line for line in found.splitlines() if line.startswith("relocHistoryRecord: ")]
    value = line.partition(": ")[2]
    assert value.startswith('{"at":"2026-11-30T15:49:24.123Z"')
    assert json.loads(value)["by"] == SERVED.by


async def test_the_last_ones_stay_and_the_last_change_of_holder(slapd, history):
    await history.add(WEB, SERVED)
    for number in range(1, KEPT + 3):
        at = BEGIN + timedelta(seconds=number)
        await history.add(WEB, HistoryRecord(at, Happened.REFUSED, server_dn("node2"), reason=f"number {number}"))
    entry = await read(slapd, HISTORY)
    assert [record.reason for record in records_of(entry)] == [f"number {each}" for each in range(3, KEPT + 3)]
    assert last_change(entry).event is Happened.SERVED


async def test_a_status_is_read_where_there_is_one(history):
    assert await history.status(DN.parse(server_dn("node1"))) is None


async def test_a_service_that_is_gone_has_no_history(history):
    with pytest.raises(Failed):
        await history.add(DN.parse(service_dn("gone")), SERVED)


async def test_records_at_once_share_a_connection_that_is_closed_soon_after(history):
    await history.add(WEB, SERVED)
    first = history._kept.get()
    await history.add(WEB, replace(SERVED, generation=13))
    assert history._kept.get() is first
    await eventually(lambda: not history._kept.is_open)
    await history.add(WEB, replace(SERVED, generation=14))


async def test_a_directory_that_does_not_answer_is_tried_again_later(slapd):
    async with LdapHistory(writer_settings(slapd, DEAD), lambda: None) as history:
        with pytest.raises(Unavailable):
            await history.add(WEB, SERVED)


async def test_a_directory_whose_schema_is_older_refuses_for_good(tmp_path):
    """It says that the schema is missing; an agent logs that once and goes on."""
    text = (SCHEMA / "relocd.schema").read_text()
    (tmp_path / "relocd.schema").write_text(_without_history(text))
    with directory(schema_folder=tmp_path) as slapd:
        async with LdapHistory(writer_settings(slapd), lambda: None) as history:
            with pytest.raises((Failed, Invalid), match="schema"):
                await history.add(WEB, SERVED)


def _run(slapd, *command):
    return subprocess.run(slapd.command(*command), capture_output=True, text=True, check=False, timeout=10).stdout


def _without_history(schema):
    """The schema as it was before services had a history."""
    blocks = schema.split("\n\n")
    return "\n\n".join(each for each in blocks if "History" not in each and "relocLastChange" not in each)
