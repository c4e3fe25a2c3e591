"""The health of the server, by the checks of relocd.toml: while one fails, every service counts as failed here."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from relocd.agent.convergence.host import Host
from relocd.agent.health.asking import repeat
from relocd.agent.health.declared import can_be_made
from relocd.agent.health.failures import HealthFailures
from relocd.agent.health.judge import CheckState, Judgement, judged
from relocd.model.entries import Problem
from relocd.model.health import Check

__all__ = ["ServerChecks"]

_log = logging.getLogger(__name__)


class ServerChecks:
    """The server's own checks, which are made all the time; `problems` are those that cannot be."""

    def __init__(
        self, host: Host, checks: Sequence[Check], failures: HealthFailures, changed: Callable[[], None]
    ) -> None:
        now = time.monotonic()
        made = [check for check in checks if can_be_made(host, check)]
        self.judgements = {check: Judgement.starting(now, check.limits.start_s) for check in made}
        self.problems = tuple(
            Problem("relocd.toml", f"[[health]] runs {check.arguments[0]}, which is not here; install it")
            for check in checks
            if check not in made
        )
        self._doubts: dict[Check, str] = {}
        self._host = host
        self._failures = failures
        self._changed = changed

    async def run(self) -> None:
        """Make the checks for ever."""
        async with asyncio.TaskGroup() as group:
            for check in self.judgements:
                group.create_task(repeat(self._host, check, (), lambda: True, self._take))

    def _take(self, check: Check, failure: str) -> None:
        if failure:
            self._host.meter.check_failed("", check.name)
        before = self.judgements[check]
        after = self.judgements[check] = judged(before, failure, check.limits, time.monotonic())
        self._doubts[check] = "" if after.state is CheckState.FAILING else failure
        if after.state is not before.state:
            self._count()
        self._failures.doubt_server("; ".join(filter(None, self._doubts.values())))

    def _count(self) -> None:
        """Let the server count as failed while a check fails."""
        failing = [each.failure for each in self.judgements.values() if each.state is CheckState.FAILING]
        if failing:
            self._failures.fail_server("; ".join(failing))
        else:
            self._failures.recover_server()
        self._changed()
