"""What has changed on the link layer of this server's interfaces since it was looked at last. Pure.

After each of these changes the neighbours and the switches may know a wrong way to an address: a carrier that is there
again, also where it went and came back within a moment, and another MAC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf

from relocd.model.host import Interface

__all__ = ["LinkChanges", "News"]


@dataclass(frozen=True, slots=True)
class News:
    """`returned` are interfaces that have their carrier again, each with how long it was away, in seconds.

    `new_mac` are those that have another MAC.
    """

    returned: Mapping[str, float] = field(default_factory=dict)
    new_mac: frozenset[str] = frozenset()

    @property
    def interfaces(self) -> frozenset[str]:
        """Every interface on which to announce again."""
        return self.new_mac | self.returned.keys()


class LinkChanges:
    """The interfaces as they were; what is met for the first time is no news."""

    def __init__(self) -> None:
        self._known: dict[int, Interface] = {}
        self._down_at: dict[int, float] = {}

    def news(self, interfaces: Iterable[Interface], now: float) -> News:
        """What is new since the last look, `now` by the monotonic clock."""
        found = {each.index: each for each in interfaces}
        both = [(self._known[index], each) for index, each in found.items() if index in self._known]
        for was, each in both:
            if was.up and not each.up:
                self._down_at[each.index] = now
        news = News(
            {each.name: self._away_s(was, now) for was, each in both if _returned(was, each)},
            frozenset(each.name for was, each in both if each.up and each.mac != was.mac),
        )
        self._known = found
        return news

    def _away_s(self, was: Interface, now: float) -> float:
        """How long the carrier was away; endless where it was so when it was first looked at."""
        return 0.0 if was.up else now - self._down_at.get(was.index, -inf)


def _returned(was: Interface, now: Interface) -> bool:
    return now.up and (not was.up or now.carrier_ups != was.carrier_ups)
