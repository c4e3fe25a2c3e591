"""The health of one service while it is served here: its checks, what they say, and what is done about it.

The declared checks have a task each. What relocd knows by itself is looked at from outside (`look`): units that it
cannot keep running, and addresses on an interface that has lost its carrier.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

from relocd.agent.convergence.host import Host
from relocd.agent.health.asking import repeat
from relocd.agent.health.declared import DeclaredChecks, declared_checks
from relocd.agent.health.failures import HealthFailures
from relocd.agent.health.judge import CheckState, Judgement, Remedy, Treatment, judged, next_remedy
from relocd.agent.restarts import RestartResult
from relocd.agent.worker import Worker
from relocd.errors import RelocdError
from relocd.model.health import Check, CheckKind, HealthLimits
from relocd.model.template_set import Role
from relocd.reconcile.goals import Goal

__all__ = ["ServiceChecks", "serves"]

_log = logging.getLogger(__name__)
# relocd has started the units again before it says that it cannot keep them running.
_UNITS: Final = Check(CheckKind.UNITS, "units", HealthLimits(restarts=0, start_s=0.0))
_CARRIER: Final = Check(
    CheckKind.CARRIER, "carrier", HealthLimits(interval_s=0.5, fall=2, rise=4, start_s=0.0, restarts=0)
)
_RENDER_AGAIN_S: Final = 5.0
_FIRST_AGAIN_S: Final = 60.0


def serves(worker: Worker) -> bool:
    """Whether a worker's service is served here, and is one whose health counts."""
    goal, footprint = worker.wanted, worker.footprint
    if not isinstance(goal, Goal) or goal.files_only or goal.context.service is None:
        return False
    if footprint is None or footprint.role is not Role.ACTIVE:
        return False
    return goal.role is Role.ACTIVE and (goal.ownership is None or goal.ownership.holds)


