"""The triggers that come with relocd, and the path where a cluster manager looks for each.

They are plain shell scripts in `relocd/install/scripts`. Their common part is copied into each when it is installed, so
that each is a single file that needs no other file of relocd on the machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from relocd.errors import Failed

__all__ = ["TRIGGERS", "Target", "Trigger", "install", "targets"]

_FOLDER: Final = Path(__file__).with_name("scripts")
_SETTINGS: Final = "etc/relocd/trigger.conf"
_SHARED: Final = "trigger.sh"
_INCLUDE: Final = f'# shellcheck source-path=SCRIPTDIR source={_SHARED}\n. "$(dirname "$0")/{_SHARED}"\n'


@dataclass(frozen=True, slots=True)
class Trigger:
    """The scripts of one cluster manager with their paths, and what is left for the administrator to do."""

    scripts: tuple[tuple[str, str], ...]
    hint: str


TRIGGERS: Final = {
    "heartbeat": Trigger(
        (("heartbeat.sh", "etc/ha.d/resource.d/relocd"),),
        "in /etc/ha.d/haresources: node1 relocd::web",
    ),
    "pacemaker": Trigger(
        (
            ("pacemaker.sh", "usr/lib/ocf/resource.d/relocd/service"),
            ("pacemaker-alert.sh", "etc/pacemaker/relocd-alert"),
        ),
        "pcs resource create web ocf:relocd:service service=web; "
        "and, with stonith: pcs alert create path=/etc/pacemaker/relocd-alert",
    ),
    "keepalived": Trigger(
        (("keepalived.sh", "etc/keepalived/relocd-notify"),),
        'in a vrrp_instance of /etc/keepalived/keepalived.conf: notify "/etc/keepalived/relocd-notify web"',
    ),
}


@dataclass(frozen=True, slots=True)
class Target:
    """One file to install; a `kept` one exists and belongs to the administrator."""

    path: Path
    content: str
    mode: int
    kept: bool = False

    @property
    def is_there(self) -> bool:
        """Whether nothing needs to be written."""
        try:
            return self.kept or (
                self.path.read_text() == self.content and self.path.stat().st_mode & 0o777 == self.mode
            )
        except OSError:
            return False


def targets(name: str, root: Path) -> tuple[Target, ...]:
    """The files of a trigger below a root, settings last."""
    scripts = tuple(Target(root / place, _whole(source), 0o755) for source, place in TRIGGERS[name].scripts)
    settings = root / _SETTINGS
    return (*scripts, Target(settings, _read(settings.name), 0o644, kept=settings.exists()))


def install(files: tuple[Target, ...]) -> Iterator[Target]:
    """Write the missing files, each atomically; yields what was written. Raises `Failed`."""
    for file in files:
        if not file.is_there:
            _write(file)
            yield file


def _write(file: Target) -> None:
    beside = file.path.with_name(f".{file.path.name}.new")
    try:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(file.content)
        beside.chmod(file.mode)
        beside.rename(file.path)
    except OSError as error:
        raise Failed(f"{file.path} cannot be written ({error}); run this as root, or name another --root") from error


def _whole(source: str) -> str:
    """A script with the common part in place of the line that would read it."""
    return _read(source).replace(_INCLUDE, _read(_SHARED))


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
