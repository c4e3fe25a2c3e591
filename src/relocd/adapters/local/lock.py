"""The lock that allows one acting process on a server, a file in the run folder, held until the process ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from relocd.errors import Fatal
from relocd.model.settings import LOCK_NAME

__all__ = ["sole"]


@contextmanager
def sole(folder: Path) -> Iterator[None]:
    """Hold the lock; raises `Fatal` that names the process which holds it."""
    path = folder / LOCK_NAME
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise Fatal(f"{path}: cannot be opened ({error.strerror}); correct [paths] run") from error
    try:
        try:
            _take(path, descriptor)
        except OSError as error:
            raise Fatal(f"{path}: cannot be locked ({error.strerror}); make room, or correct [paths] run") from error
        yield
    finally:
        os.close(descriptor)


def _take(path: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
        raise Fatal(f"an agent already runs on this server (process {holder} holds {path}); stop it first") from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
