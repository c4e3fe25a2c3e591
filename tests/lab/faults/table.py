"""The closing table, what was not good, and the same for a file. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from tests.lab.faults.verdict import Result

__all__ = ["document", "table"]

_COLUMNS = (
    "kind",
    "isolation",
    "providers",
    "rounds",
    "no answer ms",
    "two at once ms",
    "recovery s",
    "lost",
    "",
)


def table(results: Sequence[Result]) -> Table:
    """One row a kind: the longest times of its rounds, what was lost, and the verdict."""
    lease_s = results[0].terms.lease_s if results else 0.0
    made = Table(title=f"the longest of each; recovery within the lease of {lease_s:g} s", title_justify="left")
    for name in _COLUMNS:
        made.add_column(name, justify="left" if name in {"kind", "isolation"} else "right", no_wrap=name == "kind")
    for result in results:
        made.add_row(*_cells(result))
    return made


def _cells(result: Result) -> Sequence[str]:
    recovery = "never" if result.recovery_ms is None else f"{result.recovery_ms / 1000:.1f}"
    allowed = result.terms.double_ms
    limit = " (shown)" if allowed is None else f" (<= {allowed:.0f})" * bool(allowed)
    return (
        result.kind,
        result.isolation,
        str(result.providers),
        str(len(result.rounds)),
        f"{result.outage_ms:.0f}",
        f"{result.double_ms:.0f}{limit}",
        recovery,
        str(result.lost),
        "[red]no[/red]" if result.faults else "[green]yes[/green]",
    )


def document(results: Sequence[Result], facts: Mapping[str, object]) -> Mapping[str, Any]:
    """All of it as JSON values, `facts` are of the run."""
    kinds = [asdict(each) | {"good": not each.faults, "faults": each.faults} for each in results]
    return {
        "unit": "milliseconds",
        **facts,
        "good": bool(kinds) and all(each["good"] for each in kinds),
        "kinds": kinds,
    }
