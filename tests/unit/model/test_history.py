"""A record of the history is one line of JSON that comes back as it was; what is no record is left out."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from relocd.model.dn import DN
from relocd.model.entries import Entry, EntryUUID
from relocd.model.history import (
    KEPT,
    Happened,
    HistoryRecord,
    decoded,
    encoded,
    is_change_of_holder,
    last_change,
    records_of,
    surplus,
)

AT = datetime(2026, 11, 30, 15, 49, 24, 123000, UTC)
WHOLE = HistoryRecord(AT, Happened.SERVED, "cn=b", 12, "cn=a", "cn=b", "R3", "b linked", "cn=ännä", 5.2)


def entry(*records, last=()):
    values = {"relochistoryrecord": tuple(each.encode() for each in records)}
    values |= {"reloclastchange": tuple(each.encode() for each in last)}
    return Entry(EntryUUID("x"), DN.parse("cn=history,cn=web"), "", values)


@pytest.mark.parametrize("record", [WHOLE, HistoryRecord(AT, Happened.REFUSED, "cn=a", reason='a "quoted"\nline')])
def test_a_record_comes_back_as_it_was(record):
    assert decoded(encoded(record)) == record


def test_a_record_is_ascii_on_one_line_and_begins_with_its_time():
    text = encoded(WHOLE)
    assert text.isascii()
    assert "\n" not in text
    assert text.startswith('{"at":"2026-11-30T15:49:24.123Z"')


def test_a_record_is_bounded_whatever_a_program_said():
    assert len(encoded(HistoryRecord(AT, Happened.FAILED, "cn=a", reason="x" * 100_000, by="cn=" + "y" * 9999))) < 1200


@pytest.mark.parametrize(
    "text",
    [
        "",
        "free text",
        "[]",
        "{}",
        '{"at":"yesterday","event":"served"}',
        '{"at":"2026-11-30T15:49:24.123","event":"served"}',
        '{"at":"2026-11-30T15:49:24.123Z","event":"danced"}',
        "[" * 3000,
        json.dumps({"at": "2026-11-30T15:49:24.123Z", "event": "served", "reason": "x" * 5000}),
        '{"at":"0001-01-01T00:00:00+23:59","event":"served"}',
        f'{{"at":"2026-11-30T15:49:24.123Z","event":"served","took_ms":{10**400}}}',
    ],
)
def test_what_is_no_record_is_left_out(text):
    assert decoded(text) is None
    assert records_of(entry(text, encoded(WHOLE))) == (WHOLE,)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_duration_that_is_no_number_is_unknown(value):
    found = decoded(f'{{"at":"2026-11-30T15:49:24.123Z","event":"served","took_ms":{value}}}')
    assert found is not None
    assert found.took_ms is None


@pytest.mark.parametrize("value", ["-1", str(10**18), "1" * 3000, "1.5", '"7"'])
def test_a_generation_that_no_service_can_have_is_unknown(value):
    found = decoded(f'{{"at":"2026-11-30T15:49:24.123Z","event":"served","generation":{value}}}')
    assert found is not None
    assert found.generation is None


def test_records_are_in_the_order_of_time():
    later = HistoryRecord(AT + timedelta(milliseconds=1), Happened.REFUSED, "cn=a")
    assert records_of(entry(encoded(later), encoded(WHOLE))) == (WHOLE, later)


def test_the_last_change_has_a_place_of_its_own():
    assert last_change(entry(last=[encoded(WHOLE)])) == WHOLE
    assert last_change(entry(encoded(WHOLE))) is None


def test_the_oldest_values_go():
    values = [f'{{"at":"2026-01-01T00:00:{second:02}"}}'.encode() for second in range(KEPT + 2)]
    assert surplus(values[: KEPT - 1]) == ()
    assert surplus(reversed(values)) == tuple(values[:3])


@pytest.mark.parametrize("event", list(Happened))
def test_what_changes_the_holder(event):
    changes = is_change_of_holder(HistoryRecord(AT, event, "cn=a"))
    assert changes is (event in {Happened.SERVED, Happened.GIVEN_BACK, Happened.RELEASED})
