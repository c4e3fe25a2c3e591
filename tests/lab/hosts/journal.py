"""A systemd-journald of the laboratory's own: it has its own /run/systemd and /run/log, and reads nothing else."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final, Self

from tests.lab.deadline import until
from tests.lab.hosts.folders import with_folders

__all__ = ["Journal"]

_PROGRAM: Final = "/lib/systemd/systemd-journald"
_CONFIG: Final = "[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nRateLimitBurst=0\n"


class Journal:
    """A journal, as a context manager; `systemd` is the folder that it sees as /run/systemd, `logs` as /run/log."""

    def __init__(self, systemd: Path, logs: Path) -> None:
        self.socket = systemd / "journal" / "socket"
        self._systemd, self._logs = systemd, logs
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        for folder in (self._systemd / "journald.conf.d", self._systemd / "journal", self._logs / "journal"):
            folder.mkdir(parents=True, exist_ok=True)
        (self._systemd / "journald.conf.d" / "lab.conf").write_text(_CONFIG)
        argv = with_folders([_PROGRAM], {"/run/systemd": self._systemd, "/run/log": self._logs})
        self._process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self.socket.exists)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def entries(self) -> list[dict[str, Any]]:
        """What relocd has sent so far, in order."""
        argv = ["journalctl", "-D", str(self._logs / "journal"), "-o", "json", "--all", "-t", "relocd"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def wait_for(self, **fields: str) -> dict[str, Any]:
        """The first entry with these fields."""
        return until(lambda: next((each for each in self.entries() if fields.items() <= each.items()), None))
