"""An engine of Docker's of our own, for images without a registry and containers without a trace on this machine.

    with Engine() as engine:
        with engine.running(online=True):
            engine.load(base, "debian:bookworm-slim")
        with engine.running():
            engine.run(["docker", "ps"])

It runs in namespaces: its processes end with it, whatever becomes of them, and its bridges and mounts are nobody
else's. What it keeps is in a temporary folder. Only `online`, to build, it uses the network of the machine, on which it
makes nothing. It has control groups of version 2, as today's machines have, also where the machine's are older.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self

from tests.lab.deadline import until
from tests.lab.hosts.cgroup import ControlGroup

__all__ = ["Engine"]

_DEADLINE_S: Final = 30.0
_COMMAND_S: Final = 600.0

# The group of the engine itself is no parent of others: that is what control groups want.
_BOOT: Final = """
set -e
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir /sys/fs/cgroup/engine
echo 1 >/sys/fs/cgroup/engine/cgroup.procs
ip link set lo up
exec dockerd "$@"
"""
_OPTIONS: Final = ("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false",
                   "--exec-opt=native.cgroupdriver=cgroupfs")  # fmt: skip


class Engine:
    """One engine with its images, as a context manager; it runs within the blocks of `running`."""

    def __init__(self) -> None:
        self.folder = Path()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="docker-")))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextmanager
    def running(self, *, online: bool = False) -> Iterator[None]:
        """The engine at work: in a network of its own, or in that of the machine."""
        with ControlGroup(f"relocd-{self.folder.name}") as group, (self.folder / "log").open("ab") as log:
            spaces = ["--mount", "--pid", "--cgroup", *([] if online else ["--net"])]
            unshare = ["unshare", *spaces, "--fork", "--mount-proc", "--kill-child=KILL"]
            argv = group.command([*unshare, "sh", "-c", _BOOT, "sh", *_OPTIONS, *self._places()])
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                until(lambda: self._answers(process), _DEADLINE_S)
                yield
            finally:
                _end(process)

    def run(self, argv: Sequence[str], *, more: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
        """Run a program that speaks with this engine; what it prints. Raises `RuntimeError` when it fails."""
        environment = {**os.environ, "DOCKER_HOST": self._socket, "DOCKER_BUILDKIT": "0", **(more or {})}
        done = subprocess.run(
            argv, env=environment, cwd=cwd, capture_output=True, text=True, timeout=_COMMAND_S, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{argv} failed with {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
        return done.stdout

    def load(self, tarball: Path, name: str, *settings: str) -> None:
        """Make an image of a tarball, with instructions of a Dockerfile."""
        changes = (f"--change={setting}" for setting in settings)
        self.run(["docker", "import", *changes, str(tarball), name])

    @property
    def _socket(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    def _places(self) -> list[str]:
        places = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
        return [*(f"--{option}={self.folder / place}" for option, place in places.items()), "-H", self._socket]

    def _answers(self, process: subprocess.Popen[Any]) -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"dockerd has ended:\n{(self.folder / 'log').read_text()[-4000:]}")
        asked = ["docker", "-H", self._socket, "version"]
        return subprocess.run(asked, capture_output=True, timeout=_DEADLINE_S, check=False).returncode == 0


def _end(unshare: subprocess.Popen[Any]) -> None:
    """Let the engine end, so that what it keeps is whole; then kill whatever is left in its namespaces."""
    if unshare.poll() is None:
        children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            unshare.wait(_DEADLINE_S if children else 0)
    unshare.kill()
    unshare.wait()
