"""The line of a key in a TOML text, for messages: `tomllib` gives values without their lines.

Only texts that `tomllib` has accepted are read here, so the scanner may be lenient: it finds the tables and keys at
the start of statements and steps over values. Keys inside a value (an inline table) have the line of that value.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Final

__all__ = ["KeyPath", "line_of"]

KeyPath = tuple[str | int, ...]
"""Keys from the top of the document; a number counts the tables of an array of tables from 0."""

_KEY: Final = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_DOTTED: Final = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_STATEMENT: Final = re.compile(
    rf"""\s* (?: \#[^\n]*
               | (?P<header>\[\[?) [ \t]* (?P<table>{_DOTTED}) [ \t]* \]\]?
               | (?P<key>{_DOTTED}) [ \t]* = )""",
    re.VERBOSE,
)
_VALUE_PART: Final = re.compile(
    r'''"""(?:[^\\]|\\.)*?"""+ | \'\'\'.*?\'\'\'+ | "(?:[^"\\\n]|\\.)*" | '[^'\n]*'
      | \#[^\n]* | (?P<open>[\[{]) | (?P<close>[\]}]) | (?P<end>\n) | [^"'\#\[\]{}\n]+''',
    re.VERBOSE | re.DOTALL,
)


def line_of(text: str, path: KeyPath) -> int:
    """The line, from 1, of the deepest part of a path that is in the text; 1 when none is."""
    lines = dict(reversed(list(_places(text))))  # where a table is in several places, the first counts
    return next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), 1)


def _places(text: str) -> Iterator[tuple[KeyPath, int]]:
    """Every table and key with its line, and the tables that are only implied by a longer name."""
    table: KeyPath = ()
    tables: dict[KeyPath, int] = {}
    at = 0
    while found := _STATEMENT.match(text, at):
        at = found.end()
        if found["table"]:
            table = _entered(_keys(found["table"]), tables, new=found["header"] == "[[")
            yield from _with_line(table, 0, _line(text, found.start("table")))
        elif found["key"]:
            path = table + _keys(found["key"])
            yield from _with_line(path, len(table), _line(text, found.start("key")))
            at = _after_value(text, at)


def _with_line(path: KeyPath, known: int, line: int) -> Iterator[tuple[KeyPath, int]]:
    return ((path[:end], line) for end in range(known + 1, len(path) + 1))


def _entered(keys: KeyPath, tables: dict[KeyPath, int], *, new: bool) -> KeyPath:
    """The path of a header's table; a name on the way that is an array of tables means its latest table."""
    path: KeyPath = ()
    for number, key in enumerate(keys, start=1):
        path = (*path, key)
        if new and number == len(keys):
            tables[path] = tables.get(path, 0) + 1
        if path in tables:
            path = (*path, tables[path] - 1)
    return path


def _keys(dotted: str) -> KeyPath:
    """The parts of a dotted key, unquoted."""
    keys: KeyPath = ()
    value: object = tomllib.loads(f"{dotted} = 0")
    while isinstance(value, dict):
        ((key, value),) = value.items()
        keys = (*keys, key)
    return keys


def _after_value(text: str, at: int) -> int:
    """The place behind a value: the end of the first line on which no bracket is open."""
    depth = 0
    while found := _VALUE_PART.match(text, at):
        at = found.end()
        depth += bool(found["open"]) - bool(found["close"])
        if found["end"] and depth <= 0:
            break
    return at


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
