"""The agent's status in the run folder, readable by everyone: it holds no secret."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from pathlib import Path

from relocd.adapters.files.durable import replace_file
from relocd.errors import Failed

__all__ = ["JsonStatusFile"]

_log = logging.getLogger(__name__)


class JsonStatusFile:
    """The status in one JSON file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._complained = ""

    async def write(self, status: Mapping[str, object]) -> bool:
        """Replace the file; return whether that succeeded. A repeated failure is logged once."""
        content = json.dumps(status, indent=1).encode() + b"\n"
        try:
            await asyncio.to_thread(replace_file, self._path, content, mode=0o644, durable=False)
        except Failed as error:
            self._complain(str(error))
            return False
        self._complained = ""
        return True

    def _complain(self, problem: str) -> None:
        if problem != self._complained:
            self._complained = problem
            _log.warning("cannot write the status", extra={"fields": {"problem": problem}})
