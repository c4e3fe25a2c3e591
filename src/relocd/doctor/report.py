"""Findings as lines by subject and as JSON. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from relocd.doctor.finding import Finding, Level

__all__ = ["Findings", "as_json", "is_well", "lines"]

Findings = Mapping[str, Sequence[Finding]]
"""By subject: a directory's URI, or this host."""

_ORDER: Final = (Level.ERROR, Level.WARNING, Level.OK, Level.NOT_CHECKED)
_STYLES: Final = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "bold red", Level.NOT_CHECKED: "dim"}


def is_well(found: Findings) -> bool:
    """Whether nothing is wrong; what was not checked does not count."""
    return not any(each.level in {Level.WARNING, Level.ERROR} for some in found.values() for each in some)


def lines(found: Findings) -> RenderableType:
    """Each finding with its advice, and a line that counts them."""
    parts: list[RenderableType] = []
    for subject, findings in found.items():
        parts += [Text(subject, "bold"), _grid(findings)]
    return Group(*parts, _counted(found))


def _grid(findings: Sequence[Finding]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(min_width=len(Level.NOT_CHECKED), no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for each in findings:
        advice = Text(f"\n→ {each.advice}", "italic") if each.advice else Text()
        grid.add_row(Text(each.level, _STYLES[each.level]), Text(each.check), Text(each.what) + advice)
    return grid


def _counted(found: Findings) -> Text:
    counts = Counter(each.level for some in found.values() for each in some)
    worst = next((level for level in (Level.ERROR, Level.WARNING) if counts[level]), Level.OK)
    plural = {Level.ERROR: "errors", Level.WARNING: "warnings"}
    return Text(", ".join(f"{counts[level]} {plural.get(level, level)}" for level in _ORDER), _STYLES[worst])


def as_json(found: Findings) -> dict[str, Any]:
    """The same as JSON values."""
    return {
        "well": is_well(found),
        "findings": [
            {
                "subject": subject,
                "check": each.check,
                "kind": each.kind,
                "level": each.level,
                "server": each.server or None,
                "service": each.service or None,
                "seconds": each.seconds,
                "names": list(each.names),
                "what": each.what,
                "advice": each.advice,
            }
            for subject, findings in found.items()
            for each in findings
        ],
    }
