"""The port `HeartbeatRecord`: one small file in the run folder, a tmpfs, so that nothing is fsynced.

Times of the monotonic clock are valid until the next boot. So the file names the boot; a file of another boot, or one
that cannot be read or understood, is ignored.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from pathlib import Path
from typing import Any, Final

from relocd.adapters.files.durable import replace_file
from relocd.errors import Failed
from relocd.model.host import SentHeartbeats

__all__ = ["JsonHeartbeatRecord"]

_log = logging.getLogger(__name__)
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class JsonHeartbeatRecord:
    """The record in one JSON file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._complained = ""

    def load(self) -> SentHeartbeats:
        """The record of this boot, empty where there is no trustworthy one."""
        try:
            content = json.loads(self._path.read_bytes())
            same = content["boot"] == _boot() != ""
            return _understood(content) if same else SentHeartbeats()
        except FileNotFoundError:
            return SentHeartbeats()
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            self._complain(f"it is not used: {error!r}")
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
            self._complain(str(error))

    def _complain(self, problem: str) -> None:
        if problem != self._complained:
            self._complained = problem
            fields = {"file": str(self._path), "problem": problem}
            _log.warning("the record of heartbeats", extra={"fields": fields})


def _boot() -> str:
    """The identity of this boot, empty where the kernel does not give it."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


def _understood(content: dict[str, Any]) -> SentHeartbeats:
    confirmed_at = content["confirmed_at"]
    return SentHeartbeats(
        {str(stamp): _past(at) for stamp, at in content["sent"].items()},
        None if confirmed_at is None else _past(confirmed_at),
        _past(content["back_at"]),
        str(content["back_csn"]),
    )


def _past(at: object) -> float:
    """A past time of this boot; raises `ValueError` for anything else."""
    if not isinstance(at, int | float) or not 0 <= at <= time.monotonic():
        raise ValueError(f"{at!r} is not a past time")
    return float(at)
