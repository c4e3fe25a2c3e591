"""The agent's log lines as values, and what one move looked like in them. Pure.

A line is `TIME LEVEL message key=value ...`, as `relocd.agent.logs` writes it: the time in ISO 8601, a value plain or
quoted as in JSON. Times become CLOCK_MONOTONIC nanoseconds, the clock of the probes; where a line says itself when it
happened (`at_ns`), that counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

__all__ = ["COMPLAINTS", "Line", "Steps", "line", "steps"]

_LINE: Final = re.compile(
    r"(?P<time>\S+) (?P<level>\w+) (?P<message>.*?)(?P<fields>(?: \w+=(?:\"(?:[^\"\\]|\\.)*\"|\S*))*)$"
)
_FIELD: Final = re.compile(r" (\w+)=(\"(?:[^\"\\]|\\.)*\"|\S*)")


COMPLAINTS: Final = frozenset(("warning", "error", "critical"))
"""The levels at which something is wrong."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log: when, what, and the facts."""

    at_ns: int
    level: str
    message: str
    fields: Mapping[str, str]

    @property
    def action(self) -> str:
        """The action that this line says is done, empty for any other line."""
        return self.fields.get("action", "") if self.message == "action done" else ""


@dataclass(frozen=True, slots=True)
class Steps:
    """When the steps of a move were done on the two servers; None for a step that has not been seen."""

    seen_ns: int | None
    dropped_ns: int | None
    written_ns: int | None
    probed_ns: int | None
    raised_ns: int | None
    started_ns: int | None


def line(text: str, offset_ns: int) -> Line | None:
    """The value of a line, None for what is no line of this form; `offset_ns` is CLOCK_MONOTONIC minus wall clock."""
    found = _LINE.fullmatch(text)
    if not found:
        return None
    fields = {key: _value(value) for key, value in _FIELD.findall(found["fields"])}
    try:
        when = datetime.fromisoformat(found["time"])
    except ValueError:
        return None
    at_ns = int(fields.get("at_ns") or _nanoseconds(when) + offset_ns)
    return Line(at_ns, found["level"], found["message"], fields)


def steps(old: Iterable[Line], new: Iterable[Line], since_ns: int, dn: str) -> Steps:
    """The steps of a move that began at a moment, from the logs of the server that lost and the one that got it.

    `dn` is the entry of the server that got it: the change of the other's is not what it acts on.
    """
    lost = [each for each in old if each.at_ns >= since_ns]
    got = [each for each in new if each.at_ns >= since_ns]
    return Steps(
        seen_ns=_first(each for each in got if each.message == "change seen" and each.fields.get("dn") == dn),
        dropped_ns=_last(each for each in lost if each.action.startswith("drop ")),
        written_ns=_last(each for each in got if each.action.startswith("install ")),
        probed_ns=_last(each for each in got if each.action.startswith("probe ")),
        raised_ns=_last(each for each in got if each.action.startswith("raise ")),
        started_ns=_last(each for each in got if each.action.startswith(("start ", "reload ", "restart "))),
    )


def _first(lines: Iterable[Line]) -> int | None:
    return min((each.at_ns for each in lines), default=None)


def _last(lines: Iterable[Line]) -> int | None:
    return max((each.at_ns for each in lines), default=None)


def _value(text: str) -> str:
    return str(json.loads(text)) if text.startswith('"') else text


def _nanoseconds(when: datetime) -> int:
    """Since 1970, exact to the microsecond, which a float would not be."""
    return int(when.replace(microsecond=0).timestamp()) * 10**9 + when.microsecond * 1000