class ServiceChecks:
    """The checks of a service from its activation here until it leaves; `changed` is called when something is new."""

    def __init__(self, host: Host, worker: Worker, failures: HealthFailures, changed: Callable[[], None]) -> None:
        self.worker = worker
        self._unknown: tuple[str, ...] = ()
        self._not_made: tuple[str, ...] = ()
        self.judgements: dict[Check, Judgement] = {}
        self._host = host
        self._failures = failures
        self._changed = changed
        now = time.monotonic()
        self._treatment = Treatment(failed=failures.own(worker.goal) is not None, again_at=now + _FIRST_AGAIN_S)
        self._restarting: asyncio.Task[None] | None = None
        self._units = _UNITS
        self._broken = ""
        self._sampled_at: dict[Check, float] = {}
        for check in (_UNITS, _CARRIER):
            self.judgements[check] = Judgement(CheckState.OK, now, now)
        worker.judgements = self.judgements

    @property
    def problems(self) -> tuple[str, ...]:
        """The checks that cannot be made, and why; what the worker itself reports is not said again."""
        new = (each for each in self._not_made if each not in self.worker.report.problems)
        return *self._unknown, *(f"a health check is not made: {each}" for each in new)

    async def run(self, goal: Goal) -> None:
        """Make the declared checks of a goal until this is cancelled; what is known of the same checks stays."""
        declared = await self._declared(goal)
        self._begin(declared)
        async with asyncio.TaskGroup() as group:
            for check in declared.checks:
                group.create_task(repeat(self._host, check, goal.secrets, self._is_due, self._take))

    def end(self) -> None:
        """Stop what is under way."""
        self.worker.judgements = {}
        if self._restarting is not None:
            self._restarting.cancel()

    def look(self, lost: Collection[str], now: float) -> None:
        """Judge what relocd knows by itself; `lost` are the interfaces that have lost their carrier."""
        self._forget_if_cleared(now)
        report, footprint = self.worker.report, self.worker.footprint
        if report.broken or self.worker.unsteady:
            self._broken = self.worker.unsteady or "; ".join(report.problems) or "they do not run"
        without = sorted({each.interface for each in footprint.addresses} & set(lost)) if footprint and lost else ()
        self._sample(_CARRIER, f"{', '.join(without)} has none; check its cable" if without else "", now)
        if self._sample(self._units, self._broken, now):
            self._broken = ""

    async def _declared(self, goal: Goal) -> DeclaredChecks:
        """The declared checks of a goal; asked for again while they cannot be known."""
        while True:
            try:
                return await declared_checks(self._host, goal)
            except RelocdError as error:
                self._unknown = (f"its health checks are not known: {error}",)
                self._changed()
            await asyncio.sleep(_RENDER_AGAIN_S)

    def _begin(self, declared: DeclaredChecks) -> None:
        now, before = time.monotonic(), self.judgements
        self._unknown, self._not_made = (), declared.problems
        units = before[self._units]
        self._units = _UNITS if declared.units is None else replace(_UNITS, limits=declared.units)
        self.judgements = {self._units: units, _CARRIER: before[_CARRIER]}
        for check in declared.checks:
            self.judgements[check] = before.get(check) or Judgement.starting(now, check.limits.start_s)
        self.worker.judgements = self.judgements
        self._changed()

    # Results.

    def _sample(self, check: Check, failure: str, now: float) -> bool:
        """Take a result of a check that has no task, if it is time and would change anything; whether it was."""
        judgement = self.judgements[check]
        if not failure and judgement.state is CheckState.OK and not judgement.contrary:
            return False
        if now - self._sampled_at.get(check, 0.0) < check.limits.interval_s or not self._is_due():
            return False
        self._sampled_at[check] = now
        self._take(check, f"{check.name}: {failure}" if failure else "")
        return True

    def _is_due(self) -> bool:
        """Whether an answer says something about the service: nothing is being done to it now."""
        return self._restarting is None and not self.worker.acting and serves(self.worker)

    def _take(self, check: Check, failure: str) -> None:
        before = self.judgements.get(check)
        if before is None or not self._is_due():
            return
        now = time.monotonic()
        if failure:
            self._host.meter.check_failed(self.worker.name, check.name)
        after = self.judgements[check] = judged(before, failure, check.limits, now)
        if after.state is not before.state:
            _log_state(self.worker.name, check, after)
            self._changed()
        self._forget_if_cleared(now)
        self._act(now)

    def _act(self, now: float) -> None:
        failing = {check: each for check, each in self.judgements.items() if each.state is CheckState.FAILING}
        well = all(each.state is CheckState.OK for each in self.judgements.values())
        before = self._treatment
        remedy, self._treatment = next_remedy(before, [check.limits for check in failing], all_well=well, now=now)
        reason = "; ".join(each.failure for each in failing.values())
        match remedy:
            case Remedy.RESTART:
                self._restarting = asyncio.create_task(self._restart(reason, before))
            case Remedy.FAIL:
                self._failures.fail(self.worker.goal, reason)
            case Remedy.RECOVER:
                self._failures.recover(self.worker.goal)

    async def _restart(self, reason: str, before: Treatment) -> None:
        """Have the units restarted, and begin anew with all checks; a restart that is put off does not count."""
        fields = {"service": self.worker.name, "reason": reason}
        _log.warning("unhealthy, so its units are restarted", extra={"fields": fields})
        try:
            result = await self.worker.restarts.ask(reason)
        finally:
            self._restarting = None
        if result is RestartResult.TRIED:
            self._begin_anew(time.monotonic(), graceful=True)
        elif result is RestartResult.NOT_NOW:
            self._treatment = before

    def _begin_anew(self, now: float, *, graceful: bool) -> None:
        for check, each in self.judgements.items():
            grace_s = check.limits.start_s if graceful else 0.0
            self.judgements[check] = Judgement.starting(now, grace_s, each.failure)
        self._changed()

    def _forget_if_cleared(self, now: float) -> None:
        """Begin anew where the failure of the service was cleared elsewhere, as by `relocd retry`."""
        if self._treatment.failed and self._failures.own(self.worker.goal) is None:
            self._treatment = Treatment()
            self._begin_anew(now, graceful=False)


def _log_state(service: str, check: Check, now: Judgement) -> None:
    fields = {"service": service, "check": check.name, "now": now.state}
    if now.state is CheckState.FAILING:
        _log.warning("health check fails", extra={"fields": fields | {"failure": now.failure}})
    else:
        _log.info("health check passes", extra={"fields": fields})
