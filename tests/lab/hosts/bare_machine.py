"""A bare Debian with the work tree in it: what a newcomer has who clones the repository on a fresh machine.

    with BareMachine("trixie") as machine:
        machine.run("./dev", "demo")

It is a root of its own in its own mount and process namespaces, with the network of the machine and its settings of
pip. Whatever is installed in it is gone at the end.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final, Self

from tests.lab.hosts.base_image import base_image
from tests.lab.probers.watch import REPOSITORY

__all__ = ["BareMachine"]

_DEADLINE_S: Final = 600.0
_TREE: Final = "/root/relocd"
# $1 is the root, the rest the command. What is mounted goes with the namespace.
_ENTER: Final = """
root=$1; shift
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
cd "$root"
mount --move . /
exec chroot . "$@"
"""
_PLAIN: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
_AUTHORITIES: Final = "/etc/ca-certificates.crt"
# The settings of this machine's package clients that are no secrets and no paths of its own.
_PIP: Final = (Path("/etc/pip.conf"),)


class BareMachine:
    """The machine within the `with` block; `release` is Debian's code name."""

    def __init__(self, release: str) -> None:
        self.release = release
        self._root = Path()

    def __enter__(self) -> Self:
        self._root = Path(tempfile.mkdtemp(prefix="bare-"))
        try:
            subprocess.run(["tar", "-xf", base_image(self.release), "-C", self._root], check=True, timeout=_DEADLINE_S)
            for settings in _PIP:
                if settings.exists():
                    shutil.copy(settings, self._root / "etc")
            shutil.copy("/etc/resolv.conf", self._root / "etc")
            self._copy_tree()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def run(self, *command: str, without: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command of the work tree as root, `without` a capability (`sys_admin`), to its end."""
        spaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"]
        less = ["setpriv", f"--bounding-set=-{without}", f"--inh-caps=-{without}"] if without else []
        inside = ["sh", "-c", 'cd "$0" && exec "$@"', _TREE, *command]
        environment = _PLAIN | dict.fromkeys(("PIP_CERT", "SSL_CERT_FILE"), _AUTHORITIES)
        return subprocess.run(
            [*spaces, "sh", "-ec", _ENTER, "sh", str(self._root), *less, *inside],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
            check=False,
        )

    def packages(self) -> frozenset[str]:
        """The names of the packages that are installed in it."""
        listed = self.run("dpkg-query", "--show", "--showformat=${Package}\\n")
        assert listed.returncode == 0, listed.stderr
        return frozenset(listed.stdout.split())

    def _copy_tree(self) -> None:
        """The files that git knows or would add, as a clone would bring them."""
        tree = self._root / _TREE.lstrip("/")
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=REPOSITORY, capture_output=True, text=True, check=True,
        )  # fmt: skip
        for name in filter(None, listed.stdout.split("\0")):
            if (REPOSITORY / name).exists():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(REPOSITORY / name, tree / name)

    def _remove(self) -> None:
        shutil.rmtree(self._root)
