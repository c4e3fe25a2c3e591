"""Limits of settings beyond their types: sensible ranges of numbers, absolute paths, no NUL. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import PurePosixPath
from typing import Final

from relocd.config.toml_lines import KeyPath
from relocd.model.settings import LONGEST_S, Settings

__all__ = ["unusable"]

_PATHS: Final = frozenset({"state", "run", "password_file", "ca_file", "cert_file", "key_file"})
_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "probes": (0, 100),
    "probe_interval_ms": (1, 10_000),
    "announce_burst": (0, 100),
    "realtime_priority": (0, 99),
    "spare_mib": (0, 65_536),
    "lease_s": (2, LONGEST_S),  # kernels count lifetimes in whole seconds
    "_s": (0.001, LONGEST_S),
    "_ms": (0, 60_000),
}
_NEVER: Final = frozenset({"announce_refresh_s"})
"""Where 0 means never."""


def unusable(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
    """Each setting that cannot be used, by the path of its key, and why."""
    for place, value in _values(settings, ()):
        if isinstance(value, str):
            yield from ((place, why) for why in _wrong_text(place, value))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield from ((place, why) for why in _wrong_number(str(place[-1]), value))
    for name, unit in settings.units.script.items():
        for key in ("start", "stop"):
            if not getattr(unit, key) or not getattr(unit, key)[0]:
                yield ("units", "script", name, key), "names no program; write a list of arguments, the program first"


def _values(value: object, place: KeyPath) -> Iterator[tuple[KeyPath, object]]:
    """Every single value with the path of its key."""
    if is_dataclass(value):
        for each in fields(value):
            yield from _values(getattr(value, each.name), (*place, each.name))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield place, name
            yield from _values(item, (*place, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from _values(item, place)
    else:
        yield place, value


def _wrong_text(place: KeyPath, text: str) -> Iterator[str]:
    if "\0" in text:
        yield f"has {text[:40]!r}, and no name may have a NUL; remove it"
    is_path = place[0] in {"directory", "paths"} and place[-1] in _PATHS | {"template_sets"}
    if is_path and text and not PurePosixPath(text).is_absolute():
        yield f"has {text[:40]!r}; write an absolute path: the agent runs in another folder"


def _wrong_number(key: str, number: float) -> Iterator[str]:
    low, high = _RANGES.get(key) or _RANGES["_" + key.rpartition("_")[2]]
    if not (low <= number <= high or (number == 0 and key in _NEVER)):  # NaN is in no range
        never = ", or 0 for never" if key in _NEVER else ""
        yield f"is {_shown(number)}; write a number from {low:g} to {high:g}{never}"


def _shown(number: float) -> str:
    try:
        return f"{number:g}"
    except OverflowError:  # a whole number beyond all that a float can be
        return "far too large"
