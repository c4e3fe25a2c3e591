"""What the tests of configuration files share: a look at a folder, and programs such as mount."""

from __future__ import annotations

import subprocess
from pathlib import Path

__all__ = ["PATIENCE_S", "names", "run"]

PATIENCE_S = 10.0


def names(folder: Path) -> list[str]:
    """Everything in a folder, with what is hidden."""
    return sorted(entry.name for entry in folder.iterdir())


def run(*argv: object) -> None:
    """Run a program that has to succeed."""
    subprocess.run([str(argument) for argument in argv], check=True, timeout=PATIENCE_S)
