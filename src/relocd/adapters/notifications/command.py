"""A program that gets each notification on its standard input."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from relocd.adapters.units.commands import ended
from relocd.errors import Failed, Unavailable

__all__ = ["CommandTarget"]


class CommandTarget:
    """Runs the program without a shell, for at most `timeout_s`; one that fails is run again later."""

    name = "command"

    def __init__(self, arguments: Sequence[str], timeout_s: float) -> None:
        self._arguments = tuple(arguments)
        self._timeout_s = timeout_s
        self.shown = shlex.quote(self._arguments[0])

    async def send(self, body: bytes) -> str:
        """Run it once; returns how it ended, raises `Unavailable` for anything but success."""
        try:
            result = await ended(self._arguments, self._timeout_s, body)
        except Failed as error:
            raise Unavailable(str(error)) from error
        if result.status != 0:
            raise Unavailable(f"{self.shown} {result.reason}")
        return result.reason
