"""A monotonic clock that a test turns on, for the parts of the agent that look at the time themselves."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import pytest

__all__ = ["Clock"]


@dataclass
class Clock:
    """Stands for the module `time` in the modules that it is set in; waiting goes by the real time as ever."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now

    def set_in(self, monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> None:
        """Let these modules go by this clock."""
        for module in modules:
            monkeypatch.setattr(module, "time", self)
