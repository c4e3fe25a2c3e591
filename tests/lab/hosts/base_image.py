"""A bare Debian as a tarball, made from the machine's own Debian sources and kept for a week in `.cache/`."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Final

from tests.lab.probers.watch import REPOSITORY

__all__ = ["base_image"]

_KEPT_S: Final = 7 * 86400.0
_DEADLINE_S: Final = 600.0


def base_image(release: str) -> Path:
    """The tarball of a release, by its code name; it is made when there is none, or when it is old."""
    tarball = REPOSITORY / ".cache" / f"{release}.tar"
    if not tarball.exists() or time.time() - tarball.stat().st_mtime > _KEPT_S:
        tarball.parent.mkdir(exist_ok=True)
        subprocess.run(
            [REPOSITORY / "tests/lab/hosts/base_image.sh", tarball, release], check=True, timeout=_DEADLINE_S
        )
    return tarball
