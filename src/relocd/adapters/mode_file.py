"""The port `Orders`: what a person has told the agent, one word in the run folder, so that it ends with the boot."""

from __future__ import annotations

import logging
from pathlib import Path

from relocd.model.mode import Mode

__all__ = ["ModeFile"]

_log = logging.getLogger(__name__)


class ModeFile:
    """The file `relocd pause`, `relocd drain` and `relocd resume` write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._complained = ""

    def mode(self) -> Mode:
        """The word in the file; `normal` where there is none or it cannot be understood, which is logged once."""
        try:
            word = self._path.read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return Mode.NORMAL
        except OSError as error:
            return self._unusable(f"cannot be read ({error.strerror})")
        if word not in set(Mode):
            return self._unusable(f"says {word[:40]!r}, not one of {', '.join(Mode)}; run `relocd resume`")
        return Mode(word)

    def _unusable(self, problem: str) -> Mode:
        if problem != self._complained:
            self._complained = problem
            _log.warning("the mode is not used", extra={"fields": {"file": str(self._path), "problem": problem}})
        return Mode.NORMAL
