"""The log: one line for each record, whatever the values are."""

from __future__ import annotations

import logging
import re

import pytest

from relocd.agent.logs import begin_logging


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
    begin_logging("info")
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
    begin_logging("info")
    assert said(capsys, "x", key=value).endswith(f" x key={shown}\n")


def test_below_the_level_nothing_is_said(capsys):
    begin_logging("warning")
    assert said(capsys, "x") == ""


def test_a_record_without_facts_and_one_with_a_traceback(capsys):
    begin_logging("info")
    assert said(capsys, "x").endswith(" info x\n")
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logging.getLogger("relocd.test").exception("y")
    assert "ZeroDivisionError" in capsys.readouterr().err
