"""The log: one line for each record, whatever the values are, as text and as JSON."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest

from relocd.agent.logs import begin_logging, stream_handler
from relocd.model.status import Mode


@pytest.fixture(autouse=True)
def own_logging():
    """Leave the test runner's handlers as they were."""
    root, ours = logging.getLogger(), logging.getLogger("relocd")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:], root.level, ours.level = before


def said(capsys, message, **fields):
    logging.getLogger("relocd.test").info(message, extra={"fields": fields} if fields else None)
    return capsys.readouterr().err


def test_a_line_is_time_level_message_and_facts(capsys):
    begin_logging("info", stream_handler("text"))
    line = said(capsys, "action done", service="web", took_ms=1.5)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\S+\+00:00 info action done service=web took_ms=1.5\n", line)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a b", '"a b"'),
        ("a=b", '"a=b"'),
        ('a"b', '"a\\"b"'),
        ("a\nb", '"a\\nb"'),
        ("", '""'),
        (None, "None"),
        ("ä", "ä"),
    ],
)
def test_values_stay_on_their_line(capsys, value, shown):
    begin_logging("info", stream_handler("text"))
    assert said(capsys, "x", key=value).endswith(f" x key={shown}\n")


def test_below_the_level_nothing_is_said(capsys):
    begin_logging("warning", stream_handler("text"))
    assert said(capsys, "x") == ""


def test_a_record_without_facts_and_one_with_a_traceback(capsys):
    begin_logging("info", stream_handler("text"))
    assert said(capsys, "x").endswith(" info x\n")
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logging.getLogger("relocd.test").exception("y")
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["a\nb", '"', "ä€", "\udcff", "", None, 1.5, True])
def test_json_is_one_object_a_line_with_the_facts_beside_the_rest(capsys, value):
    begin_logging("info", stream_handler("json"))
    text = said(capsys, "action done", service="web", value=value)
    assert text.isascii()
    assert text.count("\n") == 1
    found = json.loads(text)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", found.pop("timestamp"))
    wanted = {"level": "info", "logger": "relocd.test", "message": "action done", "service": "web", "value": value}
    assert found == wanted


def test_json_of_other_values_and_of_facts_named_like_the_rest(capsys):
    begin_logging("info", stream_handler("json"))
    found = json.loads(said(capsys, "x", level="y", path=Path("/etc"), mode=Mode.PAUSED))
    assert (found["level"], found["level_"], found["path"], found["mode"]) == ("info", "y", "/etc", "paused")


def test_a_traceback_in_json_stays_on_the_line(capsys):
    begin_logging("info", stream_handler("json"))
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logging.getLogger("relocd.test").exception("y")
    (line,) = capsys.readouterr().err.splitlines()
    assert "ZeroDivisionError" in json.loads(line)["exception"]
