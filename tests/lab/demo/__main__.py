"""`./dev demo`: two servers, a client, a real slapd, and a service that follows its link, timed.

The rig is built and removed by this program. It leaves nothing behind, also after Ctrl-C or SIGTERM.
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
from pathlib import Path
from typing import Final

from rich.console import Console

from tests.lab.demo.pair import SERVICES, Pair, ServicePlan
from tests.lab.demo.show import Screen
from tests.lab.interrupts import INTERRUPTED, Interrupts
from tests.lab.probers.figures import ELSEWHERE, Figures, as_json, judged

__all__ = ["main"]

_READY_S: Final = 20.0


# How long the bars are, by the program that watches the service.
_SCALE_MS: Final = {"prober": 25.0, "fetcher": 100.0}


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
    return parser


def _all_series(
    chosen: argparse.Namespace, screen: Screen, interrupts: Interrupts
) -> Iterator[tuple[str, list[Figures]]]:
    services = tuple(SERVICES.values())
    if not shutil.which("nginx"):
        screen.say("nginx is not installed: only the echo service moves")
        services = (SERVICES["echo"],)
    screen.say("building two servers, a client and a directory")
    with interrupts.around(Pair(services)) as pair:
        for service in services:
            yield service.name, _moved(pair, service, chosen.moves, screen)


def _moved(pair: Pair, service: ServicePlan, count: int, screen: Screen) -> list[Figures]:
    """The figures of a series, shown as they come."""
    watches = pair.watches(service)
    screen.begin(service.name, list(watches))
    moves = []
    with ExitStack() as stack:
        for client, watch in watches.items():
            stack.enter_context(watch)
            if watch.until("node1", _READY_S) is None:
                raise TimeoutError(f"{service.name} never answered over {client}:\n{pair.log_text()}")
        for number in range(1, count + 1):
            moves.append(pair.move(service, number, watches))
            screen.move(moves[-1], _SCALE_MS[service.watcher])
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
