"""`./dev bench move`: the planned move of one service address, by hand, by relocd and by keepalived.

All in one run, on the same hosts, before the same client that asks once a millisecond. The series take turns: in each
round every mover starts afresh, makes its share of the moves and ends, so that what else the machine does meets all
of them, and none is disturbed by the daemons of another.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console

from tests.lab.bench.move_tables import tables
from tests.lab.bench.movers import NODES, ByHand, KeepalivedPair, Mover, RelocdPair, Rig, Route
from tests.lab.interrupts import INTERRUPTED, Interrupts
from tests.lab.machine import machine
from tests.lab.probers.figures import Figures, as_json, judged
from tests.lab.probers.watch import Watch
from tests.lab.scenarios.keepalived import Way
from tests.lab.usage import family_rss_mb, settled, usage

__all__ = ["SERIES", "add_arguments", "run"]

_CLIENT: Final = "IPv4"
_READY_S: Final = 20.0
_ANSWER_S: Final = 10.0
_QUIET_S: Final = 0.3
_ROUNDS: Final = 5
_SLOW_MOVES: Final = 10


@dataclass(frozen=True, slots=True)
class Series:
    """Moves by one mover in one way; `limit` is for one that takes seconds for each."""

    title: str
    trigger: str
    mover: Callable[[Rig], Mover]
    limit: int | None = None

    def moves(self, wanted: int) -> int:
        return wanted if self.limit is None else min(wanted, self.limit)


_ASIDE: Final = "a watched file: fault"
_YIELD: Final = "a watched file: priority"

SERIES: Final = {
    "by-hand": Series("by hand", "a line to a running program", ByHand),
    "relocd": Series("relocd", "ldapmodify, one link", RelocdPair),
    "keepalived-10ms": Series("keepalived 10 ms, aside", _ASIDE, partial(KeepalivedPair, advert_s=0.01, way=Way.ASIDE)),
    "keepalived-1s": Series("keepalived 1 s, aside", _ASIDE, partial(KeepalivedPair, advert_s=1, way=Way.ASIDE)),
    "keepalived-10ms-yield": Series(
        "keepalived 10 ms, yield", _YIELD, partial(KeepalivedPair, advert_s=0.01, way=Way.YIELD)
    ),
    "keepalived-1s-yield": Series(
        "keepalived 1 s, yield", _YIELD, partial(KeepalivedPair, advert_s=1, way=Way.YIELD), _SLOW_MOVES
    ),
}


@dataclass(frozen=True, slots=True)
class Idle:
    """What the daemons on the server that holds the address take while nothing happens."""

    cpu_percent: float
    rss_mb: float
    pss_mb: float


@dataclass(slots=True)
class Result:
    """What a series has come to so far; `holders` are, after each move, the servers whose kernels have the address."""

    series: Series
    moves: list[Figures] = field(default_factory=list)
    holders: list[list[str]] = field(default_factory=list)
    idle: Idle | None = None

    def as_json(self) -> dict[str, object]:
        idle = asdict(self.idle) if self.idle else None
        facts = {"title": self.series.title, "trigger": self.series.trigger, "idle": idle, "holders": self.holders}
        return facts | as_json(self.moves)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("--moves", type=int, default=50, metavar="N", help="moves in each series [50]")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="in how many turns they are made [5]")
    parser.add_argument("--series", nargs="+", choices=SERIES, default=list(SERIES), help="only these")
    parser.add_argument("--idle-seconds", type=float, default=5.0, help="how long idle daemons are looked at [5]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure to a file")


def run(chosen: argparse.Namespace) -> int:
    """Measure and print; the exit code is 0, or 130 when interrupted."""
    console = Console()
    interrupts = Interrupts()
    interrupts.begin()
    results = {name: Result(SERIES[name]) for name in chosen.series}
    before = os.getloadavg()
    try:
        _measure(chosen, results, console, interrupts)
    except KeyboardInterrupt:
        console.print("interrupted; everything is removed")
        return INTERRUPTED
    document = {
        "unit": "milliseconds, after just before the trigger; sent_ns is CLOCK_MONOTONIC",
        "machine": machine(before),
        "rounds": chosen.rounds,
        "series": {name: result.as_json() for name, result in results.items()},
    }
    for table in tables(document):
        console.print(table)
    if chosen.json:
        chosen.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


def _measure(
    chosen: argparse.Namespace, results: Mapping[str, Result], console: Console, interrupts: Interrupts
) -> None:
    console.print("building two servers, a client and a directory")
    with interrupts.around(Rig()) as rig:
        for number in range(chosen.rounds):
            for result in results.values():
                count = _share(result.series.moves(chosen.moves), number, chosen.rounds)
                if count:
                    console.print(f"round {number + 1}: {result.series.title}, {count} moves", highlight=False)
                    with interrupts.around(result.series.mover(rig)) as mover:
                        _block(rig, mover, result, count)
                        result.idle = result.idle or _idle(rig, mover, chosen.idle_seconds)


def _share(total: int, number: int, rounds: int) -> int:
    """How many moves of a series belong to one of the rounds; the first ones get the rest."""
    return total // rounds + (number < total % rounds)


def _block(rig: Rig, mover: Mover, result: Result, count: int) -> None:
    """Some moves one after another, from node1 on, judged when the client has ended."""
    moves: list[Figures] = []
    with ExitStack() as stack:
        watch = stack.enter_context(rig.watch())
        if watch.until(NODES[0], _READY_S) is None:
            raise TimeoutError(f"{result.series.title}: the address never answered\n{mover.log_text()}")
        time.sleep(_QUIET_S)  # not a synchronisation: also the first move is judged by the time before it
        for number in range(count):
            route = Route(*NODES[:: -1 if number % 2 else 1])
            moves.append(_move(mover, watch, route, len(result.moves) + number + 1))
            result.holders.append(_held(rig, mover, route))
            mover.settle(route)
    result.moves += [judged(move, {_CLIENT: watch.probes}) for move in moves]


def _move(mover: Mover, watch: Watch, route: Route, number: int) -> Figures:
    """One move and the client's first answer from the new server."""
    sent_ns = time.monotonic_ns()
    mover.move(route)
    change = watch.until(route.new, _ANSWER_S)
    if change is None:
        raise TimeoutError(f"{route.new} did not answer after move {number}\n{mover.log_text()}")
    time.sleep(_QUIET_S)  # not a synchronisation: the pause that a move is followed by
    answers = {_CLIENT: (change.answered_ns - sent_ns) / 1e6}
    return Figures(number, *route, sent_ns, steps={}, answers=answers, share=None)


def _held(rig: Rig, mover: Mover, route: Route) -> list[str]:
    """The servers that have the address after a move: only the new one, or the bench ends here."""
    holders = rig.holders()
    if holders != [route.new]:
        raise RuntimeError(f"the address went to {route.new} but these have it: {holders}\n{mover.log_text()}")
    return holders


def _idle(rig: Rig, mover: Mover, seconds: float) -> Idle | None:
    """The cost of a mover's daemons on the holder, None for one that has none."""
    daemons = mover.daemons()
    if not daemons:
        return None
    pid = daemons[rig.holders()[0]]
    before = settled(pid)
    time.sleep(seconds)  # not a synchronisation: the time that is measured
    after = usage(pid)
    cpu = (after.cpu_ms - before.cpu_ms) / (seconds * 1000) * 100
    return Idle(cpu, family_rss_mb(pid), after.family_mb)
