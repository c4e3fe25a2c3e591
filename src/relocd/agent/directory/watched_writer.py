"""A directory writer that tells when it met a name that does not exist: what is known of the names may be outdated."""

from __future__ import annotations

from collections.abc import Callable

from relocd.model.dn import DN
from relocd.model.entries import Attributes
from relocd.model.writes import Conflict, Lost, Modification, Outcome
from relocd.ports import DirectoryWriter

__all__ = ["WatchedWriter"]


class WatchedWriter:
    """The port `DirectoryWriter`, which calls `missed` after a write to a name that does not exist."""

    def __init__(self, writer: DirectoryWriter, missed: Callable[[], None]) -> None:
        self._writer = writer
        self._missed = missed

    async def apply(self, write: Modification) -> Outcome:
        """Make all changes, or none."""
        return self._seen(await self._writer.apply(write))

    async def create(self, dn: DN, attributes: Attributes) -> Outcome:
        """Add an entry."""
        return self._seen(await self._writer.create(dn, attributes))

    async def reach(self) -> None:
        """Return once the directory has answered."""
        await self._writer.reach()

    def _seen(self, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Lost) and outcome.conflict is Conflict.NO_SUCH_OBJECT:
            self._missed()
        return outcome
