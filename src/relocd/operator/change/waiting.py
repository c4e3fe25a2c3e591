"""`--wait`: carry out an order, and follow the agents in the directory until they have done their part.

All of that is one session: one connection and one bind. When the directory stops answering, the next one is tried, and
then the first one again, until the time is over. An order that is written is not written again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from relocd.errors import Failed, Unavailable
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Service
from relocd.model.parse import parsed
from relocd.operator.access import Access
from relocd.operator.change.changes import OrderPlan, Placement
from relocd.operator.change.orders import Order, carry_out
from relocd.operator.change.progress import Stage, Watched, progress, reading, reported_problems
from relocd.operator.directory import Directory, equals, on_directory
from relocd.operator.following import Entries, followed
from relocd.operator.lookup import matching, state_of

__all__ = ["Follower"]

_AGAIN_S: Final = 0.5


class Follower:
    """Carries out an order and follows it; `report` gets the plan that was written, `tell` each line of progress."""

    def __init__(self, order: Order, report: Callable[[OrderPlan], None], tell: Callable[[str], None]) -> None:
        self._order = order
        self._report = report
        self._tell = tell
        self._move: OrderPlan | None = None
        self._watched: dict[Placement, Watched] = {}
        self._shown: dict[Watched, str] = {}
        self._problems: dict[Watched, str] = {}
        self._began = time.monotonic()

    def run(self, access: Access, timeout_s: float) -> OrderPlan:
        """Return the plan that was written once the agents have done their part; raises as `orders.carried_out`.

        Raises `Failed` also when a service was given back or the time is over, and `Unavailable` when the time is over
        and no directory answers.
        """
        over_at = self._began + timeout_s
        while True:
            try:
                return on_directory(access, lambda directory: self._in_session(directory, over_at))
            except Unavailable as error:
                if self._move is None or time.monotonic() > over_at:
                    raise
                self._tell_timed(f"{error}; asking again")
                time.sleep(_AGAIN_S)

    def _in_session(self, directory: Directory, over_at: float) -> OrderPlan:
        if self._move is None:
            self._move = carry_out(directory, self._order, lambda move: self._note(directory, move))
            self._report(self._move)
        if self._move.placements:
            self._follow(directory, over_at)
            self._tell(f"done in {self._ms()} ms")
        return self._move

    def _note(self, directory: Directory, move: OrderPlan) -> None:
        """Note each service and its generation before the order is written; only the first attempt counts.

        A link may lead to a service that does not exist; it is not followed.
        """
        for placement in move.placements:
            if placement not in self._watched and (watched := _watched(directory, placement)) is not None:
                self._watched[placement] = watched

    def _follow(self, directory: Directory, over_at: float) -> None:
        watched = tuple(self._watched.values())
        if not watched:
            return
        displacing = {each: _displacing(directory, each) for each in watched}
        for entries in followed(directory, _concerned(displacing), watched[0].server):
            stages = {each: self._stage(each, displacing[each], entries) for each in watched}
            if all(stage.is_final for stage in stages.values()):
                break
            if time.monotonic() > over_at:
                raise Failed(self._overdue(each for each, stage in stages.items() if not stage.is_final))
        if lost := [each for each, stage in stages.items() if stage is Stage.GIVEN_BACK]:
            raise Failed(self._lost(lost))

    def _stage(self, watched: Watched, displacing: Iterable[DN], entries: Entries) -> Stage:
        """Print what is new, and return how far the service is."""
        now = reading(watched, displacing, entries, time.time())
        if problems := reported_problems(watched, now):
            self._problems[watched] = problems
        found = progress(watched, now)
        if self._shown.get(watched) != found.text:
            self._shown[watched] = found.text
            self._tell_timed(self._about(watched))
        return found.stage

    def _about(self, watched: Watched) -> str:
        return f"{watched.service.name}: {self._shown[watched]}"

    def _overdue(self, open_: Iterable[Watched]) -> str:
        after_s = time.monotonic() - self._began
        return f"not done after {after_s:.0f} s, and the order stays in force: {'; '.join(map(self._about, open_))}"

    def _lost(self, lost: Iterable[Watched]) -> str:
        reasons = {each: self._problems.get(each, f"see the agent's log on {each.name}") for each in lost}
        return "; ".join(f"{self._about(each)}: {why}" for each, why in reasons.items())

    def _tell_timed(self, text: str) -> None:
        self._tell(f"{self._ms():>6} ms  {text}")

    def _ms(self) -> int:
        return round((time.monotonic() - self._began) * 1000)


def _watched(directory: Directory, placement: Placement) -> Watched | None:
    entry = directory.named(placement.service, matching(names.SERVICE_CLASS))
    service = parsed(entry)[0] if entry else None
    if not isinstance(service, Service):
        return None
    state = state_of(directory, placement.service)
    return Watched(service, placement.server, 0 if state is None else state.generation or 0)


def _displacing(directory: Directory, watched: Watched) -> tuple[DN, ...]:
    """The services that displace this one from a server that holds them."""
    found = directory.entries(matching(names.SERVICE_CLASS, equals(names.DISPLACES, watched.service.dn.text)), ("1.1",))
    return tuple(each.dn for each in found)


def _concerned(displacing: dict[Watched, tuple[DN, ...]]) -> Iterator[DN]:
    """The names of all entries that show how far the order is, each once."""
    found: dict[str, DN] = {}
    for each, others in displacing.items():
        states = (dn.below(names.STATE_RDN) for dn in (each.service.dn, *others))
        for dn in (*states, each.server, each.server.below(names.STATUS_RDN)):
            found.setdefault(dn.key, dn)
    yield from found.values()
