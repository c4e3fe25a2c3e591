"""The command line of `./dev faults`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from tests.lab.faults.campaign import Campaign, Case, cases
from tests.lab.faults.registry import KINDS
from tests.lab.faults.table import document, table
from tests.lab.faults.verdict import Result
from tests.lab.interrupts import INTERRUPTED, Interrupts
from tests.lab.machine import machine

__all__ = ["main"]

_WIDTH: Final = 110


def main() -> int:
    """Run the campaign; 0 when all is good, else 1, and 130 when interrupted."""
    chosen = _arguments().parse_args()
    if chosen.list:
        for name, kind in KINDS.items():
            print(f"{name:<20} {kind.what}")
        return 0
    console, before = Console(width=None if sys.stdout.isatty() else _WIDTH), os.getloadavg()
    asked = list(cases([KINDS[name] for name in chosen.kind], chosen.isolation, chosen.providers))
    results: list[Result] = []
    ended = _run(chosen, console, asked, results)
    console.print(table(results))
    if chosen.json:
        facts = {"machine": machine(before), "seed": chosen.seed, "lease_s": chosen.lease}
        chosen.json.write_text(json.dumps(document(results, facts), indent=1) + "\n")
    if ended:
        return ended
    return 0 if results and not any(each.faults for each in results) else 1


def _run(chosen: argparse.Namespace, console: Console, asked: Sequence[Case], results: list[Result]) -> int:
    """Collect the results; not 0 when it was interrupted."""
    interrupts = Interrupts()
    interrupts.begin()

    def tell(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    campaign = Campaign(chosen.rounds, chosen.lease, chosen.seed, interrupts, tell)
    try:
        results.extend(campaign.result(case) for case in asked)
    except KeyboardInterrupt:
        tell("interrupted; everything is removed")
        return INTERRUPTED
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./dev faults", description="faults on real servers, judged from outside")
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=list(KINDS), metavar="NAME", help="only these")
    parser.add_argument("--list", action="store_true", help="name the kinds and do nothing")
    parser.add_argument("--rounds", type=int, default=3, help="of each kind [3]")
    parser.add_argument("--lease", type=float, default=4.0, metavar="S", help="the lease of the agents [4]")
    parser.add_argument("--isolation", nargs="+", choices=("keep", "release"), default=["keep", "release"])
    parser.add_argument("--providers", nargs="+", type=int, choices=(1, 2), default=[1, 2])
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of what is left to chance [the time]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure and all evidence to a file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
