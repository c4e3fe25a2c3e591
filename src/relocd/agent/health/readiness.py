"""For how long this server has been ready to become the active member of a cluster again (`relocFailback`).

It is measured by this server's own clock, while the same other member was active, and from the beginning again after
each gap: the agent was restarted or suspended, its heartbeat was missing, it was drained, or a service failed here.

A failback that does not last is followed by the next one only after twice the time, and so on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from relocd.model.entries import Cluster, EntryUUID

__all__ = ["Readiness"]

_MOST_DOUBLINGS: Final = 10


@dataclass(slots=True)
class _Ready:
    """Since when this server has been ready while that member was active, and when that was seen last."""

    active: EntryUUID
    since: float
    seen_at: float


@dataclass(slots=True)
class _Failback:
    """When this server made itself active, and whether the directory has shown it as the active member since."""

    at: float
    is_seen: bool = False


class Readiness:
    """The readiness for each cluster. Notes further apart than `gap_s` are a gap; none is shorter than `least_s`."""

    def __init__(self, gap_s: float, least_s: float) -> None:
        self._gap_s = gap_s
        self._least_s = least_s
        self._ready: dict[EntryUUID, _Ready] = {}
        self._failbacks: dict[EntryUUID, _Failback] = {}
        self._undone: dict[EntryUUID, int] = {}

    def required_s(self, cluster: Cluster) -> float | None:
        """For how long this server has to be ready now, None where nothing falls back."""
        if cluster.failback_s is None:
            return None
        return max(cluster.failback_s, self._least_s) * 2.0 ** min(self._undone.get(cluster.uuid, 0), _MOST_DOUBLINGS)

    def ready_s(self, cluster: Cluster, active: EntryUUID) -> float:
        """Note that this server is ready while another member is active; returns for how long."""
        now = time.monotonic()
        known = self._ready.get(cluster.uuid)
        if known is None or known.active != active or now - known.seen_at > self._gap_s:
            known = self._ready[cluster.uuid] = _Ready(active, now, now)
        known.seen_at = now
        return now - known.since

    def not_ready(self, cluster: Cluster) -> None:
        """Note that this server is not ready, or is the active member itself."""
        self._ready.pop(cluster.uuid, None)

    def none_ready(self) -> None:
        """Note a gap for all clusters."""
        self._ready.clear()

    def failed_back(self, cluster: Cluster) -> None:
        """Note that this server has made itself active again."""
        self._failbacks[cluster.uuid] = _Failback(time.monotonic())

    def note_active(self, cluster: Cluster, *, is_me: bool) -> None:
        """Note whether the directory shows this server as the active member: whether a failback lasts."""
        failback = self._failbacks.get(cluster.uuid)
        if failback is None:
            return
        if is_me:
            failback.is_seen = True
            if time.monotonic() - failback.at >= (self.required_s(cluster) or 0.0):
                del self._failbacks[cluster.uuid]
                self._undone.pop(cluster.uuid, None)
        elif failback.is_seen:
            del self._failbacks[cluster.uuid]
            self._undone[cluster.uuid] = self._undone.get(cluster.uuid, 0) + 1
