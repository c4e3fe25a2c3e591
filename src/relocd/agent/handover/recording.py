"""What becomes a record in the history of one service: how this server became the holder, and what came of it.

The controller says what it did; nothing here waits, and nothing here decides what happens next.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from relocd.agent.history.causes import Cause
from relocd.agent.history.history import History
from relocd.election.eligibility import OwnershipView
from relocd.election.observation import State
from relocd.election.steps import Release, Rule, StepDown, SwapIn
from relocd.model.dn import DN
from relocd.model.entries import EntryUUID
from relocd.model.history import Happened, HistoryRecord, now

__all__ = ["Recording"]

_log = logging.getLogger(__name__)
_REFUSES_FOR_S: Final = 2.0
"""A refusal that is over sooner is none: a file is being written, a secret is being read."""


@dataclass(frozen=True, slots=True)
class _Taken:
    """How this server became the holder in a generation, and when it saw that (monotonic clock)."""

    generation: int
    at: float
    source: EntryUUID | None
    rule: str
    reason: str
    handed_over: bool = False
    given_back: bool = False


@contextmanager
def _aside() -> Iterator[None]:
    """A defect met here costs a record, and nothing of the service."""
    try:
        yield
    except Exception:  # noqa: BLE001 - whatever it is, the service goes first
        _log.exception("this is a defect of relocd: a record of the history is missing")


class Recording:
    """The records of one service, from the side of this server; each change of holder has one."""

    def __init__(self, history: History, service: EntryUUID) -> None:
        self._history = history
        self._service = service
        self._state: State | None = None
        self._names: dict[EntryUUID, DN] = {}  # also of a server that has deleted its link since
        self._swap: SwapIn | None = None
        self._taken: _Taken | None = None
        self._served_in: int | None = None
        self._refusal = ("", 0.0)
        self._refused = ""

    @_aside()
    def note(self, view: OwnershipView) -> None:
        """Take in the state as it is now."""
        before, state = self._state, view.state
        if state is None or state is before:
            return
        self._names |= view.names
        if view.holds and (before is None or before.generation != state.generation):
            self._taken = _taken(before, state, self._swap, view.me)
        self._state = state

    def swapping_in(self, step: SwapIn) -> None:
        """The service is about to be taken by this server."""
        self._swap = step

    @_aside()
    def served(self, view: OwnershipView) -> None:
        """The service runs here now."""
        taken = self._taken
        if taken is None or taken.generation == self._served_in:
            return
        self._served_in, self._refused = taken.generation, ""
        took_ms = (time.monotonic() - taken.at) * 1000
        event = Happened.GIVEN_BACK if taken.given_back else Happened.SERVED
        self._record_taking(event, taken, view, took_ms)

    @_aside()
    def failed(self, view: OwnershipView, problems: str) -> None:
        """The service could not be activated here."""
        taken = self._taken
        if taken is not None and taken.generation != self._served_in:
            taken = replace(taken, rule=str(Rule.R4), handed_over=False)
            self._record_taking(Happened.FAILED, taken, view, problems=problems)

    @_aside()
    def released(self, step: Release | StepDown, view: OwnershipView) -> None:
        """The service was given up here, to no server in particular."""
        cause = self._history.causes.leaving(self._service, view)
        me = self._dn(view.me)
        record = HistoryRecord(
            now(), Happened.RELEASED, me, step.state.generation + 1, source=me, rule=str(step.rule or "")
        )
        self._history.record(view.service, _with_cause(record, step.reason, cause, me))

    @_aside()
    def refused(self, view: OwnershipView, problems: str) -> None:
        """What the directory asks for is not done here, and why; empty: it is done."""
        if not problems:
            self._refusal, self._refused = ("", 0.0), ""
            return
        if problems != self._refusal[0]:
            self._refusal = problems, time.monotonic()
        if self._refused or time.monotonic() - self._refusal[1] < _REFUSES_FOR_S:
            return
        self._refused = problems
        generation = None if view.state is None else view.state.generation
        self._history.note(view.service, Happened.REFUSED, problems, generation)

    def _record_taking(
        self,
        event: Happened,
        taken: _Taken,
        view: OwnershipView,
        took_ms: float | None = None,
        problems: str = "",
    ) -> None:
        cause = self._history.causes.taking(self._service, view, taken.source)
        me, source = self._dn(view.me), self._dn(taken.source)
        record = HistoryRecord(now(), event, me, taken.generation, source, me, taken.rule, took_ms=took_ms)
        reason = cause.what if taken.handed_over and cause is not None else taken.reason
        record = _with_cause(record, reason, cause, source if taken.handed_over else me)
        record = replace(record, reason=problems) if problems else record
        asked = taken.source if taken.handed_over and (cause is None or cause.by_agent) else None
        self._history.record(view.service, record, None if asked is None else self._names.get(asked))

    def _dn(self, server: EntryUUID | None) -> str:
        """The DN of a server that was named, empty for none."""
        found = self._names.get(server) if server is not None else None
        return "" if found is None else found.text


def _taken(before: State | None, state: State, swap: SwapIn | None, me: EntryUUID) -> _Taken:
    at, generation = time.monotonic(), state.generation
    if swap is not None and swap.state.generation + 1 == generation:
        return _Taken(generation, at, swap.state.holder, str(swap.rule or ""), swap.reason)
    if before is None and state.previous is None:
        return _Taken(generation, at, None, "", "its agent has started")
    source = state.previous if before is None else before.holder
    if before is not None and before.previous == me:
        why = "it could not be activated there"
        return _Taken(generation, at, source, str(Rule.R5), why, handed_over=True, given_back=True)
    return _Taken(generation, at, source, str(Rule.R3), "ready to take over", handed_over=True)


def _with_cause(record: HistoryRecord, reason: str, cause: Cause | None, agent: str) -> HistoryRecord:
    """The record with its reason, and with the identity that began it: an agent where no other did."""
    if cause is None:
        return replace(record, reason=reason, by=agent)
    return replace(record, reason=reason if cause.what in reason else f"{reason}; {cause.what}", by=cause.by)
