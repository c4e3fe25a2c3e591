"""One worker for each goal: one convergence at a time, always for the latest goal, with retries and announcements.

Workers do not wait for each other. A worker that was not given a goal yet does nothing: what the ledger names stays.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from relocd.agent.announcer import Announcer
from relocd.agent.bulkhead import defect
from relocd.agent.convergence.converge import Options, Report, converge, is_up, leave, stage, units_run
from relocd.agent.convergence.execution import drop_addresses
from relocd.agent.convergence.host import Host
from relocd.agent.handover.controller import HandoverController
from relocd.agent.handover.round import HandoverDeps, Round
from relocd.agent.health.judge import Judgement
from relocd.agent.liveness.lease_guard import lifetime_s
from relocd.agent.pauses import Effort, Pace, Pauses
from relocd.agent.restarts import RestartOrders
from relocd.election.eligibility import OwnershipView
from relocd.errors import RelocdError
from relocd.model.entries import EntryUUID, Isolation, ServiceAddress
from relocd.model.health import Check
from relocd.model.host import HeldAddress
from relocd.model.masking import told
from relocd.model.status import Mode
from relocd.model.template_set import Role
from relocd.reconcile.desired import Footprint, Placed
from relocd.reconcile.goals import Goal, GoalId, in_role, service_of

__all__ = ["Leave", "Worker"]

_log = logging.getLogger(__name__)
_SECRETS_S = 0.05
_KEPT_SECRETS = 100


@dataclass(frozen=True, slots=True)
class Leave:
    """What is wanted in place of a goal: that nothing of it is left here, and why."""

    reason: str


class Worker:
    """Keeps one goal as wanted. `reported` is called after each round that changed the report."""

    def __init__(
        self,
        host: Host,
        goal: GoalId,
        footprint: Footprint | None,
        pace: Pace,
        deps: HandoverDeps,
        reported: Callable[[], None],
    ) -> None:
        self.goal = goal
        self.name = footprint.name if footprint else str(goal)
        self.wanted: Goal | Leave | None = None
        self.report = Report(footprint)
        self.since = time.time()
        self.acting = False
        self.judgements: Mapping[Check, Judgement] = {}  # of its health checks, while they are made
        self._wake = asyncio.Event()
        self._acted_at = 0.0
        self._host = host
        self._pace = pace
        self._deps = deps
        self.footprint = footprint
        self._pauses = Pauses(pace.agent)
        self._controller = HandoverController(host, deps, self._pauses, EntryUUID(goal))
        self.restarts = RestartOrders(host, self._wake.set)
        self._seen: tuple[object, tuple[HeldAddress, ...]] = (None, ())
        self._reported = reported
        self._new_goal = False
        self._units_changed = False
        self._freed = False  # a foreign address has gone, and what failed was not tried again since
        self._revoked = asyncio.Event()
        self._urgent = asyncio.Event()
        self._announcer = Announcer(host, pace.wire)
        self._leased = False
        self._secrets: tuple[str, ...] | None = None  # also earlier ones: what runs may still have those

    @property
    def footprint(self) -> Footprint | None:
        """What the goal has on this server, None for nothing; the other parts of the agent see it, too."""
        return self._deps.state.footprints.get(self.goal)

    @footprint.setter
    def footprint(self, footprint: Footprint | None) -> None:
        if footprint is None:
            self._deps.state.footprints.pop(self.goal, None)
        else:
            self._deps.state.footprints[self.goal] = footprint

    def want(self, wanted: Goal | Leave) -> None:
        """Take what is wanted from now on; only the latest counts."""
        if wanted != self.wanted:
            if _ownership(wanted) != _ownership(self.wanted) or _secrets(wanted) != _secrets(self.wanted):
                self._urgent.set()
            if isinstance(wanted, Goal):
                self.name = wanted.name
                self._deps.moves.note(wanted)
                self._secrets = tuple(dict.fromkeys((*wanted.secrets, *(self._secrets or ()))))[:_KEPT_SECRETS]
                wanted = replace(wanted, earlier_secrets=self._secrets)
            self.wanted = wanted
            self._new_goal = True
            self._wake.set()
            if not _serves(wanted):
                self._revoked.set()

    @property
    def unsteady(self) -> str:
        """Why the units of the service do not stay as they are kept, empty where they do."""
        return self._pauses.unsteady(Effort.KEEP)

    @property
    def failed_here(self) -> str:
        """Why the service counts as failed here by its health, or by the server's; empty where it does not."""
        return self._deps.failures.failed(self.goal) or ""

    @property
    def failed_back(self) -> str:
        """Why the service was given back, empty where it was not."""
        return self._controller.failed_back

    @property
    def withdrawn(self) -> str:
        """Why the service's addresses were dropped, while this server is still called the holder; else empty."""
        return self._controller.withdrawn

    @property
    def there(self) -> tuple[Placed, ...]:
        """The service's addresses that are on this server now, whoever has raised them."""
        return tuple(Placed(each.interface, each.address) for each in self._held())

    @property
    def raised(self) -> tuple[Placed, ...]:
        """The service's addresses on this server that are ours."""
        return tuple(Placed(each.interface, each.address) for each in self._held() if each.ours)

    @property
    def contested(self) -> OwnershipView | None:
        """The ownership of the service, while it is exclusive and addresses of it are on this server."""
        return _ownership(self.wanted) if self.raised else None

    def _held(self) -> tuple[HeldAddress, ...]:
        left = self.footprint.addresses if self.footprint else ()
        return tuple(self._host.addresses.copies((*self.intended, *(placed.address for placed in left))))

    @property
    def intended(self) -> tuple[ServiceAddress, ...]:
        """The addresses that should be on this server now."""
        wanted = self.wanted
        if not isinstance(wanted, Goal) or wanted.role is not Role.ACTIVE:
            return ()
        return wanted.addresses if wanted.ownership is None or wanted.ownership.holds else ()

    async def is_up(self) -> bool:
        """Whether something that this server has only while it serves may be up here."""
        return self.footprint is not None and await is_up(self._host, self.footprint)

    def nudge(self, *, at_all: bool = False) -> None:
        """Start a round, because something on this server changed; `at_all`: try again also what failed for good."""
        self._controller.recheck(at_all=at_all)
        if at_all:
            self._pauses.end()
            self._deps.failures.retry(self.goal, "something has changed here")
        if self.wanted is not None:
            self._wake.set()

    def nudge_if_units_matter(self) -> None:
        """Start a round after a unit changed its state, unless that follows from an attempt that failed just now."""
        just_now = self.acting or time.monotonic() - self._acted_at < self._pace.agent.retry_min_s
        if self.report.problems and just_now:
            return
        self._pauses.end_failed(Effort.KEEP)
        self._units_changed = True
        if self.acting or (self.footprint is not None and self.footprint.units):
            self.nudge()

    def nudge_if_drifted(self) -> None:
        """Start a round when an address is missing here, or where the network has changed since the last round.

        What failed is tried again at once then; also what failed for good, once what was in the way is gone. What this
        service does to its own addresses is no change.
        """
        placed = self.footprint.addresses if self.footprint else frozenset()
        changed = self._note_network() and not self.acting
        if changed and self.report.problems:
            self._pauses.end()
        if changed or not placed <= frozenset(self.raised):
            self.nudge()
        if not self.acting:
            self._retry_if_freed()

    def _note_network(self) -> bool:
        """Keep the network as it is now, and whether a foreign address has gone; True if anything has changed."""
        before, self._seen = self._seen, self._network()
        self._freed |= any(not each.ours for each in set(before[1]) - set(self._seen[1]))
        return before != self._seen

    def _retry_if_freed(self) -> None:
        """Try again also what failed for good, if a foreign address has gone, whether or not a round was under way."""
        if self._freed:
            self._freed = False
            self.nudge(at_all=True)

    def _network(self) -> tuple[object, tuple[HeldAddress, ...]]:
        """What matters of this host's network: its interfaces, and every copy of this service's addresses."""
        placed = self.footprint.addresses if self.footprint else ()
        addresses = self.wanted.addresses if isinstance(self.wanted, Goal) else ()
        found = tuple(self._host.addresses.copies((*addresses, *(each.address for each in placed))))
        return self._host.addresses.interfaces(), found

    async def could_serve(self) -> bool:
        """Whether nothing on this server prevents the active role."""
        if not isinstance(self.wanted, Goal):
            return False
        active = in_role(self.wanted, Role.ACTIVE)
        try:
            await stage(self._host, active, self.footprint or Footprint(self.wanted.name))
        except RelocdError:
            return False
        return True

    async def withdraw(self, reason: str) -> None:
        """Another host has the addresses by right: drop them whatever is under way here, and stop the rest next."""
        self._controller.withdraw(reason)
        self._announcer.stop()
        self._revoked.set()
        await drop_addresses(self._host, self.name, self.raised, reason)
        self._urgent.set()
        self._wake.set()

    async def announce_on(self, interfaces: Collection[str]) -> None:
        """Announce again what is here on these interfaces: neighbours and switches may know another way to it."""
        addresses = self._to_announce()
        if any(placed.interface in interfaces for placed in addresses):
            await self._announcer.restart(self.name, addresses)

    @property
    def has_lease(self) -> bool:
        """Whether the kernel drops the addresses by itself when the lease is over, or did so a moment ago."""
        ownership = _ownership(self.wanted)
        return self._leased or (ownership is not None and ownership.isolation is Isolation.RELEASE)

    async def renew(self, left_s: float) -> None:
        """Extend the kernel's lifetime of the addresses: the lease has been renewed and lasts `left_s`."""
        ownership, footprint = _ownership(self.wanted), self.footprint
        if ownership is None or footprint is None or footprint.role is not Role.ACTIVE:
            return
        releases = ownership.isolation is Isolation.RELEASE
        if not (releases or self._leased):
            return
        seconds = lifetime_s(left_s) if releases else None
        if seconds is not None and seconds < 1:
            return
        self._leased = releases
        for placed in footprint.addresses:
            await self._extend(placed, seconds)

    async def _extend(self, placed: Placed, seconds: int | None) -> None:
        try:
            await self._host.addresses.extend(placed.interface, placed.address, seconds)
        except RelocdError as error:
            # An address that was handed over just now is gone, which is no problem; a missing one is raised again.
            level = logging.WARNING if placed in self.raised else logging.DEBUG
            _log.log(level, "cannot renew", extra={"fields": {"service": self.name, "problem": str(error)}})

    async def run(self) -> None:
        """Work until nothing of the goal is left here."""
        attempt, retry_s = 0, None
        try:
            while True:
                await self._woken(retry_s)
                fresh, self._new_goal = self._new_goal, False
                self._urgent.clear()
                report = await self._round()
                attempt = attempt + 1 if report.problems and not fresh else int(bool(report.problems))
                retry_s, since = self._pace.retry_s(report, attempt), time.monotonic()
                if isinstance(self.wanted, Leave) and report.footprint is None:
                    return
                if fresh and not report.busy and report.again_s != 0:  # 0: it is in the middle of a handover
                    await self._settle()
                    retry_s = retry_s and max(0.0, retry_s - (time.monotonic() - since))
        finally:
            self._announcer.stop()

    async def _settle(self) -> None:
        """Let a burst of changes pass, unless one is about who runs the service or brings a new link's secrets."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pace.agent.settle_ms / 1000):
                await self._urgent.wait()

    async def _woken(self, retry_s: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(retry_s):  # not wait_for: on Python 3.11 that may swallow a cancellation
                await self._wake.wait()
        self._wake.clear()

    async def _round(self) -> Report:
        """Act once for what is wanted now, whatever error that meets, and keep the report."""
        wanted, before = self.wanted, self.report
        self.acting = True
        try:
            if self._units_changed and await units_run(self._host, self.footprint):
                self._pauses.end_failed(Effort.ACTIVATE)  # somebody else has started what did not start
            self._units_changed = False
            report = await self._act(wanted)
            paused = self._deps.state.mode is Mode.PAUSED
            await self.restarts.carry_out(wanted, report, self._urgent, paused=paused)
        except RelocdError as error:
            report = Report(self.footprint, (told(error, self._secrets),))
            self.restarts.give_up()
        except Exception as error:  # noqa: BLE001 - a defect met by one service must not end the others
            _log.exception("this is a defect of relocd", extra={"fields": {"service": self.name}})
            report = Report(self.footprint, (defect(error),))
            self.restarts.give_up()
        finally:
            self.acting, self._acted_at = False, time.monotonic()
        report = self._with_patience(wanted, report)
        self.footprint, self.report = report.footprint, report
        self._note_network()
        self._retry_if_freed()
        self._announcer.keep(self.name, self._to_announce() or self._announcer.addresses & frozenset(self.raised))
        if report != before:
            self.since = time.time()
            self._log_problems(before, report)
        if report != before or report.broken:  # the status said meanwhile that a step is under way
            self._reported()
        return report

    async def _act(self, wanted: Goal | Leave | None) -> Report:
        if self._deps.state.mode is Mode.PAUSED:
            return Report(self.footprint, reason="paused: nothing is done here until `relocd resume`")
        if isinstance(wanted, Goal):
            if wanted.role is not Role.ACTIVE:
                self._announcer.stop()
            self._revoked.clear()
            footprint = self.footprint or Footprint(wanted.name)
            if wanted.ownership is not None:
                return await self._controller.act(Round(wanted, wanted.ownership, footprint, self._revoked))
            return await self._paced(wanted, lambda: converge(self._host, wanted, footprint, Options(self._revoked)))
        here = self.footprint
        if isinstance(wanted, Leave) and here is not None:
            self._announcer.stop()
            return await self._paced(wanted, lambda: leave(self._host, self.goal, here, wanted.reason, self._secrets))
        return Report(self.footprint)

    async def _paced(self, wanted: Goal | Leave, work: Callable[[], Awaitable[Report]]) -> Report:
        """Do the work, unless the same failed just now."""
        failure, begun = self._pauses.waiting(Effort.KEEP, wanted), time.monotonic()
        if failure is not None:
            return Report(self.footprint, failure.problems, broken=failure.broken, again_s=failure.left_s)
        report = await work()
        if not report.busy:
            self._pauses.note(Effort.KEEP, wanted, report, begun)
        return report

    def _with_patience(self, wanted: Goal | Leave | None, report: Report) -> Report:
        """The report, without problems that may only mean that the secrets of a new link have not been read yet."""
        unread = service_of(self.goal) in self._deps.state.unread_secrets
        if report.problems and (unread or _secrets(wanted) != _secrets(self.wanted)):
            return replace(report, problems=(), reason="its secrets are being read", again_s=_SECRETS_S)
        return report

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


def _ownership(wanted: Goal | Leave | None) -> OwnershipView | None:
    return wanted.ownership if isinstance(wanted, Goal) else None


def _secrets(wanted: Goal | Leave | None) -> object:
    return wanted.context.secrets if isinstance(wanted, Goal) else None


def _serves(wanted: Goal | Leave) -> bool:
    """Whether units that are being started may go on starting."""
    if not isinstance(wanted, Goal) or wanted.role is not Role.ACTIVE:
        return False
    ownership = wanted.ownership
    return ownership is None or ownership.me in ownership.eligible.all - ownership.fenced
