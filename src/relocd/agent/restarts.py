"""Restarts of a service's units that its health checks ask for. They take place in a round of the service's worker.

So a restart never meets a handover: it is put off where one is under way or due, and given up where one becomes due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from relocd.agent.convergence.converge import Report
from relocd.agent.convergence.execution import ExecContext, execute
from relocd.agent.convergence.host import Host
from relocd.model.template_set import Role, UnitAction
from relocd.reconcile.desired import Footprint
from relocd.reconcile.diff import UseUnit
from relocd.reconcile.goals import Goal

__all__ = ["RestartResult", "RestartOrders", "restarting"]

# A unit that several services share is only told what it is told when one of them becomes active.
_AGAIN: Final[Mapping[UnitAction, UnitAction]] = {
    UnitAction.START: UnitAction.RESTART,
    UnitAction.RESTART: UnitAction.RESTART,
    UnitAction.RELOAD: UnitAction.RELOAD,
}


class RestartResult(StrEnum):
    """What became of a restart: it was tried; there is nothing that could be; or this is not the time."""

    TRIED = "tried"
    NOTHING = "nothing"
    NOT_NOW = "not now"


class RestartOrders:
    """The restart that was asked for and has not taken place yet, at most one; `wake` starts a round."""

    def __init__(self, host: Host, wake: Callable[[], None]) -> None:
        self._host = host
        self._wake = wake
        self._order: asyncio.Future[RestartResult] | None = None
        self._reason = ""

    def ask(self, reason: str) -> asyncio.Future[RestartResult]:
        """Ask for a restart in the next round; the answer comes after that."""
        if self._order is None or self._order.done():
            self._order = asyncio.get_running_loop().create_future()
        self._reason = reason
        self._wake()
        return self._order

    async def carry_out(self, goal: object, report: Report, hurry: asyncio.Event, *, paused: bool) -> None:
        """Restart the units if that was asked for; `report` is the round's, and `hurry` ends the waiting for units."""
        order, self._order = self._order, None
        if order is None or order.done():
            return
        result = RestartResult.NOT_NOW
        try:
            if not paused and isinstance(goal, Goal) and report.footprint is not None and _stays(goal, report):
                result = await self._restarted(goal, report.footprint, hurry)
        finally:
            if not order.done():
                order.set_result(result)

    def give_up(self) -> None:
        """Answer that there is no restart: the round met an error, and the next one may do so, too."""
        order, self._order = self._order, None
        if order is not None and not order.done():
            order.set_result(RestartResult.NOTHING)

    async def _restarted(self, goal: Goal, footprint: Footprint, hurry: asyncio.Event) -> RestartResult:
        actions = restarting(footprint)
        if not actions:
            return RestartResult.NOTHING
        context = ExecContext(goal.name, f"unhealthy: {self._reason}", revoked=hurry, secrets=goal.secrets)
        await execute(self._host, actions, context)
        return RestartResult.TRIED


def restarting(footprint: Footprint) -> tuple[UseUnit, ...]:
    """What restarts a service: its units, but for the early ones, on which the others depend."""
    units = (unit for unit in footprint.units if not unit.early and unit.enter in _AGAIN)
    return tuple(UseUnit(unit.name, _AGAIN[unit.enter]) for unit in units)


def _stays(goal: Goal, report: Report) -> bool:
    """Whether a service is served here after a round in which no handover was under way or due.

    A candidate alone makes none due: one that this server outranks stands beside it for ever, and one may be dead.
    """
    if report.footprint is None or report.footprint.role is not Role.ACTIVE or report.busy or report.again_s == 0:
        return False
    return goal.role is Role.ACTIVE if goal.ownership is None else goal.ownership.holds
