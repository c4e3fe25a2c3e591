"""A process that hangs: stopped by a signal, with all its threads, and going on later as if nothing had been."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Final

__all__ = ["pause", "resume"]

_DEADLINE_S: Final = 20.0


def pause(pid: int) -> None:
    """SIGSTOP, and wait until every thread has stopped."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + _DEADLINE_S
    while not _is_stopped(pid):
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {pid} is not stopped after {_DEADLINE_S:g} s")
        time.sleep(0.001)


def resume(pid: int) -> None:
    """SIGCONT."""
    os.kill(pid, signal.SIGCONT)


def _is_stopped(pid: int) -> bool:
    stats = (path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat"))
    return all(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)
