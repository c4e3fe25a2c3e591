"""Atomic replacement of the agent's own small files: after a crash there is the old or the new one."""

from __future__ import annotations

import os
from pathlib import Path

from relocd.errors import Failed

__all__ = ["replace_file"]


def replace_file(path: Path, content: bytes, *, mode: int = 0o600, durable: bool = True) -> None:
    """Write a file beside and rename it; `durable` also waits for the disk. Raises `Failed` naming the file. Blocks."""
    aside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(content)
            file.flush()
            if durable:
                os.fsync(descriptor)
        aside.rename(path)
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        raise Failed(f"{path}: cannot be written ({error.strerror}); free or correct that folder") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
