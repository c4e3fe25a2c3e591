"""The table of `./dev bench mass`, from the document that `--json` writes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rich.table import Table
from rich.text import Text

__all__ = ["table"]

_FIGURES: Final = ("first back", "all back", "away, median", "away, worst")


def table(document: Mapping[str, Any]) -> Table:
    """Every change of every series."""
    machine = document["machine"]
    before, after = (" ".join(f"{each:.2f}" for each in machine[f"load {when}"]) for when in ("before", "after"))
    made = Table(
        title="milliseconds after the trigger; a takeover counts from the moment when the server is found dead",
        title_justify="left",
        caption=f"{machine['processors']} processors, load average before {before}, after {after}",
        caption_justify="left",
    )
    made.add_column("")
    for name in _FIGURES:
        made.add_column(name, justify="right", min_width=8)
    for services, series in document["series"].items():
        for each in series.values():
            made.add_section()
            made.add_row(Text(f"{services} services: {each['title']}", style="bold"))
            for change in each["changes"]:
                _add(made, change)
    return made


def _add(made: Table, change: Mapping[str, Any]) -> None:
    figures = change["figures"]
    cells = (f"{figures[name]:,.0f}" if name in figures else "" for name in _FIGURES)
    made.add_row(f"  {change['case']}", *cells)
    if change["doubles"]:
        made.add_row(f"[red]  two servers had one of {change['doubles']} addresses at once[/red]")
