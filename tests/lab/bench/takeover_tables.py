"""The table of `./dev bench takeover`, from the document that `--json` writes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

__all__ = ["table"]


def table(document: Mapping[str, Any]) -> Table:
    """Every figure with its extremes; a figure with a target has a verdict."""
    machine = document["machine"]
    before, after = (" ".join(f"{each:.2f}" for each in machine[f"load {when}"]) for when in ("before", "after"))
    made = Table(
        title=f"milliseconds; lease {document['lease_s']:g} s, {document['rounds']} rounds of each",
        title_justify="left",
        caption=f"{machine['processors']} processors, load average before {before}, after {after}",
        caption_justify="left",
    )
    made.add_column("")
    for name in ("median", "min", "max", "wanted", ""):
        made.add_column(name, justify="right", min_width=8 if name else 3)
    for series in document["series"].values():
        _add(made, series)
    return made


def _add(made: Table, series: Mapping[str, Any]) -> None:
    made.add_section()
    made.add_row(Text(series["title"], style="bold"))
    if series["doubles"]:
        made.add_row(f"[red]  two answered at once: {series['doubles']} probes[/red]")
    for name, summary in series["summaries"].items():
        limit = series["targets"].get(name)
        wanted = "" if limit is None else f"<= {limit:,.0f}"
        verdict = "" if limit is None else "[green]yes[/green]" if summary["high"] <= limit else "[red]no[/red]"
        cells = (f"{summary[key]:,.1f}" for key in ("median", "low", "high"))
        made.add_row(f"  {name}", *cells, wanted, verdict)
