"""The tables of `./dev bench move`, from the document that `--json` writes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.table import Table
from rich.text import Text

__all__ = ["tables"]

_FIGURES: Final = {
    "outage, IPv4": "longest silence for the client",
    "first answer, IPv4": "trigger to first answer",
    "both hold the address (negative: none)": "both have it (negative: nobody)",
}
Document = Mapping[str, Any]


def tables(document: Document) -> Iterator[Table]:
    """What the client saw, and what the daemons cost."""
    yield _moves(document)
    yield _daemons(document)


def _moves(document: Document) -> Table:
    rounds = document["rounds"]
    table = Table(
        title=f"milliseconds; the series took turns in {rounds} round{'s' * (rounds != 1)}", title_justify="left"
    )
    for name in ("", "moves", "median", "min", "max"):
        table.add_column(name, justify="right" if name else "left")
    for key, title in _FIGURES.items():
        table.add_section()
        table.add_row(Text(title, style="bold"))
        for series in document["series"].values():
            if summary := series["summaries"].get(key):
                cells = (f"{summary[name]:,.2f}" for name in ("median", "low", "high"))
                table.add_row(f"  {series['title']}", str(summary["count"]), *cells)
    return table


def _daemons(document: Document) -> Table:
    machine = document["machine"]
    before, after = (" ".join(f"{each:.2f}" for each in machine[f"load {when}"]) for when in ("before", "after"))
    table = Table(
        title="the daemons of an idle holder: CPU in % of a core, memory in MB",
        title_justify="left",
        caption=f"{machine['processors']} processors, load average before {before}, after {after}",
        caption_justify="left",
    )
    for name in ("", "CPU", "RSS", "PSS"):
        table.add_column(name, justify="right" if name else "left")
    table.add_column("trigger of a move")
    for series in document["series"].values():
        idle = series["idle"]
        cells = [f"{idle[name]:.2f}" for name in ("cpu_percent", "rss_mb", "pss_mb")] if idle else ["-"] * 3
        table.add_row(series["title"], *cells, series["trigger"])
    return table
