"""`./dev demo`: two servers, a client, a real slapd, and a service that follows its link, timed.

Each series of moves has a scene of its own, built and removed by this program. It leaves nothing behind, also after
Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from tests.lab.figures import ELSEWHERE, Figures, as_json, judged
from tests.lab.interrupts import INTERRUPTED, Interrupts
from tests.lab.pair import SERVICES, Pair, ServicePlan
from tests.lab.show import Screen

__all__ = ["main"]

_PROBES: Final = 3
_READY_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Series:
    """Moves of one service, with or without the question on the wire whether its address is free."""

    service: ServicePlan
    probes: int

    @property
    def title(self) -> str:
        return f"{self.service.name}, wire probe {'on' if self.probes else 'off'}"

    @property
    def scale_ms(self) -> float:
        """How long the bars are."""
        return 100.0 if self.probes or self.service.watcher == "fetcher" else 25.0


def main() -> int:
    """Run the demo; the exit code is 0, 1 when a move was never answered, 130 when interrupted."""
    chosen = _arguments().parse_args()
    interrupts = Interrupts()
    interrupts.begin()
    screen = Screen(Console())
    results: dict[str, list[Figures]] = {}
    try:
        results.update(_all_series(chosen, screen, interrupts))
    except KeyboardInterrupt:
        screen.say("\ninterrupted; everything is removed")
        return INTERRUPTED
    screen.close(results)
    if chosen.json:
        chosen.json.write_text(json.dumps(_document(results), indent=1) + "\n")
    answered = all(value is not None for moves in results.values() for move in moves for value in move.answers.values())
    return 0 if answered else 1


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./dev demo", description="move services between two servers, timed")
    parser.add_argument("--moves", type=int, default=10, metavar="N", help="moves in each series [10]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure to a file")
    parser.add_argument(
        "--probe",
        action=argparse.BooleanOptionalAction,
        help="only with, or only without, asking the wire for the address first [both]",
    )
    return parser


def _all_series(
    chosen: argparse.Namespace, screen: Screen, interrupts: Interrupts
) -> Iterator[tuple[str, list[Figures]]]:
    services = tuple(SERVICES.values())
    if not shutil.which("nginx"):
        screen.say("nginx is not installed: only the echo service moves")
        services = (SERVICES["echo"],)
    for probes in _probe_counts(chosen.probe):
        screen.say(f"\nbuilding two servers, a client and a directory; {probes or 'no'} wire probes")
        with interrupts.around(Pair(services, probes=probes)) as pair:
            for service in services:
                series = Series(service, probes)
                yield series.title, _moved(pair, series, chosen.moves, screen)


def _probe_counts(wanted: bool | None) -> tuple[int, ...]:
    return {None: (0, _PROBES), False: (0,), True: (_PROBES,)}[wanted]


def _moved(pair: Pair, series: Series, count: int, screen: Screen) -> list[Figures]:
    """The figures of a series, shown as they come."""
    watches = pair.watches(series.service)
    screen.begin(series.title, list(watches))
    moves = []
    with ExitStack() as stack:
        for client, watch in watches.items():
            stack.enter_context(watch)
            if watch.until("node1", _READY_S) is None:
                raise TimeoutError(f"{series.service.name} never answered over {client}:\n{pair.said()}")
        for number in range(1, count + 1):
            moves.append(pair.move(series.service, number, watches))
            screen.move(moves[-1], series.scale_ms)
    return [judged(move, {client: watch.probes for client, watch in watches.items()}) for move in moves]


def _document(results: Mapping[str, Sequence[Figures]]) -> dict[str, object]:
    machine = {
        "kernel": platform.release(),
        "python": platform.python_version(),
        "processors": len(os.sched_getaffinity(0)),
        "load": os.getloadavg(),
    }
    return {
        "unit": "milliseconds after ldapmodify was started, except sent_ns (CLOCK_MONOTONIC)",
        "machine": machine,
        "series": {title: as_json(moves) for title, moves in results.items()},
        "measured elsewhere, not by this run": dict(ELSEWHERE),
    }


if __name__ == "__main__":
    sys.exit(main())
