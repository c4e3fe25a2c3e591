from __future__ import annotations

import time
from contextlib import suppress
from random import Random

import pytest

from tests.fuzz import frame
from tests.fuzz.frame import Fuzzer, Hang, fault_of, fuzzers, given


@pytest.mark.parametrize("fuzzer", fuzzers(), ids=lambda each: each.name)
def test_no_input_of_a_fixed_set_meets_a_fault(fuzzer: Fuzzer):
    for seed in range(fuzzer.cases):
        fault = fault_of(fuzzer, seed)
        assert fault is None, str(fault)


def _fails_on_a_large_number(random: Random) -> None:
    numbers = [random.randrange(1000) for _ in range(random.randrange(20))]
    with given(numbers=numbers):
        if any(number > 500 for number in numbers):
            raise ZeroDivisionError


def test_a_fault_is_found_again_by_its_seed_and_is_made_small():
    fuzzer = Fuzzer("numbers", _fails_on_a_large_number, 1)
    found = next(fault for seed in range(100) if (fault := fault_of(fuzzer, seed)))

    assert fault_of(fuzzer, found.seed) == found
    assert "ZeroDivisionError" in found.smallest
    assert len(found.smallest) <= len(found.first)
    numbers = found.smallest.splitlines()[-1].partition("[")[2].rstrip("]").split(", ")
    assert sum(number != "0" for number in numbers) == 1, "one number is enough for this fault"


def test_a_case_that_does_not_end_is_a_fault(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(frame, "CASE_S", 0.05)
    monkeypatch.setattr(frame, "_SHRINKING_S", 0.0)

    def case(random: Random) -> None:
        while True:
            with suppress(Exception):  # as a careless caller does
                time.monotonic()

    fault = fault_of(Fuzzer("endless", case, 1), 0)
    assert fault is not None
    assert Hang.__name__ in fault.first
