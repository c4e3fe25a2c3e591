"""How often a service manager has restarted a unit by itself, as values over time: whether that is a crash loop."""

from __future__ import annotations

from collections import deque
from typing import Final

__all__ = ["Restarts"]

_WINDOW_S: Final = 60.0
_MOST: Final = 1
"""One restart that helped is what a restart is for; a second one within the window is a unit that crashes."""


class Restarts:
    """Counts of one unit since its last ordinary start, as they are seen; times are of the monotonic clock."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, count: int, now: float) -> None:
        """The manager's count at that time; one that is smaller begins again, after an ordinary start."""
        if self._seen and count < self._seen[-1][1]:
            self._seen.clear()
        if not self._seen or count != self._seen[-1][1]:
            self._seen.append((now, count))

    def within_window(self, now: float) -> int:
        """How many restarts the last minute has seen, 0 for one that may have helped."""
        while len(self._seen) > 1 and now - self._seen[1][0] > _WINDOW_S:
            self._seen.popleft()
        more = self._seen[-1][1] - self._seen[0][1] if self._seen else 0
        return more if more > _MOST else 0
