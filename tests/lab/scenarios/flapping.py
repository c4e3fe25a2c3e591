"""The story of a service that is well for five seconds and sick for five, on both servers, for minutes.

relocd moves it at most three times in ten minutes and then leaves it where it is. There are never two, and the agents
take no more memory at the end than at the beginning.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import pairwise
from statistics import median
from typing import Final, Self

from tests.lab.deadline import until
from tests.lab.scenarios.application import BROKEN
from tests.lab.scenarios.sick_hosts import NODES, SickHosts
from tests.lab.scenarios.sick_rivals import RelocdRival
from tests.lab.timeline import Timeline
from tests.lab.usage import usage

__all__ = ["FlappingStory", "most_within"]

_EACH_S: Final = 5.0
_MOVES: Final = 3
_WINDOW_S: Final = 600.0
_LOOK_S: Final = 0.02
_GROWTH_MB: Final = 1.0


class FlappingStory:
    """The hosts, two agents and the plot, as a context manager."""

    title: Final = "A service that is sick every five seconds"

    def __init__(self, minutes: int = 1) -> None:
        self._turns = round(minutes * 60 / _EACH_S)
        self._stack = ExitStack()
        self._seen: list[tuple[float, tuple[str, ...]]] = []
        self._memory_mb: dict[str, list[float]] = {name: [] for name in NODES}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._hosts = stack.enter_context(SickHosts())
            self._agents = stack.enter_context(RelocdRival(self._hosts, restarts=0, moves=_MOVES))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def play(self, timeline: Timeline) -> None:
        """Break and mend it on both servers in turn, and look all the time who has its address."""
        until(self._agents.is_ready, 30)
        for turn in range(self._turns):
            self._set_broken(turn % 2 == 0)
            self._look()
            for name, pid in self._agents.agents().items():
                self._memory_mb[name].append(usage(pid).rss_mb)
        self._judge(timeline)

    def _set_broken(self, broken: bool) -> None:
        for name in NODES:
            marker = self._hosts.disk(name) / BROKEN
            if broken:
                marker.touch()
            else:
                marker.unlink()

    def _look(self) -> None:
        """Note each change of who has the address, for the time of one turn."""
        end = time.monotonic() + _EACH_S
        while (now := time.monotonic()) < end:
            holders = tuple(self._hosts.holders())
            if not self._seen or self._seen[-1][1] != holders:
                self._seen.append((now, holders))
            time.sleep(_LOOK_S)

    def _judge(self, timeline: Timeline) -> None:
        alone = [(at, holders) for at, holders in self._seen if holders]
        moved = [after for (_, one), (after, other) in pairwise(alone) if one != other]
        timeline.claim("never two", all(len(holders) < 2 for _, holders in self._seen), f"{len(moved)} moves")
        most = most_within(moved, _WINDOW_S)
        timeline.claim(f"it moves, at most {_MOVES} times in ten minutes", 0 < most <= _MOVES, f"{most}")
        for name, sizes in self._memory_mb.items():
            third = max(1, len(sizes) // 3)
            grown = median(sizes[-third:]) - median(sizes[third : 2 * third] or sizes)
            found = f"{sizes[-1]:.1f} MB, {grown:+.2f} MB in the last third"
            timeline.claim(f"the memory of the agent of {name} does not grow", grown <= _GROWTH_MB, found)


def most_within(moments: Sequence[float], window_s: float) -> int:
    """How many moments lie in the window that has the most of them."""
    return max((sum(first <= each < first + window_s for each in moments) for first in moments), default=0)
