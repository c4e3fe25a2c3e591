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
        self._known: Mode | None = None
        self.problem = ""

    def mode(self) -> Mode:
        """The word in the file; `normal` where there is no file.

        While that cannot be read or understood, the mode that was read last stays, and `problem` says why. Where none
        was read yet it is `paused`: a person has said something, and whatever it was, it was not to go on as usual.
        """
        try:
            word = self._path.read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return self._read(Mode.NORMAL)
        except OSError as error:
            return self._unusable(f"cannot be read ({error.strerror})")
        if word not in set(Mode):
            return self._unusable(f"says {word[:40]!r}, not one of {', '.join(Mode)}")
        return self._read(Mode(word))

    def _read(self, mode: Mode) -> Mode:
        self._known, self.problem = mode, ""
        return mode

    def _unusable(self, why: str) -> Mode:
        mode = self._known or Mode.PAUSED
        problem = f"{self._path} {why}; the agent stays {mode} until `relocd resume`, pause or drain"
        if problem != self.problem:
            self.problem = problem
            _log.warning("the mode is not known", extra={"fields": {"file": str(self._path), "problem": problem}})
        return mode
