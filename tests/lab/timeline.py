"""A story as it happens: moments on a terminal, the figures that were measured, and the verdict over its claims."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["Claim", "Timeline"]

_COLOURS: Final = {True: "green", False: "red"}


@dataclass(frozen=True, slots=True)
class Claim:
    """What the story is to show, whether it did, and what was seen."""

    text: str
    holds: bool
    found: str = ""


class Timeline:
    """What a story tells; figures are in milliseconds, each may be measured several times."""

    def __init__(self, console: Console) -> None:
        self.claims: list[Claim] = []
        self._console = console
        self._figures: dict[str, list[float]] = defaultdict(list)
        self._began_ns = time.monotonic_ns()

    @property
    def holds(self) -> bool:
        """The verdict: there are claims, and all of them hold."""
        return bool(self.claims) and all(claim.holds for claim in self.claims)

    @property
    def figures(self) -> Mapping[str, list[float]]:
        """Everything that was measured, by name."""
        return self._figures

    def begin(self, title: str) -> None:
        """The head; moments count from here."""
        self._console.rule(Text(title, style="bold"), align="left")
        self._began_ns = time.monotonic_ns()

    def mark(self, what: str) -> None:
        """Something happens now."""
        elapsed_s = (time.monotonic_ns() - self._began_ns) / 1e9
        self._say(f"{elapsed_s:>8.2f} s  {what}")

    def figure(self, name: str, value_ms: float) -> None:
        """A measured time."""
        self._figures[name].append(round(value_ms, 2))
        self.mark(f"{name}: {value_ms:.0f} ms")

    def claim(self, text: str, holds: bool, found: str = "") -> None:
        """Judge something that the story is to show."""
        self.claims.append(Claim(text, holds, found))
        self.mark(f"{'yes' if holds else 'NO'}: {text}" + f" ({found})" * bool(found))

    def close(self) -> None:
        """The figures and the verdict."""
        table = Table(title="milliseconds", title_justify="left")
        for name in ("", "times", "median", "min", "max"):
            table.add_column(name, justify="right" if name else "left")
        for name, values in self._figures.items():
            row = (median(values), min(values), max(values))
            table.add_row(name, str(len(values)), *(f"{value:.0f}" for value in row))
        if self._figures:
            self._console.print(table)
        word = "it held" if self.holds else "it did NOT hold"
        self._console.print(Text(f"verdict: {word}", style=_COLOURS[self.holds]))

    def document(self) -> dict[str, object]:
        """All of it for a file."""
        return {
            "verdict": self.holds,
            "claims": [{"claim": each.text, "holds": each.holds, "found": each.found} for each in self.claims],
            "milliseconds": dict(self._figures),
            "load": os.getloadavg(),
        }

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)
