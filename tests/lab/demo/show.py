"""The demo on a terminal: one line a move as it happens, and the closing table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.lab.probers.figures import ELSEWHERE, STEPS, Figures, Summary, summaries

__all__ = ["Screen", "bar"]

_MARKS: Final = {"seen": "S", "let go": "L", "files": "F", "probed": "P", "raised": "A", "unit": "U"}
_WIDTH: Final = 64
_LEGEND: Final = (
    "milliseconds after ldapmodify was started, which ended at `modify`; IPv4 and IPv6: first answer to the client\n"
    "in the bar: " + ", ".join(f"{mark} {step}" for step, mark in _MARKS.items()) + ", 1 first answer"
)


class Screen:
    """Prints what the demo does."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str) -> None:
        """One plain sentence."""
        self._console.print(text, highlight=False, soft_wrap=True)

    def begin(self, title: str, clients: Sequence[str]) -> None:
        """The head of a series of moves."""
        self._console.rule(Text(title, style="bold"), align="left")
        self.say(f"[dim]{_LEGEND}[/dim]")
        names = [*STEPS, *clients]
        self.say("[bold]" + f"{'':>3} {'':<9}" + "".join(f"{name:>7}" for name in names) + "[/bold]")

    def move(self, figures: Figures, scale_ms: float) -> None:
        """One move, as soon as it has been seen."""
        cells = [_cell(value) for value in (*figures.steps.values(), *figures.answers.values())]
        self.say(f"{figures.number:>3} {'> ' + figures.new:<9}" + "".join(f"{cell:>7}" for cell in cells))
        self.say(f"[cyan]{'':>4}{bar(figures, scale_ms)}[/cyan] [dim]{scale_ms:g} ms[/dim]")

    def close(self, series: Mapping[str, Sequence[Figures]]) -> None:
        """The closing table."""
        table = Table(title="median, least and most, in milliseconds", title_justify="left")
        for name in ("", "moves", "median", "min", "max"):
            table.add_column(name, justify="right" if name else "left")
        for title, moves in series.items():
            table.add_section()
            table.add_row(Text(title, style="bold"))
            for name, summary in summaries(moves).items():
                table.add_row(f"  {name}", *_row(summary))
        self._console.print(table)
        self._footnote()

    def _footnote(self) -> None:
        self.say("\n[bold]For comparison[/bold], trigger to first answer, median in milliseconds.")
        self.say(
            "[bold]Not measured by this run[/bold], but in the same kind of laboratory on another machine and day:"
        )
        for name, value in ELSEWHERE.items():
            self.say(f"  {value:>8,.4g}  {name}")


def bar(figures: Figures, scale_ms: float) -> str:
    """The steps of a move as letters on a line that is `scale_ms` long; what lies beyond is at its end."""
    first = min((value for value in figures.answers.values() if value is not None), default=None)
    moments = [(figures.steps.get(step), mark) for step, mark in _MARKS.items()] + [(first, "1")]
    places = ["─"] * _WIDTH
    for value, mark in moments:
        if value is not None:
            places[min(int(value / scale_ms * _WIDTH), _WIDTH - 1)] = mark
    return "├" + "".join(places) + "┤"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _row(summary: Summary) -> list[str]:
    return [str(summary.count), *(f"{value:.2f}" for value in (summary.median, summary.low, summary.high))]
