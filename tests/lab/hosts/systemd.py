"""A real systemd: PID 1 of namespaces of its own, with a control group, a /run and a system bus of its own.

    with Systemd() as systemd:
        systemd.install("web.service", "[Service]", "ExecStart=sleep infinity")
        systemd.systemctl("start", "web.service")

It knows the units of `folder` and no others, so it has booted in a moment. Every process in it dies with it. Its
network is one of its own without an interface, or that of a host of a `Lan`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Self

from tests.lab.hosts.cgroup import ControlGroup
from tests.lab.hosts.hosts import Host

__all__ = ["Systemd"]

_DEADLINE_S: Final = 20.0

# As a container: no hardware, no console, no log. The host's own control groups and /run are out of its sight.
_BOOT: Final = """
set -e
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind /dev/null /dev/console
if [ -e /proc/sysrq-trigger ]; then mount --bind /dev/null /proc/sysrq-trigger; fi
exec env -i container=relocd PATH="$PATH" \
    SYSTEMD_UNIT_PATH="$1" SYSTEMD_GENERATOR_PATH=/run/none SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/run/none \
    /lib/systemd/systemd --unit=lab.target --log-target=null --show-status=no --default-standard-output=null
"""

_UNITS: Final = {
    # What every service depends on by default.
    "sysinit.target": "[Unit]",
    "basic.target": "[Unit]",
    "shutdown.target": "[Unit]",
    "lab.target": """
        [Unit]
        DefaultDependencies=no
        Requires=dbus.socket dbus.service
        After=dbus.socket dbus.service
        """,
    "dbus.socket": """
        [Unit]
        DefaultDependencies=no
        [Socket]
        ListenStream=/run/dbus/system_bus_socket
        """,
    "dbus.service": """
        [Unit]
        DefaultDependencies=no
        Requires=dbus.socket
        [Service]
        Type=notify
        ExecStart=dbus-daemon --system --address=systemd: --nofork --nopidfile --systemd-activation
        """,
}


class Systemd:
    """One systemd, running within the `with` block."""

    def __init__(self, host: Host | None = None) -> None:
        self.folder = Path()
        self._host = host
        self.pid = 0
        self._group: ControlGroup | None = None
        self._unshare: subprocess.Popen[Any] | None = None

    @property
    def bus_address(self) -> str:
        """The D-Bus address of its system bus, from outside."""
        return f"unix:path=/proc/{self.pid}/root/run/dbus/system_bus_socket"

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="systemd-"))
        try:
            for name, text in _UNITS.items():
                self.install(name, *text.splitlines())
            self._boot()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def install(self, name: str, *lines: str) -> None:
        """Write a unit file; systemd finds a new one by itself, for a changed one it needs `daemon-reload`."""
        (self.folder / name).write_text("".join(f"{line.strip()}\n" for line in lines))

    def systemctl(self, *arguments: str) -> str:
        """Run systemctl as its administrator; what it prints."""
        result = self._inside("systemctl", *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def property(self, unit: str, name: str) -> str:
        """A property of a unit as systemctl shows it."""
        return self.systemctl("show", "--value", "--property", name, unit).strip()

    def _boot(self) -> None:
        self._group = ControlGroup(f"relocd-{self.folder.name}").__enter__()
        network = [] if self._host else ["--net"]
        spaces = ["--mount", "--pid", "--ipc", "--uts", "--cgroup", "--fork", "--kill-child=KILL", *network]
        argv = ["unshare", *spaces, "sh", "-c", _BOOT, "sh", str(self.folder)]
        argv = self._host.command(argv) if self._host else argv
        self._unshare = subprocess.Popen(self._group.command(argv), stdin=subprocess.DEVNULL)
        _until(self._has_child, "unshare has not made its child")
        _until(self._answers, "systemd does not answer on its bus")

    def _has_child(self) -> bool:
        assert self._unshare is not None
        pid = self._unshare.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self.pid = int(children[0]) if children else 0
        return bool(self.pid)

    def _answers(self) -> bool:
        assert self._unshare is not None
        assert self._unshare.poll() is None, "systemd has ended; the message is above"
        ping = ("busctl", "call", "org.freedesktop.systemd1", "/", "org.freedesktop.DBus.Peer", "Ping")
        return self._inside(*ping).returncode == 0

    def command(self, argv: Sequence[str]) -> list[str]:
        """The argument list that runs a program in all of its namespaces."""
        return ["nsenter", f"--target={self.pid}", "--all", "--", *argv]

    def _inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        argv = self.command(command)
        return subprocess.run(argv, check=False, capture_output=True, text=True, timeout=_DEADLINE_S)

    def _remove(self) -> None:
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        if self._unshare is not None:
            self._unshare.kill()
            self._unshare.wait()
        if self._group is not None:
            self._group.__exit__()
        shutil.rmtree(self.folder)


def _until(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.01)
