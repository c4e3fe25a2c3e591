"""One manual page in man(7), built piece by piece; words in backquotes become bold. Pure."""

from __future__ import annotations

import re
from typing import Final

from relocd import __version__

__all__ = ["Page", "bold"]

_ESCAPES: Final = str.maketrans(
    {"\\": "\\e", "-": "\\-", "'": "\\(aq", "^": "\\(ha", "~": "\\(ti", "`": "\\(ga", '"': "\\(dq"}
)
_QUOTED: Final = re.compile(r"`([^`]*)`")


def bold(text: str) -> str:
    """Text for a tag of `Page.item` that stands for itself."""
    return f"`{text}`"


class Page:
    """A page under construction; `text` is the page so far."""

    def __init__(self, name: str, section: int, about: str) -> None:
        self.name = name
        self.section_number = section
        self._lines = [
            f'.TH {_escaped(name.upper())} {section} "" "relocd {__version__}"',
            ".SH NAME",
            f"{_escaped(name)} \\- {_inline(about)}",
        ]

    @property
    def text(self) -> str:
        """The whole page."""
        return "\n".join(self._lines) + "\n"

    @property
    def file_name(self) -> str:
        """Its path below a folder `man`."""
        return f"man{self.section_number}/{self.name}.{self.section_number}"

    def section(self, title: str) -> None:
        """Begin a section."""
        self._lines.append(f".SH {_escaped(title)}")

    def subsection(self, title: str) -> None:
        """Begin a part of a section."""
        self._lines.append(f'.SS "{_inline(title)}"')

    def prose(self, text: str) -> None:
        """Add paragraphs, which blank lines separate; an indented one is added verbatim."""
        for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
            if paragraph.startswith("    "):
                self.verbatim(paragraph)
            else:
                self._lines += [*self._gap(), _line(_inline(" ".join(paragraph.split())))]

    def verbatim(self, text: str) -> None:
        """Add lines verbatim."""
        indent = min((len(line) - len(line.lstrip()) for line in text.splitlines() if line.strip()), default=0)
        shown = [_line(_escaped(line[indent:])) for line in text.strip("\n").splitlines()]
        self._lines += [*self._gap(), ".RS 4", ".nf", *shown, ".fi", ".RE"]

    def _gap(self) -> tuple[str, ...]:
        """The request that separates a paragraph from the one before; none after a heading."""
        return () if self._lines[-1].startswith((".SH", ".SS")) else (".PP",)

    def item(self, tag: str, text: str) -> None:
        """Add a term and its description."""
        self._lines += [".TP", _line(_inline(tag)), _line(_inline(" ".join(text.split())))]


def _inline(text: str) -> str:
    parts = _QUOTED.split(text)
    return "".join(f"\\fB{_escaped(part)}\\fR" if number % 2 else _escaped(part) for number, part in enumerate(parts))


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)


def _line(text: str) -> str:
    """A line that roff does not read as a request, which a dot or an empty line would be."""
    return f"\\&{text}" if text.startswith(".") or not text else text
