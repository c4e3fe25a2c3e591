"""`./dev bench mass`: many services of one server at once: started, moved by one order, taken over from a dead server.

Each service has one address and one small file, and no unit. What is measured is what the kernels of both servers say:
when each address left the old server, and when it came to the new one.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console

from tests.lab.bench.mass_contenders import KeepalivedMass
from tests.lab.bench.mass_rigs import MassPair, MassRig, RelocdPair
from tests.lab.bench.mass_tables import table
from tests.lab.bench.movers import NODES, Route
from tests.lab.interrupts import INTERRUPTED, Interrupts
from tests.lab.machine import machine
from tests.lab.probers.kernels import AddressEvent

__all__ = ["SERIES", "add_arguments", "changed", "run"]

_DEADLINE_S: Final = 600.0

FIRST: Final = "first start"
START: Final = "start"
MOVE: Final = "move"
TAKEOVER: Final = "takeover"

SERIES: Final[Mapping[str, tuple[str, Callable[[MassRig], MassPair]]]] = {
    "relocd-cluster": ("relocd, one relocActive", partial(RelocdPair, by_links=False)),
    "relocd-links": ("relocd, many links", partial(RelocdPair, by_links=True)),
    "keepalived": ("keepalived, one instance", KeepalivedMass),
}
"""Pairs by name: what they are called, and how they are made."""


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to the addresses at once, in milliseconds.

    `back_ms`: after the trigger each was at the new server; `away_ms`: how long each was at no server, negative where
    it was at both, empty where it was at none before.
    """

    case: str
    back_ms: tuple[float, ...]
    away_ms: tuple[float, ...] = ()

    def as_json(self) -> Mapping[str, object]:
        """The figures that matter, and all others."""
        figures = {"services": len(self.back_ms), "first back": min(self.back_ms), "all back": max(self.back_ms)}
        if self.away_ms:
            figures |= {"away, median": median(self.away_ms), "away, worst": max(self.away_ms)}
        return {"figures": figures, "doubles": sum(each < 0 for each in self.away_ms), **asdict(self)}


@dataclass(slots=True)
class Result:
    """What a series has come to."""

    title: str
    changes: list[Change] = field(default_factory=list)

    def as_json(self) -> Mapping[str, object]:
        return {"title": self.title, "changes": [change.as_json() for change in self.changes]}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("--services", type=int, nargs="+", default=[200], metavar="N", help="how many at once [200]")
    parser.add_argument("--moves", type=int, default=2, metavar="N", help="moves in each series, an even number [2]")
    parser.add_argument("--series", nargs="+", choices=SERIES, default=list(SERIES), help="only these")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure to a file")


def run(chosen: argparse.Namespace) -> int:
    """Measure and print; the exit code is 0, or 130 when interrupted."""
    console = Console()
    interrupts = Interrupts()
    interrupts.begin()
    results: dict[int, dict[str, Result]] = {number: {} for number in chosen.services}
    before = os.getloadavg()
    try:
        for services, found in results.items():
            with interrupts.around(MassRig(services)) as rig:
                for name in chosen.series:
                    title, pair = SERIES[name]
                    console.print(f"{services} services: {title}", highlight=False)
                    found[name] = Result(title)
                    with interrupts.around(pair(rig)) as made:
                        _measure(rig, made, chosen.moves, found[name])
    except KeyboardInterrupt:
        console.print("interrupted; everything is removed")
        return INTERRUPTED
    document = {
        "unit": "milliseconds",
        "machine": machine(before),
        "series": {
            services: {name: result.as_json() for name, result in found.items()} for services, found in results.items()
        },
    }
    console.print(table(document))
    if chosen.json:
        chosen.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


def _measure(rig: MassRig, pair: MassPair, moves: int, result: Result) -> None:
    """Start, move back and forth, start again, die."""
    there, back = Route(*NODES), Route(*NODES[::-1])
    try:
        result.changes.append(_changed(rig, FIRST, back, partial(_now, partial(pair.start, back.new))))
        pair.start(there.new)
        pair.stand_by()
        for _ in range(moves):
            result.changes.append(_changed(rig, MOVE, there, partial(_now, partial(pair.move, there))))
            there, back = back, there
            pair.stand_by()
        pair.stop(there.old)
        result.changes.append(_changed(rig, START, back, partial(_now, partial(pair.start, back.new))))
        pair.stand_by()
        result.changes.append(_changed(rig, TAKEOVER, there, partial(pair.die, there)))
    except (TimeoutError, AssertionError) as error:
        raise TimeoutError(f"{result.title}: {error}\n{pair.log_text()}") from error


def _now(act: Callable[[], None]) -> int:
    """Do it; the moment just before."""
    began_ns = time.monotonic_ns()
    act()
    return began_ns


def _changed(rig: MassRig, case: str, route: Route, act: Callable[[], int]) -> Change:
    """Bring something about and wait until all addresses are at the new server; what the kernels said meanwhile."""
    since_ns = time.monotonic_ns()
    counted_ns = act()
    rig.wait_for(route.new, _DEADLINE_S)
    return changed(case, rig.kernels.events(since_ns), route, counted_ns)


def changed(case: str, events: Iterable[AddressEvent], route: Route, counted_ns: int) -> Change:
    """What events say about the way of addresses from one server to another. Pure."""
    left: dict[str, int] = {}
    came: dict[str, int] = {}
    for event in events:
        if event.host == route.new and event.here:
            came.setdefault(event.address, event.at_ns)
        elif event.host == route.old and not event.here:
            left[event.address] = event.at_ns
    away = tuple((at_ns - left[address]) / 1e6 for address, at_ns in came.items() if address in left)
    return Change(case, tuple((at_ns - counted_ns) / 1e6 for at_ns in came.values()), away)
