"""The files in the run folder, a tmpfs: lock, mode, status, record of heartbeats. They are gone after a boot.

So nothing is fsynced. Each file is read with its own rule for one that is damaged.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from relocd.adapters.files.durable import replace_file
from relocd.errors import Failed, Fatal
from relocd.model.host import SentHeartbeats
from relocd.model.settings import LOCK_NAME, RETRY_NAME
from relocd.model.status import Mode

__all__ = ["JsonHeartbeatRecord", "JsonStatusFile", "ModeFile", "sole"]

_log = logging.getLogger(__name__)


@contextmanager
def sole(folder: Path) -> Iterator[None]:
    """Hold the lock that allows one acting process on a server; raises `Fatal` that names the process which holds it.

    The kernel releases it when the process ends, however it ends.
    """
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


class ModeFile:
    """The port `Orders`: one word, the mode, which `relocd pause`, `relocd drain` and `relocd resume` write.

    Beside it is the folder in which `relocd retry` leaves a file for each order.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._retries = path.with_name(RETRY_NAME)
        self._known: Mode | None = None
        self.problem = ""

    def mode(self) -> Mode:
        """The mode in the file; `normal` where there is no file.

        While it cannot be read or understood, the mode that was read last stays, and `problem` says why. Where none was
        read yet it is `paused`: an administrator has set a mode, and it was not the normal one.
        """
        try:
            word = self._path.read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return self._read(Mode.NORMAL)
        except OSError as error:
            return self._unusable(f"cannot be read ({error.strerror})")
        if word not in set(Mode):
            return self._unusable(f"says {word[:40]!r}, not one of {', '.join(Mode)}")
        return self._read(Mode(word))

    def retries(self) -> Sequence[str]:
        """The services that files of the folder `retry` name; each file is removed, whatever is in it."""
        try:
            files = sorted(each for each in self._retries.iterdir() if not each.name.startswith("."))
        except OSError:  # there is no such folder
            return ()
        return tuple(filter(None, map(_taken, files)))

    def _read(self, mode: Mode) -> Mode:
        self._known, self.problem = mode, ""
        return mode

    def _unusable(self, why: str) -> Mode:
        mode = self._known or Mode.PAUSED
        problem = f"{self._path} {why}; the agent stays {mode} until `relocd resume`, pause or drain"
        if problem != self.problem:
            self.problem = problem
            _log.warning("mode unknown", extra={"fields": {"file": str(self._path), "problem": problem}})
        return mode


def _taken(file: Path) -> str:
    """The name in a file, which is removed; empty where it cannot be read or removed: it would be read for ever."""
    try:
        name = file.read_text(encoding="utf-8", errors="replace").strip()
        file.unlink()
    except OSError as error:
        _log.warning("cannot take an order", extra={"fields": {"file": str(file), "problem": str(error)}})
        return ""
    return name


class JsonStatusFile:
    """The agent's status in one JSON file, readable by everyone: it holds no secret."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._logged = ""

    async def write(self, status: Mapping[str, object]) -> bool:
        """Replace the file; return whether that succeeded. A repeated failure is logged once."""
        content = json.dumps(status, indent=1).encode() + b"\n"
        try:
            await asyncio.to_thread(replace_file, self._path, content, mode=0o644, durable=False)
        except Failed as error:
            self._warn_once(str(error))
            return False
        self._logged = ""
        return True

    def _warn_once(self, problem: str) -> None:
        if problem != self._logged:
            self._logged = problem
            _log.warning("cannot write the status", extra={"fields": {"problem": problem}})


_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class JsonHeartbeatRecord:
    """The port `HeartbeatRecord`: one JSON file.

    Times of the monotonic clock are valid until the next boot. So the file names the boot; a file of another boot, or
    one that cannot be read or understood, is ignored.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._logged = ""

    def load(self) -> SentHeartbeats:
        """The record of this boot, empty where there is no trustworthy one."""
        try:
            content = json.loads(self._path.read_bytes())
            same = content["boot"] == _boot() != ""
            return _sent_heartbeats(content) if same else SentHeartbeats()
        except FileNotFoundError:
            return SentHeartbeats()
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            self._warn_once(f"it is not used: {error!r}")
            return SentHeartbeats()

    async def keep(self, sent: SentHeartbeats) -> None:
        """Replace the file; a failure is logged once."""
        content = {
            "boot": _boot(),
            "sent": dict(sent.sent),
            "confirmed_at": sent.confirmed_at,
            "back_at": sent.back_at,
            "back_csn": sent.back_csn,
        }
        try:
            await asyncio.to_thread(replace_file, self._path, json.dumps(content).encode(), durable=False)
        except Failed as error:
            self._warn_once(str(error))

    def _warn_once(self, problem: str) -> None:
        if problem != self._logged:
            self._logged = problem
            fields = {"file": str(self._path), "problem": problem}
            _log.warning("the record of heartbeats", extra={"fields": fields})


def _boot() -> str:
    """The identity of this boot, empty where the kernel does not give it."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


def _sent_heartbeats(content: dict[str, Any]) -> SentHeartbeats:
    confirmed_at = content["confirmed_at"]
    return SentHeartbeats(
        {str(stamp): _past_time(at) for stamp, at in content["sent"].items()},
        None if confirmed_at is None else _past_time(confirmed_at),
        _past_time(content["back_at"]),
        str(content["back_csn"]),
    )


def _past_time(at: object) -> float:
    """A past time of this boot; raises `ValueError` for anything else."""
    if not isinstance(at, int | float) or not 0 <= at <= time.monotonic():
        raise ValueError(f"{at!r} is not a past time")
    return float(at)
