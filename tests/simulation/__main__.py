"""`./dev simulate --runs N [--seed S]`: many schedules of the handover rules, or one with its trace."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.mutants import right
from tests.simulation.schedule import Violation, run, schedule, shrunk
from tests.simulation.view import Direct, Mirrored


def main() -> int:
    """Run the schedules; the exit code is 1 after a violation, which is shown shrunk."""
    parser = argparse.ArgumentParser(prog="./dev simulate", description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000, metavar="N", help="schedules to run [10000]")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="the first one's seed [0]")
    parser.add_argument("--providers", type=int, default=1, choices=(1, 2), help="of the directory [1]")
    parser.add_argument("--mirror", action="store_true", help="agents see through the real mirror; slower")
    chosen = parser.parse_args()
    seeing = Mirrored if chosen.mirror else Direct
    started = time.monotonic()
    for seed in range(chosen.seed, chosen.seed + chosen.runs):
        planned = schedule(seed, chosen.providers, seeing)
        try:
            run(planned, right)
        except Violation as violation:
            print(f"seed {seed}: {shrunk(planned, right) or violation}")
            return 1
    print(f"{chosen.runs} schedules, no violation, {time.monotonic() - started:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
