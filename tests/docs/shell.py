"""Runs a command of a page on a machine, as its administrator at a terminal would.

A program that asks the terminal for a password gets that of the laboratory. `export` and `cd` hold for the commands
that follow on the same machine.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.docs.machine import Machine
from tests.lab.slapd.slapd import PASSWORD

__all__ = ["Shell"]

_ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "COLUMNS": "120",
    "TERM": "dumb",
    "SYSTEMD_PAGER": "cat",
}
_STAYS: Final = ("export ", "cd ", "umask ")
_DEADLINE_S: Final = 30.0
_ASKS: Final = re.compile(rb"assword: ?$")


class Shell:
    """The terminal at one machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._before: list[str] = []

    def run(self, command: str, *, until: str = "") -> tuple[int, str]:
        """The exit code of a command and what it has printed, on both ways.

        One that goes on for ever gets Ctrl-C when it has said `until`.
        """
        with _terminal() as (ours, theirs), self._started(command, theirs) as process:
            try:
                output = _talk(process, ours, until)
                return process.wait(_DEADLINE_S), output
            except TimeoutError as error:
                os.killpg(process.pid, signal.SIGKILL)
                raise TimeoutError(f"{command} on {self._machine.name} did not end:\n{error}") from None
            finally:
                if command.startswith(_STAYS):
                    self._before.append(command)

    def _started(self, command: str, terminal: int) -> subprocess.Popen[bytes]:
        script = "\n".join(["set -o pipefail", *self._before, command])
        assignments = [f"{name}={value}" for name, value in _ENVIRONMENT.items()]
        return subprocess.Popen(
            self._machine.command(["env", "-i", *assignments, "bash", "-c", script]),
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(terminal, termios.TIOCSCTTY, 0),
        )


@contextmanager
def _terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    try:
        yield ours, theirs
    finally:
        os.close(ours)
        os.close(theirs)


def _talk(process: subprocess.Popen[bytes], terminal: int, until: str) -> str:
    """What a program prints up to its end; who asks for a password gets it, whichever way it asks.

    getpass(3) throws away what was typed before it asks, and nothing after.
    """
    assert process.stdout is not None
    said, deadline = b"", time.monotonic() + _DEADLINE_S
    while True:
        ready, _, _ = select.select([process.stdout, terminal], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError(said.decode())
        asked = os.read(terminal, 4096) if terminal in ready else b""
        if process.stdout in ready:
            printed = os.read(process.stdout.fileno(), 65536)
            if not printed:
                return said.decode()
            said, asked = said + printed, asked + printed
        if _ASKS.search(asked):
            os.write(terminal, f"{PASSWORD}\n".encode())
        if until and until.encode() in said:
            os.killpg(process.pid, signal.SIGINT)
            until = ""
