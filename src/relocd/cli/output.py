"""What a command prints, and its exit code: tables, text and JSON on standard output.

Names and messages come from the directory. They are never read as rich's markup, and control characters in them are
shown as text, so that they cannot change the terminal or break a table.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from relocd.printable import several_lines

__all__ = ["EXIT_PROBLEMS", "EXIT_UNAVAILABLE", "EXIT_USAGE", "Screen", "print_json"]

EXIT_PROBLEMS: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNAVAILABLE: Final = 3
_NARROWEST: Final = 40
"""Columns below which a table would show only its lines."""


class Screen(Console):
    """Standard output; without colours where that is no terminal."""

    def __init__(self) -> None:
        super().__init__(markup=False, emoji=False, highlight=False)
        if self.width < _NARROWEST:
            self.width = _NARROWEST

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What is drawn, with all text printable; rich's own control sequences are no text."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else several_lines(text), style, control)


def print_json(value: object) -> None:
    """The value as JSON in ASCII; raises `ValueError` for a number that JSON has not (RFC 8259, section 6)."""
    print(json.dumps(value, indent=1, allow_nan=False), flush=True)
