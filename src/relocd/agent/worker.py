"""One worker for each goal: one convergence at a time, always on the latest wish, with retries and announcements.

Workers do not wait for each other. A worker without a wish does nothing: what it finds in the ledger stays.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from relocd.agent.converge import Report, converged, departed
from relocd.agent.execution import announce
from relocd.agent.host import Host
from relocd.errors import RelocdError
from relocd.model.settings import AgentSettings, WireSettings
from relocd.model.template_set import Role
from relocd.plan.desired import Footprint, Placed
from relocd.plan.goals import Goal, GoalId

__all__ = ["Leave", "Pace", "Worker"]

_log = logging.getLogger(__name__)
_BUSY_MIN_S, _BUSY_MAX_S = 0.01, 1.0
_BUSY_ATTEMPTS = 16  # at the distance of probes: what stops over there does so within moments, as a rule


@dataclass(frozen=True, slots=True)
class Leave:
    """The wish that nothing of a goal is left here, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a worker acts: settling, retrying, asking again for a busy address, announcing."""

    agent: AgentSettings
    wire: WireSettings

    def retry_s(self, report: Report, attempt: int) -> float | None:
        """The time until the next attempt after `attempt` failed ones, None when there is nothing to retry."""
        if not report.problems:
            return None
        if report.busy:
            first_s = max(self.wire.probe_interval_ms / 1000, _BUSY_MIN_S)
            return min(first_s * 2.0 ** min(max(attempt - _BUSY_ATTEMPTS, 0), 16), _BUSY_MAX_S)
        return min(self.agent.retry_min_s * 2.0 ** min(attempt - 1, 16), self.agent.retry_max_s)


class Worker:
    """Keeps one goal as wished. `reported` is called after each convergence that changed what there is to say."""

    def __init__(
        self, host: Host, goal: GoalId, footprint: Footprint | None, pace: Pace, reported: Callable[[], None]
    ) -> None:
        self.goal = goal
        self.name = footprint.name if footprint else str(goal)
        self.footprint = footprint
        self.wish: Goal | Leave | None = None
        self.report = Report(footprint)
        self.since = time.time()
        self.acting = False
        self._acted_at = 0.0
        self._host = host
        self._pace = pace
        self._reported = reported
        self._wake = asyncio.Event()
        self._new_wish = False
        self._revoked = asyncio.Event()
        self._announcing: asyncio.Task[None] | None = None
        self._announced: frozenset[Placed] = frozenset()

    def want(self, wish: Goal | Leave) -> None:
        """Take a wish; the latest counts."""
        if wish != self.wish:
            self.name = wish.name if isinstance(wish, Goal) else self.name
            self.wish = wish
            self._new_wish = True
            self._wake.set()
            if not (isinstance(wish, Goal) and wish.role is Role.ACTIVE):
                self._revoked.set()

    def nudge(self) -> None:
        """Something on this server changed: look again."""
        if self.wish is not None:
            self._wake.set()

    def nudge_if_units_matter(self) -> None:
        """A unit changed its state: look again, but not where that follows from an attempt that failed just now."""
        just_now = self.acting or time.monotonic() - self._acted_at < self._pace.agent.retry_min_s
        if self.report.problems and just_now:
            return
        if self.acting or (self.footprint is not None and self.footprint.units):
            self.nudge()

    def nudge_if_drifted(self) -> None:
        """Look again when an address is missing here, or when something could not be done before."""
        held = {Placed(each.interface, each.address) for each in self._host.addresses.held() if each.ours}
        wanted = self.footprint.addresses if self.footprint else frozenset()
        if self.report.problems or not wanted <= held:
            self.nudge()

    async def run(self) -> None:
        """Work until nothing of the goal is left here."""
        attempt, retry_s = 0, None
        try:
            while True:
                await self._woken(retry_s)
                fresh, self._new_wish = self._new_wish, False
                report = await self._step()
                attempt = attempt + 1 if report.problems and not fresh else int(bool(report.problems))
                retry_s = self._pace.retry_s(report, attempt)
                if isinstance(self.wish, Leave) and report.footprint is None:
                    return
                if fresh and not report.busy:
                    await asyncio.sleep(self._pace.agent.settle_ms / 1000)
        finally:
            self._announce(frozenset())

    async def _woken(self, retry_s: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(retry_s):  # not wait_for: on Python 3.11 that may swallow a cancellation
                await self._wake.wait()
        self._wake.clear()

    async def _step(self) -> Report:
        wish = self.wish
        before = self.report
        self.acting = True
        try:
            report = await self._converged(wish)
        except RelocdError as error:
            report = Report(self.footprint, (str(error),))
        except Exception as error:  # noqa: BLE001 - a defect met by one service must not end the others
            _log.exception("this is a defect of relocd", extra={"fields": {"service": self.name}})
            report = Report(self.footprint, (f"a defect of relocd, see its log: {type(error).__name__}",))
        finally:
            self.acting, self._acted_at = False, time.monotonic()
        self.footprint, self.report = report.footprint, report
        self._announce(self._to_announce())
        if report != before:
            self.since = time.time()
            self._log_problems(before, report)
            self._reported()
        return report

    async def _converged(self, wish: Goal | Leave | None) -> Report:
        if isinstance(wish, Goal):
            if wish.role is not Role.ACTIVE:
                self._announce(frozenset())
            self._revoked.clear()
            return await converged(self._host, wish, self.footprint or Footprint(wish.name), self._revoked)
        if isinstance(wish, Leave) and self.footprint is not None:
            self._announce(frozenset())
            return await departed(self._host, self.goal, self.footprint, wish.reason)
        return Report(self.footprint)

    def _log_problems(self, before: Report, report: Report) -> None:
        for problem in report.problems:
            if problem not in before.problems:
                _log.warning("service has a problem", extra={"fields": {"service": self.name, "problem": problem}})
        if before.problems and not report.problems:
            _log.info("service has no problem any more", extra={"fields": {"service": self.name}})

    def _to_announce(self) -> frozenset[Placed]:
        if self.footprint is None or self.footprint.role is not Role.ACTIVE:
            return frozenset()
        return self.footprint.addresses

    def _announce(self, addresses: frozenset[Placed]) -> None:
        """Repeat the announcement of these addresses from now on; the convergence itself sent the first."""
        if addresses == self._announced:
            return
        if self._announcing is not None:
            self._announcing.cancel()
        self._announced = addresses
        self._announcing = asyncio.create_task(self._repeat(addresses)) if addresses else None

    async def _repeat(self, addresses: frozenset[Placed]) -> None:
        """A burst with growing distance against lost frames, then a refresh at a low rate."""
        delay_s = 0.05
        for _ in range(self._pace.wire.announce_burst - 1):
            await asyncio.sleep(delay_s)
            await self._announce_once(addresses)
            delay_s = min(delay_s * 2, 1.0)
        while self._pace.wire.announce_refresh_s > 0:
            await asyncio.sleep(self._pace.wire.announce_refresh_s)
            await self._announce_once(addresses)

    async def _announce_once(self, addresses: frozenset[Placed]) -> None:
        try:
            await announce(self._host, addresses)
        except RelocdError as error:
            _log.warning("cannot announce", extra={"fields": {"service": self.name, "problem": str(error)}})
