"""How fuzzers are found and run: a seed and a time limit for each case, and a fault made small before it is shown."""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from random import Random

__all__ = ["Fault", "Fuzzer", "Hang", "fault_of", "fuzzers", "given"]

CASE_S = 5.0
"""How long one case may take, by the wall clock."""
_SHRINKING_S = 20.0


class Hang(BaseException):
    """A case took too long; no `except Exception` of the code under test swallows it."""


@dataclass(frozen=True, slots=True)
class Fuzzer:
    """One module's cases."""

    name: str
    case: Callable[[Random], None]
    cases: int


@dataclass(frozen=True, slots=True)
class Fault:
    """What a case raised, with the seed that reproduces it, and the same of the smallest input that was found."""

    fuzzer: str
    seed: int
    first: str
    smallest: str

    def __str__(self) -> str:
        smaller = "" if self.smallest == self.first else f"\n--- the smallest input found ---\n{self.smallest}"
        again = f"./dev fuzz --only {self.fuzzer} --seed {self.seed}"
        return f"{self.fuzzer}: seed {self.seed} fails; reproduce: {again}\n{self.first}{smaller}"


def fuzzers() -> list[Fuzzer]:
    """Every module of this folder that is a fuzzer, by name."""
    names = [each.name for each in iter_modules([str(Path(__file__).parent)])]
    modules = [import_module(f"tests.fuzz.{name}") for name in names if not name.startswith(("test_", "__"))]
    found = (Fuzzer(each.NAME, each.case, getattr(each, "CASES", 300)) for each in modules if hasattr(each, "case"))
    return sorted(found, key=lambda each: each.name)


def fault_of(fuzzer: Fuzzer, seed: int) -> Fault | None:
    """Run the case of a seed; None when it meets no fault."""
    drawn = _Recorded(seed)
    first = _failure(fuzzer, drawn)
    if first is None:
        return None
    return Fault(fuzzer.name, seed, _told(first), _smallest(fuzzer, drawn.draws, first))


@contextmanager
def given(**inputs: object) -> Iterator[None]:
    """Say with any error of the block what the input was."""
    try:
        yield
    except BaseException as error:
        for name, value in inputs.items():
            error.add_note(f"given {name}: {value!r}"[:4000])
        raise


class _Recorded(Random):
    """A random source that remembers what it gave."""

    def __init__(self, seed: int) -> None:
        self.draws: list[float] = []
        super().__init__(seed)

    def random(self) -> float:
        return self._kept(super().random())

    def getrandbits(self, k: int, /) -> int:
        return int(self._kept(super().getrandbits(k)))

    def _kept(self, value: float) -> float:
        self.draws.append(value)
        return value


class _Replayed(Random):
    """A random source that gives what was recorded and then zeros: the first choice, the shortest list."""

    def __init__(self, draws: list[float]) -> None:
        self._draws = iter(draws)
        super().__init__(0)

    def random(self) -> float:
        return float(next(self._draws, 0)) % 1.0

    def getrandbits(self, k: int, /) -> int:
        return int(next(self._draws, 0)) & ((1 << k) - 1)


def _failure(fuzzer: Fuzzer, random: Random) -> BaseException | None:
    try:
        with _limited():
            fuzzer.case(random)
    except (Exception, Hang) as error:  # noqa: BLE001 - whatever it is, it is a fault to report
        return error
    return None


def _smallest(fuzzer: Fuzzer, draws: list[float], fault: BaseException) -> str:
    """The same kind of fault with as few and as small draws as are found in some seconds."""
    until = time.monotonic() + _SHRINKING_S
    told, block = _told(fault), max(1, len(draws) // 2)
    while block and time.monotonic() < until:
        for start in range(0, len(draws), block):
            for tried in _smaller(draws, start, block):
                found = _failure(fuzzer, _Replayed(tried)) if time.monotonic() < until else None
                if type(found) is type(fault) and _place(found) == _place(fault):
                    draws, told = tried, _told(found)
                    break
        block //= 2
    return told


def _smaller(draws: list[float], start: int, length: int) -> Iterator[list[float]]:
    """Without a block of draws, and with zeros in its place."""
    yield draws[:start] + draws[start + length :]
    if any(draws[start : start + length]):
        yield draws[:start] + [0] * len(draws[start : start + length]) + draws[start + length :]


def _place(error: BaseException) -> str:
    return traceback.extract_tb(error.__traceback__)[-1].filename


def _told(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).rstrip()


@contextmanager
def _limited() -> Iterator[None]:
    """Raise `Hang` in the block after the time of a case; what the alarm was set to before is set again."""

    def ring(*_: object) -> None:
        raise Hang(f"the case took longer than {CASE_S:g} s")

    began, former = time.monotonic(), signal.signal(signal.SIGALRM, ring)
    left_s, _ = signal.setitimer(signal.ITIMER_REAL, CASE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
        if left_s:
            signal.setitimer(signal.ITIMER_REAL, max(left_s - (time.monotonic() - began), 0.001))
