"""`--wait`: following an order in the directory until it has come true, by reading it again and again.

The agents of the servers and what they write are all there is to see, so a directory that falls silent meanwhile only
delays the news: the next one is asked, and the first one again, until the time is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from relocd.errors import Failed, Unavailable
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Server, Service
from relocd.model.parse import parsed
from relocd.operator.access import Access
from relocd.operator.change.changes import Wish
from relocd.operator.change.progress import End, Reading, Watched, problems_said, progress
from relocd.operator.directory import Directory, equals, on_directory
from relocd.operator.lookup import matching, state_of, viewed
from relocd.operator.status.health import ServerRow

__all__ = ["Follower"]

_EVERY_S: Final = 0.02
_AGAIN_S: Final = 0.5


class Follower:
    """Follows wishes; made before the order is given, since it counts from there, in time and in generations.

    `tell` gets a line of progress. Raises as `on_directory` when no directory answers at the beginning.
    """

    def __init__(self, access: Access, wishes: Iterable[Wish], tell: Callable[[str], None]) -> None:
        self._access = access
        self._tell = tell
        self._said: dict[Watched, str] = {}
        self._problems: dict[Watched, str] = {}
        self._watched = on_directory(access, lambda directory: _watched(directory, wishes))
        self._began = time.monotonic()

    def follow(self, timeout_s: float) -> None:
        """Return when all is done; raises `Failed` when something comes to nothing or the time is over.

        `Unavailable` when the time is over and no directory answers.
        """
        over_at = self._began + timeout_s
        while True:
            try:
                on_directory(self._access, lambda directory: self._poll(directory, over_at))
            except Unavailable as error:
                if time.monotonic() > over_at:
                    raise
                self._say(f"{error}; asking again")
                time.sleep(_AGAIN_S)
            else:
                self._tell(f"done in {self._ms()} ms")
                return

    def _poll(self, directory: Directory, over_at: float) -> None:
        while True:
            ends = [self._look(directory, each) for each in self._watched]
            if all(end is not None for end in ends):
                break
            if time.monotonic() > over_at:
                raise Failed(self._overdue(ends))
            time.sleep(_EVERY_S)
        if End.LOST in ends:
            raise Failed(self._lost(ends))

    def _look(self, directory: Directory, watched: Watched) -> End | None:
        """Read once, tell what is new, and say whether it has come to an end."""
        reading = _reading(directory, watched)
        if problems := problems_said(watched, reading):
            self._problems[watched] = problems
        now = progress(watched, reading)
        if self._said.get(watched) != now.text:
            self._said[watched] = now.text
            self._say(self._about(watched))
        return now.end

    def _about(self, watched: Watched) -> str:
        return f"{watched.service.name}: {self._said[watched]}"

    def _overdue(self, ends: Iterable[End | None]) -> str:
        open_ = [self._about(each) for each, end in zip(self._watched, ends, strict=True) if end is None]
        after_s = time.monotonic() - self._began
        return f"not done after {after_s:.0f} s, and the order stands: {'; '.join(open_)}"

    def _lost(self, ends: Iterable[End | None]) -> str:
        lost = [each for each, end in zip(self._watched, ends, strict=True) if end is End.LOST]
        reasons = [self._problems.get(each, f"its log on {each.name} says why") for each in lost]
        return "; ".join(f"{self._about(each)}: {why}" for each, why in zip(lost, reasons, strict=True))

    def _say(self, text: str) -> None:
        self._tell(f"{self._ms():>6} ms  {text}")

    def _ms(self) -> int:
        return round((time.monotonic() - self._began) * 1000)


def _watched(directory: Directory, wishes: Iterable[Wish]) -> tuple[Watched, ...]:
    """What is followed: a service that is not there, to which a link leads all the same, cannot come true."""
    found: list[Watched] = []
    for wish in wishes:
        entry = directory.named(wish.service, matching(names.SERVICE_CLASS))
        service = parsed(entry)[0] if entry else None
        if isinstance(service, Service):
            state = state_of(directory, wish.service)
            found.append(Watched(service, wish.server, 0 if state is None else state.generation or 0))
    return tuple(found)


def _reading(directory: Directory, watched: Watched) -> Reading:
    state = state_of(directory, watched.service.dn)
    seen = _seen(directory, watched.server)
    held = state is not None and state.holder == watched.server
    return Reading(state, seen, "" if held else _resting(directory, watched))


def _seen(directory: Directory, server: DN) -> ServerRow | None:
    entry = directory.named(server, matching(names.SERVER_CLASS))
    value = parsed(entry)[0] if entry else None
    return viewed(directory, value) if isinstance(value, Server) else None


def _resting(directory: Directory, watched: Watched) -> str:
    """The service that displaces this one and that the new server holds."""
    for each in directory.entries(matching(names.SERVICE_CLASS, equals(names.DISPLACES, watched.service.dn.text))):
        state = state_of(directory, each.dn)
        if state is not None and state.holder == watched.server:
            return each.dn.name
    return ""
