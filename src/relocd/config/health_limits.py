"""The ranges of the numbers that any `[[health]]` has, in a manifest and in relocd.toml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Final

from relocd.model.health import HealthLimits
from relocd.model.settings import LONGEST_S

__all__ = ["wrong_limits"]

_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "interval_s": (0.1, LONGEST_S),
    "timeout_s": (0.01, LONGEST_S),
    "fall": (1, 1000),
    "rise": (1, 1000),
    "start_s": (0, LONGEST_S),
    "restarts": (0, 1000),
}


def wrong_limits(limits: HealthLimits) -> Iterator[tuple[str, str]]:
    """The keys whose number is out of range, each with what to write."""
    for each in fields(limits):
        low, high = _RANGES[each.name]
        number = getattr(limits, each.name)
        if not low <= number <= high:  # NaN is in no range
            yield each.name, f"is {_shown(number)}; write a number from {low:g} to {high:g}"


def _shown(number: float) -> str:
    try:
        return f"{number:g}"
    except OverflowError:  # a whole number beyond all that a float can be
        return "far too large"
