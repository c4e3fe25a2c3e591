"""`./dev trace [NAME ...] [--verbose]`: run the journeys and print what each enters."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.journeys.link import link
from tests.journeys.move import move
from tests.journeys.parameter import parameter
from tests.journeys.recorder import Journey, common

_RUNS: Final = 5
_JOURNEYS: Final[Mapping[str, Callable[[Path], Journey]]] = {
    "link": lambda _: asyncio.run(link()),
    "parameter": lambda folder: asyncio.run(parameter(folder)),
    "move": move,
}


def main() -> None:
    """Trace the journeys that are named, or all of them."""
    parser = argparse.ArgumentParser(prog="./dev trace", description="Count what three journeys through relocd enter.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(_JOURNEYS)} [all]")
    parser.add_argument("--verbose", action="store_true", help="print each file, in order, and each class")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(_JOURNEYS):
        parser.error(f"there is no journey {', '.join(sorted(unknown))}")
    for name in chosen.names or _JOURNEYS:
        _print(common([_traced(name) for _ in range(_RUNS)]), verbose=chosen.verbose)


def _traced(name: str) -> Journey:
    with tempfile.TemporaryDirectory() as folder:
        return _JOURNEYS[name](Path(folder))


def _print(journey: Journey, *, verbose: bool) -> None:
    rooms = Counter(file.rpartition("/")[0] or "relocd" for file in journey.files)
    by_room = ", ".join(f"{room} {number}" for room, number in sorted(rooms.items()))
    print(journey.title)
    print(f"    files entered: {len(journey.files)} ({by_room})")
    print(f"    classes instantiated: {len(journey.classes)}")
    for what, number in journey.counts.items():
        print(f"    {what.replace('_', ' ')}: {number}")
    if verbose:
        print(*(f"    {number:>3}  {file}" for number, file in enumerate(journey.files, 1)), sep="\n")
        print(*(f"         {name}" for name in journey.classes), sep="\n")


if __name__ == "__main__":
    main()
