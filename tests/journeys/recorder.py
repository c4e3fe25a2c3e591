"""What a journey enters: files, classes and calls of chosen functions, counted by Python's profiler.

Counted from `start` to `stop`, or until a chosen function is entered, in the thread that starts it and in those that
begin meanwhile:

- files: those below `src/relocd` of which a function is entered. An import alone does not count, nor what another
  process does.
- classes: those of relocd whose `__init__` runs, also a generated one. An instance without `__init__` is not seen.
- calls: of each function that is asked for by its file and name. Do not ask for coroutines: each resumption is a call.

The agent has other work as well, as its status. So a journey of the agent is run several times, and only what every
run entered counts (`common`).
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import FrameType
from typing import Any, Final, Self

import relocd

__all__ = ["Function", "Journey", "Recorder", "common", "once"]

_SOURCE: Final = f"{Path(relocd.__file__).parent}/"

Function = tuple[str, str]
"""A function by the end of its file's path and its name."""

Weight = Callable[[Mapping[str, Any]], int]
"""What one call counts, by the function's arguments."""


@dataclass(frozen=True, slots=True)
class Journey:
    """What was counted; `files` below `src/relocd` in the order in which they were entered first."""

    title: str
    files: tuple[str, ...]
    classes: tuple[str, ...]
    counts: Mapping[str, int] = field(default_factory=dict)


class Recorder:
    """Records what is entered; calls of `functions` are counted, and entering `end` ends the journey."""

    def __init__(self, functions: Mapping[Function, Weight], end: Function = ("", "")) -> None:
        self._files: dict[str, None] = {}
        self._classes: set[str] = set()
        self._functions = {**functions, end: self._end}
        self._names = {name for _, name in self._functions}
        self.calls: Counter[Function] = Counter()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to record."""
        threading.setprofile(self._entered)
        sys.setprofile(self._entered)

    def stop(self) -> None:
        """Record no more in this thread and in new ones."""
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]

    def journey(self, title: str, **counts: int) -> Journey:
        """What was recorded, with what else was counted."""
        return Journey(title, tuple(self._files), tuple(sorted(self._classes)), counts)

    def _end(self, _: Mapping[str, Any]) -> int:
        self.stop()
        return 1

    def _entered(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event != "call" or not code.co_flags & CO_OPTIMIZED:  # the code of modules and class bodies is not optimized
            return
        if code.co_filename.startswith(_SOURCE):
            self._files.setdefault(code.co_filename.removeprefix(_SOURCE))
        if code.co_name in self._names:
            self._count(frame)
        if code.co_name == "__init__" and code.co_varnames:
            self._note_class(type(frame.f_locals.get(code.co_varnames[0])))

    def _count(self, frame: FrameType) -> None:
        for (file, name), weight in self._functions.items():
            if frame.f_code.co_name == name and frame.f_code.co_filename.endswith(f"/{file}"):
                self.calls[file, name] += weight(frame.f_locals)

    def _note_class(self, kind: type) -> None:
        if kind.__module__.startswith("relocd."):
            self._classes.add(f"{kind.__module__}.{kind.__qualname__}")


def once(_: Mapping[str, Any]) -> int:
    """Each call counts one."""
    return 1


def common(runs: Sequence[Journey]) -> Journey:
    """What all runs of one journey entered; the counts are those of the run with the fewest."""
    files = frozenset[str].intersection(*(frozenset(run.files) for run in runs))
    classes = frozenset[str].intersection(*(frozenset(run.classes) for run in runs))
    return Journey(
        runs[0].title,
        tuple(file for file in runs[0].files if file in files),
        tuple(sorted(classes)),
        {name: min(run.counts[name] for run in runs) for name in runs[0].counts},
    )
