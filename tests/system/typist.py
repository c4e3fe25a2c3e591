"""Somebody at a terminal: an interactive shell on a pseudo terminal, to which keys are sent and which is read.

They look before they type on: what zsh finds typed ahead of it, it does not complete.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

__all__ = ["PROMPT", "Typist"]

PROMPT: Final = "ready> "
_DEADLINE_S: Final = 30.0


class Typist:
    """A shell within the `with` block."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self._unread = ""
        self._argv = list(argv)
        self._environment = dict(environment)
        self._folder = folder
        self._pid = 0
        self._terminal = -1

    def __enter__(self) -> Self:
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.chdir(self._folder)
            os.execvpe(self._argv[0], self._argv, self._environment)  # noqa: S606
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._terminal)

    def types(self, keys: str, shown: str) -> None:
        """Press keys, and wait until that text has been shown since the last time."""
        os.write(self._terminal, keys.encode())
        deadline = time.monotonic() + _DEADLINE_S
        while shown not in self._unread:
            readable, _, _ = select.select([self._terminal], [], [], max(0.0, deadline - time.monotonic()))
            assert readable, f"after {keys!r} no {shown!r}, but {self._unread!r}"
            self._unread += os.read(self._terminal, 65536).decode(errors="replace")
        self._unread = self._unread.partition(shown)[2]
