"""The agent's systemd unit: `relocd/install/relocd.service` with the path of this installation in it."""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path
from typing import Final

from relocd.errors import Failed
from relocd.install.triggers import Target

__all__ = ["HINT", "unit_target"]

HINT: Final = "systemctl daemon-reload && systemctl enable --now relocd"

_SOURCE: Final = Path(__file__).with_name("relocd.service")
_PLACE: Final = "etc/systemd/system/relocd.service"
_PROGRAM: Final = "@RELOCD@"


def unit_target(root: Path) -> Target:
    """The unit below a root; raises `Failed` when this installation has no command `relocd`."""
    content = _SOURCE.read_text(encoding="utf-8").replace(_PROGRAM, quoted(_program()))
    return Target(root / _PLACE, content, 0o644)


def quoted(path: str) -> str:
    """A path as one word of a command line in a unit (systemd.service(5), "Command lines")."""
    for special, written in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        path = path.replace(special, written)
    return f'"{path}"' if " " in path or "\\" in path else path


def _program() -> str:
    """The path of the `relocd` command of this environment; an upgrade in place needs no new unit."""
    beside = Path(sysconfig.get_path("scripts")) / "relocd"
    found = str(beside) if beside.exists() else shutil.which("relocd")
    if found is None:
        raise Failed(f"{beside} is missing and no relocd is on the PATH; install relocd again")
    return found
