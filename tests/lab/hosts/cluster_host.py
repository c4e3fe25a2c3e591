"""A host of a `Lan` that is also a machine of its own, for daemons that believe they have one: cluster managers.

It has its own mount, UTS, IPC and PID namespace and a first process that reaps. Its disk is `folder`: what it writes to
one of `DISK` is there again after `power_off` and `power_on`, and begins with what Debian's packages have put there.
Every user must be able to pass through `folder`, in which all may be written. `/run`, `/dev/shm` and `/var/tmp` are
memory, and the rest is the real machine's, for reading only. A cluster manager that wants to reboot the machine finds
no trigger for it, and one that writes to the console does not stall the real one.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Self

from tests.lab.hosts.folders import with_folders
from tests.lab.hosts.hosts import Host

__all__ = ["DISK", "ClusterHost"]

DISK: Final = (
    "/etc/corosync",
    "/etc/ha.d",
    "/etc/keepalived",
    "/etc/pacemaker",
    "/etc/relocd",
    "/usr/lib/ocf/resource.d/relocd",
    "/var/lib/corosync",
    "/var/lib/heartbeat",
    "/var/lib/pacemaker",
    "/var/log",
)
_EMPTY: Final = frozenset({"/var/log"})
_REAPER: Final = Path(__file__).with_name("reaper.py")
_NAMESPACES: Final = ("--mount", "--uts", "--ipc", "--pid", "--net")
_DEADLINE_S: Final = 20.0
# Done on the machine before its first program: $0 is its name, $1 its folder. What belongs to the real machine is for
# reading only. A container may have no such file to cover.
_SETUP: Final = """\
hostname "$0"
for place in /run /dev/shm /var/tmp; do
    mount -t tmpfs tmpfs "$place"
done
mount --rbind "$1" "$1"
for place in / "$1"/disk/real-*; do
    mount -o remount,bind,ro "$place"
done
shift
for file in /proc/sysrq-trigger /dev/console; do
    [ ! -e "$file" ] || mount --bind /dev/null "$file"
done
exec "$@"
"""


class ClusterHost:
    """One machine, as a context manager: it is up in the block, unless it is switched off, and gone after it."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.host = host
        self.name = host.name
        self._folder = folder
        self._disk = {inside: folder / "disk" / inside.strip("/").replace("/", "-") for inside in DISK}
        self._logs = folder / "logs"
        self._machine: subprocess.Popen[str] | None = None
        self._started: list[subprocess.Popen[Any]] = []

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True)
        for inside, place in self._disk.items():
            place.mkdir(parents=True)
            if Path(inside).is_dir() and inside not in _EMPTY:
                subprocess.run(["cp", "-a", f"{inside}/.", str(place)], check=True, timeout=_DEADLINE_S)
        self._boot()
        return self

    def __exit__(self, *_: object) -> None:
        if self._machine is not None:
            self._kill()

    def place(self, inside: str) -> Path:
        """Where a path below one of `DISK` really is."""
        for start, own in self._disk.items():
            if inside == start or inside.startswith(start + "/"):
                return own / inside[len(start) :].lstrip("/")
        raise KeyError(f"{inside} is on none of the folders of this machine: {', '.join(DISK)}")

    def write(self, inside: str, text: str, *, mode: int = 0o644) -> None:
        """Write a file of the machine's disk."""
        path = self.place(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def command(self, argv: Sequence[str]) -> list[str]:
        """The argument list that runs a program on this machine."""
        return ["nsenter", f"--target={self._first}", *_NAMESPACES, "--", *argv]

    def start(self, argv: Sequence[str], **environment: str) -> subprocess.Popen[Any]:
        """Start a daemon in the foreground; its output is in `log_text`. It ends with the machine at the latest."""
        with (self._logs / Path(argv[0]).name).open("ab") as log:
            process = subprocess.Popen(
                self.command(argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | environment,
            )
        self._started.append(process)
        return process

    def run(self, argv: Sequence[str], *, timeout: float = _DEADLINE_S) -> str:
        """Run a program on this machine to its successful end; what it has printed."""
        done = self._ended(argv, timeout)
        if done.returncode:
            raise RuntimeError(f"{shlex.join(argv)} on {self.name} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def succeeds(self, argv: Sequence[str]) -> bool:
        """Whether a program ends here with success."""
        return self._ended(argv, _DEADLINE_S).returncode == 0

    def power_off(self) -> None:
        """Everything here is dead at once, and the network hears no word of it."""
        self.host.cut()
        self._kill()

    def power_on(self) -> None:
        """Start it again, with its disk and with none but its own addresses."""
        self.host.reset()
        self.host.heal()
        self._boot()

    def log_text(self) -> str:
        """The last words of the daemons, for an error's message."""
        logs = [*self._logs.iterdir(), *(path for path in self.place("/var/log").rglob("*") if path.is_file())]
        return "\n".join(f"--- {self.name} {log.name}\n{log.read_text(errors='replace')[-4000:]}" for log in logs)

    def wait_until(self, holds: Callable[[], object], what: str, timeout_s: float = _DEADLINE_S) -> None:
        """Return as soon as something is so; raises `TimeoutError` with the last words of the daemons."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {timeout_s:g} s on {self.name}: {what}\n{self.log_text()}")
            time.sleep(0.05)

    def _ended(self, argv: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(argv), capture_output=True, text=True, timeout=timeout, check=False)

    @property
    def _first(self) -> int:
        """The first process of the machine, by its number outside."""
        if self._machine is None:
            raise RuntimeError(f"{self.name} is off; power_on() it first")
        parent = self._machine.pid
        return int(Path(f"/proc/{parent}/task/{parent}/children").read_text())

    def _boot(self) -> None:
        inner = ["sh", "-ec", _SETUP, self.name, str(self._folder), sys.executable, str(_REAPER)]
        namespaces = ["--mount", "--uts", "--ipc", "--pid", "--fork", "--mount-proc", "--kill-child=KILL"]
        argv = ["unshare", *namespaces, *with_folders(inner, self._disk)]
        with (self._logs / "machine").open("ab") as log:
            pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": log}
            self._machine = self.host.start(argv, text=True, **pipes)
        assert self._machine.stdout is not None
        if self._machine.stdout.readline() != "up\n":
            raise RuntimeError(f"{self.name} did not come up:\n{self.log_text()}")

    def _kill(self) -> None:
        """Kill the first process: the kernel kills the others."""
        assert self._machine is not None
        if self._machine.poll() is None:
            os.kill(self._first, signal.SIGKILL)
        for process in (self._machine, *self._started):
            process.wait(_DEADLINE_S)
        assert self._machine.stdout is not None
        self._machine.stdout.close()
        self._machine = None
        self._started.clear()
