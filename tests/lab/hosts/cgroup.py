"""A control group of this machine (version 2), for programs that make groups of their own below it.

    with ControlGroup("relocd-x") as group:
        subprocess.Popen(group.command(["unshare", "--cgroup", ...]))

Only a process that is in its group already gets a cgroup namespace with that group as the root.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

__all__ = ["ControlGroup"]

_DEADLINE_S: Final = 20.0


class ControlGroup:
    """One group, there within the `with` block; its processes must be gone, or dying, at the end."""

    def __init__(self, name: str) -> None:
        self._folder = _cgroup2() / name

    def __enter__(self) -> Self:
        self._folder.mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        deadline = time.monotonic() + _DEADLINE_S
        while not self._is_gone():
            assert time.monotonic() < deadline, f"{self._folder} stays busy"
            time.sleep(0.01)

    def command(self, argv: Sequence[str]) -> list[str]:
        """The argument list that runs a program in the group."""
        return ["sh", "-c", 'echo $$ >"$0/cgroup.procs"; exec "$@"', str(self._folder), *argv]

    def _is_gone(self) -> bool:
        with contextlib.suppress(OSError):  # a group is busy until the last of its processes has been reaped
            for folder, _, _ in os.walk(self._folder, topdown=False):
                Path(folder).rmdir()
        return not self._folder.exists()


def _cgroup2() -> Path:
    """Where this host has mounted control groups, version 2."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return next(Path(mount[1]) for mount in mounts if mount[2] == "cgroup2")
