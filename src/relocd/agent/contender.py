"""One exclusive service on this server: what is seen of it, the next step by the rules, and carrying that out.

`relocd.plan.handover` decides. This module brings it what it needs to know (the state, the witnesses, whether all is
ready here) and keeps what lies between two steps: a failed activation, since when a candidacy stands, how the service
came here. One step at a time, each on the latest wish.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from relocd.agent.converge import Report, converged, let_go, prepared
from relocd.agent.execution import Warrant
from relocd.agent.host import Host
from relocd.agent.pulse import Pulse
from relocd.agent.witnesses import Testimony, Witnesses
from relocd.agent.writes import Writes
from relocd.errors import Busy, RelocdError
from relocd.model.entries import Cluster, EntryUUID, Isolation, ServiceState
from relocd.model.mode import Mode
from relocd.model.parse import STATE_RDN, parsed
from relocd.model.settings import HandoverSettings
from relocd.model.template_set import Role
from relocd.plan.contest import Contest
from relocd.plan.desired import Footprint, Placed
from relocd.plan.goals import Goal, in_role
from relocd.plan.handover import (
    Activate,
    GiveBack,
    GivesWay,
    HandOver,
    Here,
    Keep,
    LetGo,
    Sight,
    State,
    Step,
    StepDown,
    Stop,
    SwapIn,
    next_step,
    watched,
)
from relocd.plan.swaps import renaming, unlinking, write_of
from relocd.ports import DirectoryReader, DirectoryWriter

__all__ = ["Agreement", "Contender"]

_log = logging.getLogger(__name__)
_RELEASE_MARGIN_S: Final = 1.6
"""The kernel drops an address up to 1.5 s late (measured)."""
_GIVING_WAY_AGAIN_S: Final = 0.02
_READY_FOR_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """What this server agrees with the others by; shared by all its services.

    `providers` is how many providers the directory has, `mode` what a person has told this agent, `is_up` whether
    something of a service is still up here.
    """

    reader: DirectoryReader
    writer: DirectoryWriter
    pulse: Pulse
    witnesses: Witnesses
    settings: HandoverSettings
    providers: Callable[[], int]
    mode: Callable[[], Mode]
    is_up: Callable[[EntryUUID], bool]


class Contender:
    """The part of this server in one exclusive service."""

    def __init__(self, host: Host, agreement: Agreement) -> None:
        self._host = host
        self._agreed = agreement
        self._writes = Writes(agreement.writer)
        self._state: State | None = None
        self._seen_at = 0.0
        self._candidate_since: float | None = None
        self._failed_in: int | None = None
        self._sulks_about: object = None
        self._taken: int | None = None
        self._unasked: int | None = None
        self._ready: tuple[Goal, Footprint, float] | None = None
        self._problems: tuple[str, ...] = ()

    def look_again(self, *, at_all: bool) -> None:
        """Something changed here: it may be ready now, or not any more; `at_all`: what failed may work now."""
        self._ready = None
        if at_all:
            self._sulks_about = None

    async def act(self, goal: Goal, contest: Contest, footprint: Footprint, revoked: asyncio.Event) -> Report:
        """Do what is due now; the report says how this server stands to the service."""
        if self._agreed.mode() is Mode.PAUSED:
            return Report(footprint, standing="paused: nothing is done here until `relocd resume`")
        self._note(goal, contest)
        doubt = await self._writes.settle()
        if doubt:
            return Report(footprint, (doubt,), standing="waits for the outcome of a write")
        if contest.is_misnamed:
            return _told(Report(footprint), await self._writes.send(renaming(contest), contest))
        here = await self._here(goal, contest, footprint)
        sight = Sight(contest.me, _known_state(contest, here), contest.choice)
        testimony = await self._agreed.witnesses.heard(goal, watched(sight, here), self._seen_at, wire=here.ready)
        asked_at = time.monotonic()
        step = next_step(replace(sight, lives=testimony.lives), here)
        report = await self._taken_step(step, goal, contest, footprint, revoked, asked_at)
        return self._with_words(report, step, testimony, contest)

    def _note(self, goal: Goal, contest: Contest) -> None:
        """Keep what changes of the state mean for later."""
        state, before = contest.state, self._state
        if state is None:
            return
        if before is None or state.generation != before.generation:
            self._seen_at = time.monotonic()
        if state.candidate != contest.me:
            self._candidate_since = None
        elif self._candidate_since is None:
            self._candidate_since = time.monotonic()
        handed = before is not None and before.holder not in {None, contest.me}
        if contest.holds and handed and self._taken != state.generation:
            self._unasked = state.generation  # who handed over has let go, so the wire need not be asked
        if self._sulks_about is not None and (
            contest.me not in contest.choice.all or _matter(goal, contest) != self._sulks_about
        ):
            self._sulks_about = None
        self._state = state

    async def _here(self, goal: Goal, contest: Contest, footprint: Footprint) -> Here:
        now, pulse = time.monotonic(), self._agreed.pulse
        wanted = contest.me in contest.choice.all and not contest.holds and contest.state is not None
        self._problems = await self._unready(goal, footprint) if wanted else ()
        generation = None if contest.state is None else contest.state.generation
        return Here(
            active=footprint.role is Role.ACTIVE,
            up=self._is_up(footprint),
            ready=wanted and not self._problems and pulse.is_current(now),
            steady=pulse.is_steady(now, "" if contest.entry is None else contest.entry.csn),
            failed=self._failed_in is not None and self._failed_in == generation,
            sulks=self._sulks_about is not None,
            settled=self._settles_s(now) <= 0,
            expired=contest.isolation is Isolation.RELEASE and self._is_expired(now),
            gives_way=self._gives_way(contest),
        )

    async def _unready(self, goal: Goal, footprint: Footprint) -> tuple[str, ...]:
        """Why this server could not take over now; looked at again when something changed here, or after a while."""
        substance = _substance(goal)
        ready, now = self._ready, time.monotonic()
        if ready is not None and ready[:2] == (substance, footprint) and now - ready[2] < _READY_FOR_S:
            return ()
        self._ready = None
        problems = await prepared(self._host, in_role(goal, Role.ACTIVE), footprint)
        if not problems:
            self._ready = (substance, footprint, time.monotonic())
        return problems

    def _is_up(self, footprint: Footprint) -> bool:
        held = {Placed(each.interface, each.address) for each in self._host.addresses.held() if each.ours}
        partly = footprint.role is None and bool(footprint.units)
        return footprint.role is Role.ACTIVE or partly or not footprint.addresses.isdisjoint(held)

    def _is_expired(self, now: float) -> bool:
        pulse = self._agreed.pulse
        return pulse.has_begun and pulse.left_s(now) <= _RELEASE_MARGIN_S

    def _settles_s(self, now: float) -> float:
        """How long the candidacy has to stand yet; providers that are more than one have to meet first."""
        if self._candidate_since is None:
            return 0.0
        settle_s = self._agreed.settings.settle_ms / 1000 if self._agreed.providers() > 1 else 0.0
        return self._candidate_since + settle_s - now

    def _gives_way(self, contest: Contest) -> GivesWay | None:
        if contest.me in contest.fenced:
            return GivesWay.FENCED
        if contest.displaced_by is not None:
            return GivesWay.DISPLACED
        return GivesWay.DRAINED if self._agreed.mode() is Mode.DRAINED else None

    async def _taken_step(
        self, step: Step, goal: Goal, contest: Contest, footprint: Footprint, revoked: asyncio.Event, asked_at: float
    ) -> Report:
        standby = in_role(goal, Role.STANDBY)
        match step:
            case Keep():
                return await self._kept(goal, contest, footprint, revoked)
            case Stop():
                self._log(step, goal, contest)
                report = await converged(self._host, replace(standby, reason=step.reason), footprint)
                return report if report.problems else replace(report, again_s=0.0)
            case Activate():
                self._log(step, goal, contest)
                return await self._activated(step, goal, contest, footprint, revoked)
        view = (contest.state, contest.choice)
        awaited_s = self._writes.awaited_s(view)
        if awaited_s:
            return Report(footprint, again_s=awaited_s)
        self._log(step, goal, contest)
        if isinstance(step, LetGo) and not await self._nobody_is_chosen(contest):
            return Report(footprint, again_s=self._agreed.settings.beat_s)
        report = Report(footprint)
        if isinstance(step, HandOver | GiveBack | LetGo | StepDown):
            report = await let_go(self._host, replace(standby, reason=step.reason), footprint)
            if report.problems:
                return report
        if isinstance(step, GiveBack):
            own = unlinking(contest, contest.me)
            problem = "" if own is None else await self._writes.send(own, view)
            if problem:
                return _told(report, problem)
        problem = await self._write(step, contest, view, asked_at)
        return _told(replace(report, again_s=self._writes.awaited_s(view)), problem)

    async def _write(self, step: Step, contest: Contest, view: object, asked_at: float) -> str:
        write = write_of(step, contest)
        if write is None:
            return ""
        if isinstance(step, SwapIn):
            if time.monotonic() - asked_at > self._agreed.settings.hesitation_s:
                return "what the witnesses said is too old by now; asking them again"
            self._taken = step.state.generation + 1
            if step.state.holder in contest.fenced:
                self._unasked = self._taken  # it is off for certain
        return await self._writes.send(write, view)

    async def _kept(self, goal: Goal, contest: Contest, footprint: Footprint, revoked: asyncio.Event) -> Report:
        """Keep the role that this server has in the service as it should be."""
        if contest.holds and footprint.role is Role.ACTIVE:
            return await self._brought_up(goal, contest, footprint, revoked, probe=goal.probe)
        if contest.state is not None and not contest.holds and not self._is_up(footprint):
            return await converged(self._host, in_role(goal, Role.STANDBY), footprint)
        return Report(footprint)

    async def _activated(
        self, step: Activate, goal: Goal, contest: Contest, footprint: Footprint, revoked: asyncio.Event
    ) -> Report:
        in_the_way = [uuid for uuid in contest.displaces if self._agreed.is_up(uuid)]
        if in_the_way:
            waits = "waits until what it displaces has given way"
            return Report(footprint, busy=True, standing=waits, again_s=_GIVING_WAY_AGAIN_S)
        probe = goal.probe and self._unasked != step.generation
        report = await self._brought_up(replace(goal, reason=step.reason), contest, footprint, revoked, probe=probe)
        if report.problems and not report.busy and not revoked.is_set():
            self._failed_in, self._sulks_about = step.generation, _matter(goal, contest)
        return report if report.busy else replace(report, again_s=0.0)

    async def _brought_up(
        self, goal: Goal, contest: Contest, footprint: Footprint, revoked: asyncio.Event, *, probe: bool
    ) -> Report:
        active = replace(in_role(goal, Role.ACTIVE), probe=probe)
        refused: list[RelocdError] = []

        async def permit() -> Warrant:
            try:
                return await self._confirmed(contest)
            except RelocdError as error:
                refused.append(error)
                raise

        try:
            return await converged(self._host, active, footprint, revoked, permit)
        except RelocdError as error:
            if error not in refused:
                raise
            return Report(footprint, (str(error),), busy=True)

    async def _confirmed(self, contest: Contest) -> Warrant:
        """The permission to serve, from a direct read of the state; raises `Busy` or `Unavailable` without one."""
        now, pulse = time.monotonic(), self._agreed.pulse
        entry = await self._agreed.reader.by_dn(contest.service.below(STATE_RDN))
        found = None if entry is None else parsed(entry)[0]
        if not isinstance(found, ServiceState) or contest.entry is None:
            raise Busy("a direct read does not find the state of the service; nothing is raised on that")
        if (found.holder, found.generation) != (contest.entry.holder, contest.entry.generation):
            raise Busy("a direct read finds another holder or generation than was seen; waiting until that is seen")
        if not pulse.is_steady(time.monotonic(), found.csn):
            raise Busy("this server's own heartbeat is not steady; waiting until it is")
        lifetime_s = None
        if contest.isolation is Isolation.RELEASE:
            lifetime_s = self.lifetime_s(pulse.left_s(time.monotonic()))
            if lifetime_s < 1:
                raise Busy("this server's lease is about to run out; waiting for the next heartbeat")
        return Warrant(now + self._agreed.settings.hesitation_s, lifetime_s)

    @staticmethod
    def lifetime_s(left_s: float) -> int:
        """The whole seconds for which the kernel keeps an address that must be gone when the lease is over."""
        return int(left_s - _RELEASE_MARGIN_S)

    async def _nobody_is_chosen(self, contest: Contest) -> bool:
        """Whether the directory positively says that nothing links to the service; raises `Unavailable`."""
        entries = await self._agreed.reader.linking_to(contest.service)
        values = [parsed(entry)[0] for entry in entries]
        return all(isinstance(value, Cluster) and value.active is None for value in values)

    def _with_words(self, report: Report, step: Step, testimony: Testimony, contest: Contest) -> Report:
        """The report with what this server waits for, and when that may change by time alone."""
        now = time.monotonic()
        times = [report.again_s, testimony.again_s]
        if self._settles_s(now) > 0:
            times.append(self._settles_s(now))
        if contest.holds and not self._agreed.pulse.is_steady(now, "" if contest.entry is None else contest.entry.csn):
            times.append(self._agreed.settings.hesitation_s / 4)
        if contest.isolation is Isolation.RELEASE and self._agreed.pulse.left_s(now) > 0:
            times.append(max(self._agreed.pulse.left_s(now) - _RELEASE_MARGIN_S, 0.0) + 0.01)
        resting = () if contest.displaced_by is None else (f"rests while {contest.displaced_by} is here",)
        standing = report.standing or "; ".join((step.reason, *resting, *testimony.words))
        problems = report.problems + tuple(each for each in self._problems if each not in report.problems)
        again_s = min((each for each in times if each is not None), default=None)
        return replace(report, problems=problems, standing=standing, again_s=again_s)

    def _log(self, step: Step, goal: Goal, contest: Contest) -> None:
        fields = {
            "service": goal.name,
            "step": type(step).__name__,
            "reason": step.reason,
            "generation": None if contest.state is None else contest.state.generation,
        }
        _log.info("handover", extra={"fields": fields})


def _substance(goal: Goal) -> Goal:
    """A goal without what changes while it moves: who runs it, and why."""
    return replace(in_role(goal, Role.ACTIVE), contest=None, reason="")


def _matter(goal: Goal, contest: Contest) -> object:
    """What a failed activation was about: once it is another, it may be tried again."""
    return goal.addresses, goal.interface, goal.sets, goal.context["parameters"], contest.choice


def _known_state(contest: Contest, here: Here) -> State | None:
    """The state, unless something is up here and the state names a holder that cannot be told from this server."""
    state = contest.state
    unclear = state is not None and state.holder in contest.nameless and here.up
    return None if unclear else state


def _told(report: Report, problem: str) -> Report:
    return replace(report, problems=(*report.problems, problem)) if problem else report
