"""Whether an output has the shape that a page shows: its lines in this order, with other numbers in them.

`...` in a line stands for anything, and a line of its own for any lines. How wide a table is does not matter.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["has_shape"]

_RULE: Final = re.compile(r"[─━═]+")
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")


def has_shape(expected: str, output: str) -> bool:
    """Whether each line of `expected` is found."""
    pattern = "".join(_line(line) for line in _plain(expected))
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _plain(output))) is not None


def _plain(text: str) -> list[str]:
    """The lines without what depends on widths, empty ones left out."""
    lines = (" ".join(_RULE.sub(" ", line).split()) for line in text.splitlines())
    return [line for line in lines if line]


def _line(line: str) -> str:
    if line == "...":
        return r"(?:.*\n)*"
    pieces = ([re.escape(part) for part in _NUMBER.split(piece)] for piece in line.split("..."))
    return ".*".join(r"\d+(?:\.\d+)?".join(parts) for parts in pieces) + r"\n"
