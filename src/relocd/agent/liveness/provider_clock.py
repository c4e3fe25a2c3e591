"""What this server's own heartbeats show of the provider's clock, by which the age of all heartbeats is measured. Pure.

A heartbeat is stamped by the provider between its sending and its return. So each one shows how far the provider's
clock was ahead of this host's monotonic clock then, and two in a row show whether it was set between them: forward, so
that what was stamped before looks too old, or back, so that what is stamped then looks too old later.

A stamp proves an age only for the worst case: between which two of this server's heartbeats can it have been made at
the latest, by that of the two clock readings that makes it younger? Before the first heartbeat nothing is known of the
clock. So what a server proves by stamps needs heartbeats of its own for a lease before, and one that was sent after the
stamp was read.

Not covered: a clock that is set there and back between two of these heartbeats, and another provider's clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

__all__ = ["ProviderClock"]

_KEPT_LEASES: Final = 4
"""How many leases readings are kept: as often a server may declare a longer lease and be found silent by stamps."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """By one heartbeat: `ahead_s` is how far the provider's clock was ahead of the monotonic one, at least."""

    sent_at: float
    heard_at: float
    ahead_s: float


class ProviderClock:
    """The readings of an unbroken series of heartbeats; `lease_s` is this server's lease."""

    def __init__(self, lease_s: float) -> None:
        self._kept_s = _KEPT_LEASES * lease_s
        self._readings: deque[_Reading] = deque()

    def begin(self) -> None:
        """Forget all readings: the clock may have been set more than once since the last one."""
        self._readings.clear()

    def note(self, sent_at: float, heard_at: float, stamped_s: float) -> None:
        """Take in a heartbeat that has come back, with its stamp in seconds since 1970."""
        self._readings.append(_Reading(sent_at, heard_at, stamped_s - heard_at))
        while len(self._readings) > 1 and heard_at - self._readings[1].heard_at > self._kept_s:
            self._readings.popleft()

    def now_s(self, now: float) -> float | None:
        """The provider's time as its last stamp shows it; None while there is none."""
        return self._readings[-1].ahead_s + now if self._readings else None

    def age_s(self, stamped_s: float | None, now: float) -> float:
        """How old a stamp seems now; infinite where there is none, or none to compare it with."""
        now_s = self.now_s(now)
        return float("inf") if stamped_s is None or now_s is None else now_s - stamped_s

    def least_age_s(self, stamped_s: float, read_at: float, now: float) -> float:
        """How old a stamp that was read by `read_at` is for certain, whenever the clock was set; 0 while unknown."""
        if not self.is_read_since(read_at):
            return 0.0
        latest = self._readings[0].heard_at
        for before, after in pairwise(self._readings):
            made_at = min(after.heard_at, stamped_s - min(before.ahead_s, after.ahead_s))
            if made_at >= before.sent_at:
                latest = max(latest, made_at)
        return now - latest

    def is_read_since(self, moment: float) -> bool:
        """Whether a heartbeat that was sent since then has come back."""
        return bool(self._readings) and self._readings[-1].sent_at > moment
