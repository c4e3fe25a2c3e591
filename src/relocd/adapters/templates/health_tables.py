"""`[[health]]` of a manifest to `HealthSpec`: which key says what is asked, and the values that are refused.

`relocd.config.configuration` checks the numbers of `[[health]]` in relocd.toml by the same ranges.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Final

from relocd.config.health_limits import wrong_limits
from relocd.config.toml_lines import KeyPath
from relocd.config.toml_values import TomlText
from relocd.model.health import ANY_GOOD, CheckKind, HealthLimits, HealthSpec, StatusRange

__all__ = ["HealthTable", "health_spec"]

_ONE_TEXT: Final = ("http", "tcp", "dns", "ntp")
_KINDS: Final = (*_ONE_TEXT, "command")
_DEFAULTS: Final = HealthLimits()
_OF_HTTP: Final = ("host", "statuses")
_RANGE: Final = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?")


@dataclass(frozen=True, slots=True)
class HealthTable:
    """`[[health]]`, as it is written: one of the first five keys, or none for the units alone."""

    http: str | None = None
    tcp: str | None = None
    dns: str | None = None
    ntp: str | None = None
    command: tuple[str, ...] | None = None
    host: str | None = None
    statuses: str | None = None
    interval_s: float = _DEFAULTS.interval_s
    timeout_s: float = _DEFAULTS.timeout_s
    fall: int = _DEFAULTS.fall
    rise: int = _DEFAULTS.rise
    start_s: float = _DEFAULTS.start_s
    restarts: int = _DEFAULTS.restarts


def health_spec(toml: TomlText, table: HealthTable, at: KeyPath) -> HealthSpec:
    """The declaration of a table; raises `Invalid` with file, line and key for the first error."""
    given = [key for key in _KINDS if getattr(table, key) is not None]
    if len(given) > 1:
        raise toml.error((*at, given[1]), f"is given beside {given[0]}; keep one of them, or write another [[health]]")
    for key in _OF_HTTP:
        if getattr(table, key) is not None and given != ["http"]:
            raise toml.error((*at, key), "belongs to http; remove it, or write http")
    limits = HealthLimits(**{each.name: getattr(table, each.name) for each in fields(HealthLimits)})
    for key, why in wrong_limits(limits):
        raise toml.error((*at, key), why)
    kind = CheckKind(given[0]) if given else CheckKind.UNITS
    texts = _texts(toml, table, kind, at)
    host = "" if table.host is None else _line(toml, table.host, (*at, "host"))
    return HealthSpec(kind, texts, limits, host, _statuses(toml, table.statuses, (*at, "statuses")))


def _texts(toml: TomlText, table: HealthTable, kind: CheckKind, at: KeyPath) -> tuple[str, ...]:
    if kind is CheckKind.UNITS:
        return ()
    place = (*at, str(kind))
    if kind is not CheckKind.COMMAND:
        return (_line(toml, getattr(table, kind), place),)
    if not table.command or not table.command[0]:
        raise toml.error(place, "names no program; write a list of arguments with the program first")
    if any("\0" in argument for argument in table.command):
        raise toml.error(place, "has a NUL, which no program accepts; remove it")
    return table.command


def _line(toml: TomlText, text: str, at: KeyPath) -> str:
    if not text or not text.isprintable():
        raise toml.error(at, "is empty or has more than one line; write one line of text")
    return text


def _statuses(toml: TomlText, text: str | None, at: KeyPath) -> tuple[StatusRange, ...]:
    """The ranges that a text such as `200-399,404` names."""
    if text is None:
        return ANY_GOOD
    found = [_RANGE.fullmatch(each.strip()) for each in text.split(",")]
    ranges = tuple((int(each[1]), int(each[2] or each[1])) for each in found if each)
    if len(ranges) < len(found) or any(last < first for first, last in ranges):
        raise toml.error(
            at, f'is {text[:40]!r}; write statuses from 100 to 599 and ranges of them, as in "200-399,404"'
        )
    return ranges
