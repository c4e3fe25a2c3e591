"""`./dev fuzz --minutes N [--seed S] [--only NAME]`: the fuzzers, each for its share of the time."""

from __future__ import annotations

import argparse
import sys
import time
from itertools import count
from secrets import randbelow

from tests.fuzz.frame import Fuzzer, fault_of, fuzzers


def main() -> int:
    """Run them; the exit code is 1 after a fault, which is shown with its seed and its input."""
    names = [each.name for each in fuzzers()]
    parser = argparse.ArgumentParser(prog="./dev fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, metavar="N", help="for all of them together [1]")
    parser.add_argument("--seed", type=int, metavar="S", help="the first case's seed [a random one]")
    parser.add_argument("--only", choices=names, metavar="NAME", help="one of " + ", ".join(names))
    chosen = parser.parse_args()
    seed = randbelow(2**31) if chosen.seed is None else chosen.seed
    running = [each for each in fuzzers() if chosen.only in {None, each.name}]
    sound = [_is_sound(each, seed, chosen.minutes * 60 / len(running)) for each in running]
    return 0 if all(sound) else 1


def _is_sound(fuzzer: Fuzzer, first: int, seconds: float) -> bool:
    """Run cases for that long, or up to the first fault."""
    print(f"{fuzzer.name}: from seed {first}", flush=True)
    began = time.monotonic()
    for seed in count(first):
        fault = fault_of(fuzzer, seed)
        took_s = time.monotonic() - began
        if fault is not None:
            print(fault)
            return False
        if took_s >= seconds:
            cases = seed - first + 1
            print(f"{fuzzer.name}: {cases} cases, no fault, {cases / took_s:.0f} cases/s", flush=True)
            return True
    raise AssertionError("seeds do not end")


if __name__ == "__main__":
    sys.exit(main())
