"""A machine on which the commands of a page can be run as they stand: `systemctl`, `journalctl`, `/etc/relocd`.

It is a host of a `Lan` with a systemd of its own, a journal, and an own `/etc`, `/var/lib`, `/var/log`, `/run`, `/tmp`,
`/root`, `/opt`, `/srv`, `/usr/local` and `/usr/lib/ocf`. All else is the real machine's, for reading only: a
command that would write anywhere else fails. `/opt/relocd` is the environment that runs the tests.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from tests.lab.hosts.hosts import Host
from tests.lab.hosts.systemd import Systemd

__all__ = ["TREE", "Machine"]

TREE: Final = Path(__file__).parents[2]
_DEADLINE_S: Final = 30.0
# $1 is the tree that the tests run from, $2 systemd's folder of units, $3 the environment, $4 the machine's name. The
# environment's copy of the template sets is as old as itself, so the tree's take its place. A folder in which only
# copies of the real one's files may be changed is copied; the others begin empty.
_OWN: Final = """
mkdir /run/real /run/tree /run/units /run/environment
mount --rbind "$1" /run/tree
mount --rbind "$3" /run/environment
mount --bind "$2" /run/units
for place in /etc /usr/lib/ocf; do
    mount --bind "$place" /run/real
    mount -t tmpfs -o mode=755 tmpfs "$place"
    cp -a /run/real/. "$place"
    umount /run/real
done
for place in /var/lib /var/log /var/tmp /srv /opt /root /tmp /usr/local; do
    mount -t tmpfs -o mode=755 tmpfs "$place"
done
chmod 1777 /tmp /var/tmp
mkdir -p /usr/local/bin /usr/local/sbin "$1" "$2" "$3" /opt/relocd /etc/relocd /etc/systemd/system
mount --rbind /run/tree "$1"
mount --rbind /run/environment "$3"
mount --rbind /run/environment /opt/relocd
mount --bind "$1/templates" /opt/relocd/lib/python3*/site-packages/relocd/template_sets
mount --bind /run/units "$2"
mount --bind /run/units /etc/systemd/system
for place in / "$1" "$3" /opt/relocd; do
    mount -o remount,bind,ro "$place"
done
hostname "$4"
"""
_JOURNAL: Final = {
    "systemd-journald.socket": """
        [Unit]
        DefaultDependencies=no
        [Socket]
        ListenDatagram=/run/systemd/journal/socket
        ListenStream=/run/systemd/journal/stdout
        PassCredentials=yes
        """,
    "systemd-journald.service": """
        [Unit]
        DefaultDependencies=no
        Requires=systemd-journald.socket
        [Service]
        Type=notify
        ExecStart=/lib/systemd/systemd-journald
        StandardOutput=null
        """,
    "multi-user.target": "[Unit]",
    "network-online.target": "[Unit]",
}
# What only a laboratory needs: the tree of the tests may lie in a folder that a unit has an own one of.
_DROP_INS: Final = {
    "service": "[Service]\nStandardOutput=journal\nStandardError=journal\n",
    # The agent's unit hides where this machine has its tree.
    "relocd.service": f"[Service]\nBindReadOnlyPaths={TREE} {sys.prefix}\n",
}


class Machine:
    """One machine, up within the `with` block and gone after it."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.name = host.name
        self.systemd = Systemd(host)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.systemd)
            self.run(["sh", "-ec", _OWN, "sh", str(TREE), str(self.systemd.folder), sys.prefix, self.name])
            for name, text in _JOURNAL.items():
                self.systemd.install(name, *text.splitlines())
            for unit, text in _DROP_INS.items():
                drop_in = self.systemd.folder / f"{unit}.d" / "laboratory.conf"
                drop_in.parent.mkdir()
                drop_in.write_text(text)
            self.systemd.systemctl("daemon-reload")
            self.systemd.systemctl("start", "systemd-journald.service")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def command(self, argv: Sequence[str]) -> list[str]:
        """The argument list that runs a program on this machine."""
        return self.systemd.command(argv)

    def run(self, argv: Sequence[str], *, text: str = "") -> str:
        """Run a program to its successful end; what it has printed."""
        done = subprocess.run(
            self.command(argv), input=text, capture_output=True, text=True, timeout=_DEADLINE_S, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{argv} on {self.name} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def write(self, path: str, text: str, *, mode: str = "644") -> None:
        """Write a file of this machine, and the folder around it."""
        script = 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"'
        self.run(["sh", "-ec", script, "sh", path, mode], text=text)
