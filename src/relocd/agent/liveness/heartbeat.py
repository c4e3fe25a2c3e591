"""The heartbeat of this server: written to its status entry, and confirmed when it comes back through its own search.

The way back proves that provider, replica and own search work. What other servers may conclude is counted from the
moment at which the heartbeat was *sent*. Times are of the monotonic clock unless they are called a provider's.

An agent that starts knows the heartbeats that one before it has sent since the machine was booted (`HeartbeatRecord`).
If the last of them comes back within the lease, this server was not silent: it is as if the agent had hung for a
moment. Only the last write of the former agent may still be on its way, for `prompt_s` at most.

A heartbeat that no agent of this machine has sent, and that is younger than one of this run, comes from another agent
with the same server entry: a clone. Then neither of them can tell which one holds a service.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from relocd import __version__
from relocd.agent.liveness.provider_clock import ProviderClock
from relocd.errors import RelocdError
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Attributes, Entry, Problem, Snapshot, csn_server_id, csn_time_s
from relocd.model.host import SentHeartbeats
from relocd.model.settings import HandoverSettings
from relocd.model.status import StatusReport, heartbeat_of, new_entry, published
from relocd.model.writes import Conflict, Done, Lost, Modification, Replace, Unknown
from relocd.ports.directory import DirectoryWriter
from relocd.ports.host import HeartbeatRecord

__all__ = ["Heartbeat"]

_log = logging.getLogger(__name__)

_KEPT: Final = 16
_REMEMBERED: Final = 4096
_SOONEST_S: Final = 0.1


class Heartbeat:
    """The heartbeat of one server.

    `problem` says why the last one could not be written, empty when it was; `clock` is the provider's, as those show it
    that came back since none was missing for a lease.
    """

    def __init__(self, writer: DirectoryWriter, settings: HandoverSettings, record: HeartbeatRecord) -> None:
        self._writer = writer
        self._settings = settings
        self._record = record
        self._former: SentHeartbeats | None = None
        self._resumed_at: float | None = None
        self._own: deque[str] = deque(maxlen=_REMEMBERED)
        self._own_csn = ""
        self._other_at: float | None = None
        self._sent: dict[str, float] = {}
        self._soon = asyncio.Event()
        self._confirmed_at: float | None = None
        self._back_at = 0.0
        self._back_csn = ""
        self._searched_at = 0.0
        self._csn = ""
        self.problem = ""
        self.clock = ProviderClock(settings.lease_s)

    @property
    def has_begun(self) -> bool:
        """Whether a heartbeat was ever confirmed."""
        return self._confirmed_at is not None

    @property
    def provider_id(self) -> int:
        """The server ID of the provider that took the last confirmed heartbeat, 0 where it has none."""
        return csn_server_id(self._csn)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the heartbeat: without one this server takes over nothing."""
        what = "without a heartbeat this server takes over no exclusive service"
        unwritten = (Problem("heartbeat", f"{self.problem}; {what}"),) if self.problem else ()
        return *unwritten, *self.clones

    @property
    def clones(self) -> tuple[Problem, ...]:
        """The problem that another agent uses the entry of this server, if one was heard of within a lease."""
        if self.is_alone(time.monotonic()):
            return ()
        what = "another agent writes heartbeats as this server (a cloned machine?), so no exclusive service begins here"
        return (Problem("heartbeat", f"{what} or is given away; give it a server entry of its own, or end it"),)

    def is_alone(self, now: float) -> bool:
        """Whether no other agent has used the entry of this server within a lease."""
        return self._other_at is None or now - self._other_at > self._settings.lease_s

    def is_current(self, now: float) -> bool:
        """Whether the last confirmed heartbeat is younger than the lease, so that others know this server as alive."""
        return self.left_s(now) > 0

    def left_s(self, now: float) -> float:
        """What is left of the lease; 0 when it is over, or has not begun."""
        if self._confirmed_at is None:
            return 0.0
        return max(0.0, self._confirmed_at + self._settings.lease_s - now)

    def age_s(self, now: float) -> float | None:
        """How long ago the last confirmed heartbeat was sent, None before there is one."""
        return None if self._confirmed_at is None else now - self._confirmed_at

    def is_steady(self, now: float, csn: str) -> bool:
        """Whether no other server can be about to act on this one's death: `csn` is the state's.

        See `LocalState.steady`. Since the heartbeat was last missing for a lease it has been back long enough, or it
        was back before the state was written. It is not steady while a write of an earlier agent may be on its way, or
        while there is a clone.
        """
        if not self.is_current(now) or not self.is_alone(now):
            return False
        if self.former_left_s(now) > 0:
            return False
        return now - self._back_at > self._settings.steady_s or self.stood_before(csn)

    def former_left_s(self, now: float) -> float:
        """How long a write of an agent before this one may still be on its way."""
        return 0.0 if self._resumed_at is None else max(0.0, self._resumed_at + self._settings.prompt_s - now)

    def may_take(self, now: float) -> bool:
        """Whether this server may ask for a service: its heartbeat is current, and it has no clone."""
        return self.is_current(now) and self.is_alone(now)

    def stood_before(self, csn: str) -> bool:
        """Whether the heartbeat was back, since it was last missing for a lease, when this change was made.

        A change of the future was stamped by another clock, which says nothing about that. Nor does one count that is
        not newer than what the search had brought by then: the provider's clock may have been set back meanwhile.
        """
        made_s, now_s = csn_time_s(csn), self.clock.now_s(time.monotonic())
        if made_s is None or now_s is None or made_s > now_s + self._settings.prompt_s:
            return False
        return self._back_csn < csn

    def beat_soon(self) -> None:
        """Write the next heartbeat soon, because the status has changed."""
        self._soon.set()

    def confirm(self, entry: Entry, snapshot: Snapshot | None) -> bool:
        """Take the status entry as it came back through the own search; whether it confirms a new heartbeat.

        `snapshot` is what the search has brought by now.
        """
        value = heartbeat_of(entry).stamp
        sent_at, provider_s, now = self._sent.get(value), csn_time_s(entry.csn), time.monotonic()
        if sent_at is None:
            self._note_other(value, entry.csn, now)
        if sent_at is None or provider_s is None or (self._confirmed_at is not None and sent_at <= self._confirmed_at):
            return False
        if not self.is_current(now):
            self._back_at, self._back_csn = self._since(now, self._newest(entry.csn, provider_s, snapshot))
            self.clock.begin()
        if value in self._own:
            self._own_csn = min(self._own_csn or entry.csn, entry.csn)  # lower once the provider's clock was set back
        self._confirmed_at, self._csn = sent_at, entry.csn
        self.clock.note(sent_at, now, provider_s)
        return True

    def search_started(self) -> None:
        """Note that a search began."""
        self._searched_at = time.monotonic()

    def refreshed(self, snapshot: Snapshot | None) -> None:
        """Take in what the refresh of a search has brought, where the heartbeat came back in the middle of it."""
        provider_s = csn_time_s(self._csn)
        if provider_s is not None and self._back_at > self._searched_at:
            self._back_csn = self._newest(self._back_csn, provider_s, snapshot)

    def _newest(self, csn: str, provider_s: float, snapshot: Snapshot | None) -> str:
        """The newest of a change and the states in a snapshot, but for those that will be of the future for long."""
        soon_s = provider_s + self._settings.steady_s + self._settings.prompt_s
        states = [] if snapshot is None else [state.csn for state in snapshot.states.values() if state is not None]
        return max([csn, *(each for each in states if (csn_time_s(each) or soon_s) < soon_s)])

    def _since(self, now: float, csn: str) -> tuple[float, str]:
        """Since when no lease was missed: by the former agent where its lease was still running."""
        former = self._former
        if former is None or former.confirmed_at is None or self._confirmed_at is not None:
            return now, csn
        if now - former.confirmed_at >= self._settings.lease_s:
            return now, csn
        return former.back_at, former.back_csn

    def _note_other(self, value: str, csn: str, now: float) -> None:
        """Keep that a heartbeat is another agent's; what is older than this run may be that of an earlier boot."""
        known = not value or value in self._own or (self._former is not None and value in self._former.sent)
        if known or not self._own_csn or csn <= self._own_csn:
            return
        if self.is_alone(now):
            _log.warning("heartbeat of another agent", extra={"fields": {"heartbeat": value, "csn": csn}})
        self._other_at = now

    def _resume(self) -> None:
        """Take up what an agent before this one has left, as far as its lease still lasts."""
        self._former, now = self._record.load(), time.monotonic()
        self._sent = {stamp: at for stamp, at in self._former.sent.items() if now - at < self._settings.lease_s}
        self._resumed_at = now if self._sent else None

    async def run(
        self,
        dn: Callable[[], DN],
        status: Callable[[], StatusReport],
        missed: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        """Write a heartbeat at once, whenever the status changes, and four times a lease.

        `dn` is this server's entry, `status` the other attributes of its status; `missed` is called when a heartbeat
        that was written has not come back for half a lease, `changed` when `problems` is another.
        """
        if self._former is None:
            self._resume()
        problems: tuple[Problem, ...] = ()
        while True:
            await self._beat(dn(), status())
            if self._other_at is not None and self.is_alone(time.monotonic()):
                self._other_at = None
                _log.info("no heartbeat of another agent any more")
            if self.problems != problems:
                problems = self.problems
                changed()
            await asyncio.sleep(min(_SOONEST_S, self._settings.beat_s))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.beat_s - _SOONEST_S):
                    await self._soon.wait()
            self._soon.clear()
            if self._is_missed(time.monotonic()):
                self._sent.clear()
                missed()

    async def _beat(self, server: DN, status: StatusReport) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%d%H%M%S.%fZ")
        content = published(stamp, self._settings.lease_s, __version__, status)
        sent_at = time.monotonic()
        self._sent = {**dict(list(self._sent.items())[-_KEPT:]), stamp: sent_at}
        self._own.append(stamp)
        await self._record.keep(SentHeartbeats(self._sent, self._confirmed_at, self._back_at, self._back_csn))
        try:
            problem = await self._write(server.below(names.STATUS_RDN), content)
        except RelocdError as error:  # nothing is written, so nothing can come back
            problem = str(error)
            del self._sent[stamp]
        if problem != self.problem:
            self.problem = problem
            _log.log(logging.WARNING if problem else logging.INFO, "heartbeat", extra={"fields": {"problem": problem}})

    async def _write(self, dn: DN, content: Attributes) -> str:
        """Write the status, creating the entry where there is none; why that has failed, empty when it has not."""
        changes = tuple(Replace(name, values) for name, values in content.items())
        outcome = await self._writer.apply(Modification(dn, changes))
        if isinstance(outcome, Lost) and outcome.conflict is Conflict.NO_SUCH_OBJECT:
            outcome = await self._writer.create(dn, new_entry(content))
        return (
            "" if isinstance(outcome, Done) else outcome.reason if isinstance(outcome, Lost | Unknown) else str(outcome)
        )

    def _is_missed(self, now: float) -> bool:
        """Whether a heartbeat that was sent since the last confirmed one has been on its way for half a lease."""
        last = self._confirmed_at or 0.0
        waiting = [sent_at for sent_at in self._sent.values() if sent_at > last]
        return bool(waiting) and now - min(waiting) > self._settings.lease_s / 2
