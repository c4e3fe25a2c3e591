"""The writes about one service, one at a time: a write of unknown outcome is sent again before anything else is done.

A server that hung may carry out a write long after a read that did not show it (`relocd.model.writes.Unknown`). The
write, or one that rules it out (`relocd.election.writes.resend_of`), is sent until it is answered. Its comparison then
says whether it is done or lost. After a change of holder nothing is done until no copy of it can still be on its way.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from relocd.agent.pauses import growing_s
from relocd.election.writes import Creation, Write, changes_holder
from relocd.errors import RelocdError
from relocd.model.writes import Conflict, Done, Lost, Outcome, Unknown
from relocd.ports.directory import DirectoryWriter

__all__ = ["Writes"]

_log = logging.getLogger(__name__)
_SEEN_WITHIN_S: Final = 1.0
_LONGEST_WAIT_S: Final = 60.0
_LONGEST_PROMPTS: Final = 4


class Writes:
    """The writes about one service. A view is what a write was decided on, compared by value.

    `done` is the last write that was carried out, or that deletes what was gone already. A write that the provider's
    host has not received `prompt_s` after it was sent never arrives.
    """

    def __init__(self, writer: DirectoryWriter, prompt_s: float) -> None:
        self._writer = writer
        self._prompt_s = prompt_s
        self._on_its_way_until = 0.0
        self._doubtful: Write | None = None
        self._unanswered = 0
        self._resent_at = 0.0
        self._view: object = None
        self._repeats = 0
        self._moved = False
        self._written_at = 0.0
        self.done: Write | None = None

    async def settle(self, *, steady: bool) -> str:
        """Send a write of unknown outcome again; why it is still unknown, empty when nothing is.

        One that changes the holder waits until this server is `steady` (`relocd.election.observation.LocalState`):
        another server may have found it dead by now.
        """
        problem = ""
        if self._doubtful is not None:
            if changes_holder(self._doubtful) and not steady:
                return "the outcome of a write is unknown; it is sent again once the own heartbeat is steady"
            if time.monotonic() < self._resent_at:
                return "the outcome of a write is unknown; it is sent again soon"
            problem = await self._send(self._doubtful, self._doubtful)
        if not problem and time.monotonic() < self._on_its_way_until:
            return "a write of unknown outcome may still be on its way"
        return problem

    def resent_s(self, usual_s: float) -> float:
        """How long to wait before an unanswered write is sent again, at least `usual_s`."""
        return max(usual_s, self._resent_at - time.monotonic())

    def awaited_s(self, view: object) -> float:
        """How long to wait until the search brings what was written on that view; 0 when it is time to act again."""
        wait_s = growing_s(_SEEN_WITHIN_S, _LONGEST_WAIT_S, self._repeats + 1)
        left_s = self._written_at + wait_s - time.monotonic()
        return max(0.0, left_s) if view == self._view else 0.0

    def moves_s(self, view: object) -> float:
        """As `awaited_s`, for a write that changed the holder only: the service may be another server's by now."""
        return self.awaited_s(view) if self._moved else 0.0

    async def send(self, write: Write, view: object, again: Write | None = None) -> str:
        """Write once on a view; why it failed, empty when it is done or another server was faster.

        While its outcome is unknown the same is sent again, or what is given as `again`.
        """
        self._repeats = self._repeats + 1 if view == self._view else 0
        self._view, self._moved = view, changes_holder(write)
        return await self._send(write, again or write)

    async def _send(self, write: Write, again: Write) -> str:
        try:
            outcome = await self._written(write)
        except RelocdError as error:  # nothing is written
            self._view = None
            return str(error)
        self._note(outcome, again)
        if isinstance(outcome, Done) or (isinstance(outcome, Lost) and outcome.conflict is Conflict.NO_SUCH_ATTRIBUTE):
            self.done = write
        if isinstance(outcome, Unknown) and changes_holder(write):
            # It may have waited long for others before it was sent.
            self._on_its_way_until = (outcome.sent_at or time.monotonic()) + self._prompt_s
        self._written_at = time.monotonic()
        fields = {"write": str(write), "outcome": type(outcome).__name__.lower()}
        level = logging.INFO if isinstance(outcome, Done) else logging.WARNING
        _log.log(level if self._unanswered < 2 else logging.DEBUG, "write", extra={"fields": fields})
        if isinstance(outcome, Lost):
            _log.debug("write lost", extra={"fields": fields | {"reason": outcome.reason}})
        return f"the outcome of a write is unknown: {outcome.reason}" if isinstance(outcome, Unknown) else ""

    def _note(self, outcome: Outcome, again: Write) -> None:
        """Keep what has to be sent again: at once the first time, then with growing pauses."""
        if not isinstance(outcome, Unknown):
            self._doubtful, self._unanswered, self._resent_at = None, 0, 0.0
            return
        self._doubtful = again
        self._unanswered += 1
        if self._unanswered > 1:
            pause_s = growing_s(self._prompt_s / 2, self._prompt_s * _LONGEST_PROMPTS, self._unanswered - 1)
            self._resent_at = time.monotonic() + pause_s

    async def _written(self, write: Write) -> Outcome:
        if isinstance(write, Creation):
            return await self._writer.create(write.dn, write.attributes)
        return await self._writer.apply(write)
