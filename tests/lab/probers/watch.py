"""A probing program at work on a client, seen from the test: what it tells live, and all its probes at the end."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Final, Self

from tests.lab.hosts.hosts import Host
from tests.lab.probers.judgement import Probe, read_probes

__all__ = ["REPOSITORY", "Change", "Watch", "program"]

REPOSITORY: Final = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Change:
    """Another host began to answer; `silent_ns` is how long no host had answered, None for the first."""

    host: str
    sent_ns: int
    answered_ns: int
    silent_ns: int | None


def program(host: Host, module: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a program of the laboratory on a host and wait until it says that it is ready."""
    argv = [sys.executable, "-m", f"tests.lab.{module}", *arguments]
    process = host.start(argv, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    if process.stdout is None or process.stdout.readline() != "ready\n":
        raise RuntimeError(f"{module} did not start on {host.name}")
    return process


class Watch:
    """A prober or a fetcher, as a context manager; `probes` are there once the block has ended."""

    def __init__(self, client: Host, output: Path, module: str, arguments: Sequence[str]) -> None:
        self.probes: list[Probe] = []
        self._client = client
        self._output = output
        self._module = module
        self._arguments = arguments
        self._changes: Queue[Change] = Queue()

    def __enter__(self) -> Self:
        self._process = program(self._client, self._module, "--output", str(self._output), *self._arguments)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._reader.join(10)
        if kind is None:
            self.probes = read_probes(self._output)

    def until(self, host: str, timeout_s: float) -> Change | None:
        """The next change to a host, None when there is none in time."""
        try:
            while (change := self._changes.get(timeout=timeout_s)).host != host:
                pass
        except Empty:
            return None
        return change

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._changes.put(Change(**json.loads(line)))
