"""A root of its own: the file system of this machine as it is, and whatever is done in it is gone at the end.

    with Root() as root:
        root.run("dpkg", "--install", "/tmp/relocd.deb")

It is an overlay with a tmpfs above, in a mount namespace: dpkg in it knows this machine's packages and changes a copy
of their records. It has a /run and a /tmp of its own, no systemd, and the network of its maker.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final, Self

__all__ = ["Root"]

_DEADLINE_S: Final = 120.0
_MAKE: Final = """
set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mount -t tmpfs tmpfs "$1/root/run"
mount -t tmpfs tmpfs "$1/root/tmp"
echo made
exec cat
"""


class Root:
    """The root within the `with` block."""

    def __init__(self) -> None:
        self._folder = Path()
        self._keeper: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="root-"))
        argv = ["unshare", "--mount", "sh", "-c", _MAKE, "sh", str(self._folder)]
        self._keeper = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._keeper.stdout is not None
        if self._keeper.stdout.readline() != "made\n":
            self._remove()
            raise RuntimeError("the root could not be made; the message is above")
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def path(self, inside: str) -> Path:
        """A file of the root from outside, through the process that keeps its namespace."""
        assert self._keeper is not None
        return Path(f"/proc/{self._keeper.pid}/root{self._folder}/root{inside}")

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program of the root as its administrator."""
        assert self._keeper is not None
        enter = ["nsenter", f"--target={self._keeper.pid}", "--mount", "--", "chroot", f"{self._folder}/root"]
        plain = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"]
        done: subprocess.CompletedProcess[Any] = subprocess.run(
            [*enter, *plain, *command], capture_output=True, text=True, timeout=_DEADLINE_S, check=False
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def _remove(self) -> None:
        assert self._keeper is not None
        self._keeper.communicate(timeout=_DEADLINE_S)  # the end of its input, and with it of the namespace
        self._folder.rmdir()
