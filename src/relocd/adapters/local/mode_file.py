"""The port `Orders`: the mode that an administrator has set, one word in the run folder, valid until the next boot."""

from __future__ import annotations

import logging
from pathlib import Path

from relocd.model.status import Mode

__all__ = ["ModeFile"]

_log = logging.getLogger(__name__)


class ModeFile:
    """The file that `relocd pause`, `relocd drain` and `relocd resume` write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: Mode | None = None
        self.problem = ""

    def mode(self) -> Mode:
        """The mode in the file; `normal` where there is no file.

        While it cannot be read or understood, the mode that was read last stays, and `problem` says why. Where none was
        read yet it is `paused`: an administrator has set a mode, and it was not the normal one.
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
            _log.warning("mode unknown", extra={"fields": {"file": str(self._path), "problem": problem}})
        return mode
