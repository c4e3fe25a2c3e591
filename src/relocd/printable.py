r"""Foreign text for people: whatever comes from the directory, a program, a file or the command line, made harmless.

Every such text goes through here before it stands in a terminal, a log line, an error, a comment of LDIF or the label
of a metric. What a terminal would act on is shown as an escape: control characters (ESC sequences among them), line
breaks, marks that change the direction of writing, invisible characters, and what is no character at all. `\x1b[31m` is
then text like any other. Text that is already printable stays as it is, so to do it twice does no harm.
"""

from __future__ import annotations

import re
import sys
from typing import Any, Final, TextIO

__all__ = ["one_line", "say", "several_lines"]

_WITHIN_LINES: Final = re.compile(r"[^\n\t]+")


def one_line(text: str) -> str:
    r"""The text on one line: each character that does not print as an escape of Python's (`\n`, `\x1b`, `\u202e`)."""
    return text if text.isprintable() else "".join(map(_shown, text))


def several_lines(text: str) -> str:
    """The same, but line feeds and tabs stay what they are: for text whose lines are our own."""
    return _WITHIN_LINES.sub(lambda found: one_line(found[0]), text)


def say(text: object, file: TextIO | None = None, end: str = "\n") -> None:
    """Print it, line feeds as they are and everything else printable, also where the terminal knows few characters."""
    out: Any = file or sys.stdout
    encoding = getattr(out, "encoding", None) or "utf-8"
    shown = several_lines(str(text)).encode(encoding, "backslashreplace").decode(encoding)
    print(shown, file=out, end=end, flush=True)


def _shown(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]
