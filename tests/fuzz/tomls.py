"""TOML texts of usual and odd values, and texts that are hardly TOML any more."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from random import Random

from tests.fuzz.odd import odd_number, odd_text, one_in

__all__ = ["spoiled", "written"]

_PIECES = (
    "[",
    "]",
    "{",
    "}",
    "[[file]]",
    '"',
    '"""',
    "'''",
    "=",
    ".",
    "\n",
    "#",
    "\\",
    ",",
    "a.b.c=1",
    "\0",
    "\ufeff",
    "1e",
    "[" * 400,
)


def written(random: Random, tables: Sequence[tuple[str, Mapping[str, object]]]) -> str:
    """Tables with most of their keys, some of them with another value, of another type perhaps."""
    lines = []
    for header, keys in tables:
        lines.append(header)
        lines += [f"{key} = {_value(random, usual)}" for key, usual in keys.items() if not one_in(random, 12)]
    return "\n".join(lines) + "\n"


def spoiled(random: Random, text: str) -> str:
    """The same text, sometimes with something in it that does not belong there, or cut."""
    for _ in range(random.randrange(3) if one_in(random, 3) else 0):
        at = random.randrange(len(text) + 1)
        text = text[:at] + (random.choice(_PIECES) + text[at:] if one_in(random, 2) else "")
    return text


def _value(random: Random, usual: object) -> str:
    way = random.randrange(40)
    if way == 39:
        return random.choice(("[]", "{}", "true", "1979-05-27", "[[[1]]]", "{a={b=1}}", "0x" + "f" * 4000))
    if way >= 37:
        return _number(random)
    if way >= 34:
        return json.dumps(odd_text(random))
    if isinstance(usual, list) and way >= 30:
        return json.dumps([odd_text(random), *usual])
    if isinstance(usual, int | float) and not isinstance(usual, bool) and way >= 30:
        return _number(random)
    return json.dumps(usual)


def _number(random: Random) -> str:
    return odd_number(random) if one_in(random, 2) else repr(random.choice((1, -1)) * 10.0 ** random.randrange(-9, 12))
