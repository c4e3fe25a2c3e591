"""Names that lead to nothing by what the search has told: each is read directly before that counts."""

from __future__ import annotations

import logging
from collections.abc import Callable

from relocd.agent.directory.absence_check import ELSEWHERE, leads_elsewhere
from relocd.errors import RelocdError
from relocd.model.dn import DN
from relocd.model.snapshot import Snapshot
from relocd.ports import DirectoryReader
from relocd.sync.mirror import Mirror

__all__ = ["Dangling"]

_log = logging.getLogger(__name__)


class Dangling:
    """The names of the latest snapshot that lead to nothing.

    A server does not tell of an entry below one that was renamed, so what a corrected link leads to may be known by its
    former name only. `cannot_tell` is called where they count although they could not be read.
    """

    def __init__(self, mirror: Mirror, reader: DirectoryReader, base: DN, cannot_tell: Callable[[], None]) -> None:
        self._mirror = mirror
        self._reader = reader
        self._base = base
        self._cannot_tell = cannot_tell
        self._tried: set[DN] = set()
        self.names: frozenset[DN] = frozenset()

    def is_unread(self, snapshot: Snapshot) -> bool:
        """Take the names of a snapshot; whether there is one that nobody has tried yet to read."""
        self.names = snapshot.dangling
        self._tried &= self.names
        return bool(self.names - self._tried)

    async def read(self) -> str:
        """Read the names again; why the directory has to be read anew, empty when they lead to nothing indeed.

        Once one cannot be read, all count as tried: a snapshot waits for them, and each read may take its whole time
        limit. Whoever would act on it asks the directory itself.
        """
        reason = ""
        for name in sorted(self.names, key=str):
            try:
                if not reason and await leads_elsewhere(self._mirror, self._reader, name, self._base):
                    reason = ELSEWHERE
            except RelocdError as error:
                _log.warning("cannot read what is linked", extra={"fields": {"dn": str(name), "problem": str(error)}})
                self._tried |= self.names
                self._cannot_tell()
            self._tried.add(name)
        return reason
