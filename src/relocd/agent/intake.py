"""Applies the search's events to the mirror, one by one: a defect that one event meets leaves its entry as it was.

A search that resumes from its cookie does not bring again what was missed. So the whole directory is read again, with
growing pauses while that meets a defect as well. Until a search without a cookie has brought everything, the problem is
reported and the content is not stored for the next start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from relocd.agent.bulkhead import Bulkhead
from relocd.sync.events import RefreshDone, Started, SyncEvent, Upsert
from relocd.sync.mirror import Mirror

__all__ = ["Intake"]

_MISSED: Final = "something that the search has brought met a defect of relocd"


class Intake:
    """Takes events for a mirror; `read_all` is called with a reason when one of them was missed."""

    def __init__(self, mirror: Mirror, net: Bulkhead, read_all: Callable[[str], None]) -> None:
        self._mirror = mirror
        self._net = net
        self._read_all = read_all
        self._missed: set[str] = set()
        self._before: set[str] = set()  # missed before a refresh without a cookie, which runs now

    @property
    def is_whole(self) -> bool:
        """Whether the mirror has taken all that was sent."""
        return not (self._missed or self._before)

    def take(self, batch: Sequence[SyncEvent]) -> None:
        """Apply events in the order they were sent."""
        for event in batch:
            if isinstance(event, Started):
                self._begin(fresh=event.fresh)
            try:
                self._mirror.apply((event,))
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not end what serves
                self._miss(_subject(event), error)
            if isinstance(event, RefreshDone):
                self._clear()

    def _begin(self, *, fresh: bool) -> None:
        """Note that a search begins; one that resumes from a cookie does not bring what was missed."""
        missed = self._missed | self._before
        self._missed, self._before = (set(), missed) if fresh else (missed, set())
        if self._missed:
            self._read_all(_MISSED)

    def _miss(self, subject: str, error: Exception) -> None:
        self._missed.add(subject)
        self._net.take(subject, error)
        self._read_all(_MISSED)

    def _clear(self) -> None:
        """Forget what was missed before a refresh without a cookie, which is complete now."""
        for subject in self._before - self._missed:
            self._net.clear(subject)
        self._before = set()


def _subject(event: SyncEvent) -> str:
    return str(event.entry.dn) if isinstance(event, Upsert) else "search"
