"""`./dev simulate --runs N [--seed S]`: many schedules of the handover rules, or one with its trace."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.mutants import right
from tests.simulation.schedule import Violation, run, shrunk


def main() -> int:
    """Run the schedules; the exit code is 1 after a violation, which is shown shrunk."""
    parser = argparse.ArgumentParser(prog="./dev simulate", description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000, metavar="N", help="schedules to run [10000]")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="the first one's seed [0]")
    chosen = parser.parse_args()
    started = time.monotonic()
    for seed in range(chosen.seed, chosen.seed + chosen.runs):
        try:
            run(seed, right)
        except Violation as violation:
            print(f"seed {seed}: {shrunk(seed, right) or violation}")
            return 1
    print(f"{chosen.runs} schedules, no violation, {time.monotonic() - started:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
