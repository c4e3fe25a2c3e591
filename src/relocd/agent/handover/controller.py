"""One exclusive service on this server: what is seen of it, the next step by the rules, and carrying that out.

`relocd.election.rules` decides. This module brings it what it needs to know (the state, the witnesses, whether all is
ready here) and keeps what lies between two steps: a failed activation, since when a candidacy stands, how the service
came here. One step at a time, each on the latest wish.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from relocd.agent.convergence.converge import (
    Report,
    Terms,
    adopted,
    converge,
    is_up,
    obstacles_to,
    release,
    stage,
    still_here,
)
from relocd.agent.convergence.host import Host
from relocd.agent.convergence.pauses import Effort, Pauses
from relocd.agent.handover.efforts import cause_of, effort_of, matter_of, substance_of
from relocd.agent.handover.memory import WAY_S, Memory, Ready
from relocd.agent.handover.writes import Writes
from relocd.agent.liveness.failure_detector import Verdict
from relocd.agent.liveness.lease_guard import RELEASE_MARGIN_S, HandoverDeps, Round, bring_up, keep_up, still_chosen
from relocd.election.eligibility import OwnershipView
from relocd.election.observation import LocalState, Observation, State, YieldReason
from relocd.election.rules import next_step, watched
from relocd.election.steps import (
    Activate,
    BecomeCandidate,
    ClearCandidate,
    DeleteLink,
    FailBack,
    HandOver,
    Keep,
    Release,
    Relinquish,
    Step,
    StepDown,
    Stop,
    SwapIn,
)
from relocd.election.writes import renaming, resend_of, unlinking, write_of
from relocd.errors import RelocdError
from relocd.model.entries import EntryUUID, Isolation
from relocd.model.masking import told
from relocd.model.mode import Mode
from relocd.model.template_set import First, Role
from relocd.reconcile.desired import Footprint
from relocd.reconcile.goals import Goal, in_role

__all__ = ["HandoverController"]

_log = logging.getLogger(__name__)
_SOON_S: Final = 0.02
_WAY_MAX_S: Final = 1.0
_READY_FOR_S: Final = 15.0
_REPEATED_WITHIN: Final = 16  # leases, at most, until what waits is said again


class HandoverController:
    """The part of this server in one exclusive service. `given_back` says why it was, once it was.

    `withdrawn` says why its addresses had to go, until it is served again here or another server is the holder.
    """

    def __init__(self, host: Host, deps: HandoverDeps, pauses: Pauses) -> None:
        self._host = host
        self._deps = deps
        self._pauses = pauses
        self._writes = Writes(deps.writer, deps.settings.prompt_s)
        self._memory = Memory()
        self.failed_back = ""
        self.withdrawn = ""
        self._stops = False

    def withdraw(self, reason: str) -> None:
        """Another host has the addresses by right: what is left here stops next, and the wire is asked before any."""
        self.withdrawn, self._stops, self._memory.unasked = reason, True, None

    def recheck(self, *, at_all: bool) -> None:
        """Something changed here: it may be ready now, or not any more; `at_all`: what failed may work now."""
        self._memory.ready = None
        if at_all:
            self._memory.failed_cause = None

    async def act(self, round_: Round) -> Report:
        """Do what is due now; the report says how this server stands to the service."""
        mine = self._host.claims.left_to(round_.goal.id, round_.goal.addresses)
        round_ = replace(round_, footprint=adopted(self._host, mine, round_.footprint))
        self._note(round_.goal, round_.ownership)
        if self._stops:
            report = await self._paced(Stop(self.withdrawn), round_, None)
            self._stops = bool(report.problems)
            return report
        doubt = await self._writes.settle(steady=self._is_steady(round_))
        if doubt:
            again_s = self._writes.resent_s(self._deps.settings.hesitation_s / 4)
            return Report(round_.footprint, (doubt,), reason="waits for the outcome of a write", again_s=again_s)
        if round_.ownership.is_misnamed:
            return _with_problem(
                Report(round_.footprint), await self._writes.send(renaming(round_.ownership), round_.ownership)
            )
        local = await self._local_state(round_)
        observation = Observation(round_.ownership.me, _known_state(round_.ownership, local), round_.ownership.eligible)
        asked_at = time.monotonic()
        verdict = await self._deps.detector.heard(
            round_.goal, watched(observation, local), self._memory.seen_at, wire=local.ready
        )
        step = self._unless_kept(next_step(replace(observation, lives=verdict.lives), local), local)
        report = await self._carry_out(step, round_, asked_at)
        return self._with_words(report, step, verdict, round_)

    def _note(self, goal: Goal, ownership: OwnershipView) -> None:
        """Keep what changes of the state mean for later."""
        memory, state, before = self._memory, ownership.state, self._memory.state
        if state is None:
            return
        if before is not None and state.generation < before.generation:  # a backup was restored: they count anew
            memory.failed_in = memory.unasked = memory.unlinking = memory.unlinked_in = before = None
        if before is None or state.generation != before.generation:
            memory.seen_at = time.monotonic()
        if not ownership.holds and not self._stops:
            self.withdrawn = ""
        if state != before:
            memory.changed_at, memory.repeats = time.monotonic(), 0
        if state.candidate != ownership.me:
            memory.candidate_since = None
        elif memory.candidate_since is None:
            memory.candidate_since = time.monotonic()
        handed = before is not None and before.holder not in {None, ownership.me}
        if ownership.holds and handed and memory.taken != state.generation:
            memory.unasked = state.generation
        if ownership.me not in ownership.eligible.all or cause_of(goal, ownership) != memory.failed_cause:
            memory.failed_cause = None
        memory.state = state

    async def _local_state(self, round_: Round) -> LocalState:
        now, ownership, memory = time.monotonic(), round_.ownership, self._memory
        heartbeat = self._deps.heartbeat
        wanted = ownership.me in ownership.eligible.all and not ownership.holds and ownership.state is not None
        memory.problems = await self._unready(round_.goal, round_.footprint) if wanted else ()
        return LocalState(
            active=round_.footprint.role is Role.ACTIVE,
            up=await is_up(self._host, round_.footprint),
            ready=wanted and not memory.problems and heartbeat.may_take(now),
            steady=self._is_steady(round_),
            failed=ownership.state is not None and memory.failed_in == ownership.state.generation,
            failed_here=memory.failed_cause is not None,
            unlinked=ownership.state is not None and memory.has_unlinked(ownership.state.generation, self._writes.done),
            settled=self._settles_s(now) <= 0,
            waited=self._waits_s(now) <= 0,
            expired=ownership.isolation is Isolation.RELEASE and heartbeat.has_begun and self._lease_left_s(now) <= 0,
            yield_reason=self._yield_reason(ownership),
        )

    async def _unready(self, goal: Goal, footprint: Footprint) -> tuple[str, ...]:
        """Why this server could not take over now; looked at again when something changed here, or after a while."""
        substance, ready, now = substance_of(goal), self._memory.ready, time.monotonic()
        obstacles = obstacles_to(self._host, goal)
        if obstacles:
            self._memory.ready = None
            return ("; ".join(obstacles),)
        if ready and (ready.substance, ready.footprint) == (substance, footprint) and now - ready.at < _READY_FOR_S:
            return ()
        self._memory.ready = None
        try:
            files = await stage(self._host, in_role(goal, Role.ACTIVE), footprint)
        except RelocdError as error:
            return (told(error, goal.secrets),)
        self._memory.ready = Ready(substance, footprint, now, files)
        return ()

    def _is_steady(self, round_: Round) -> bool:
        return self._deps.heartbeat.is_steady(time.monotonic(), round_.csn)

    def _lease_left_s(self, now: float) -> float:
        """How long a service that is released may still be up here."""
        return self._deps.heartbeat.left_s(now) - RELEASE_MARGIN_S

    def _settles_s(self, now: float) -> float:
        """How long the candidacy has to stand yet; providers that are more than one have to meet first."""
        if self._memory.candidate_since is None:
            return 0.0
        settle_s = self._deps.settings.settle_ms / 1000 if self._deps.providers() > 1 else 0.0
        return self._memory.candidate_since + settle_s - now

    def _waits_s(self, now: float) -> float:
        """How long this server waits yet before it says again what another provider may not have been told."""
        if self._deps.providers() < 2:
            return float("inf")
        patience_s = self._deps.settings.lease_s * min(1 << self._memory.repeats, _REPEATED_WITHIN)
        return self._memory.changed_at + patience_s - now

    def _yield_reason(self, ownership: OwnershipView) -> YieldReason | None:
        if ownership.me in ownership.fenced:
            return YieldReason.FENCED
        if ownership.displaced_by is not None:
            return YieldReason.DISPLACED
        return YieldReason.DRAINED if self._deps.mode() is Mode.DRAINED else None

    async def _carry_out(self, step: Step, round_: Round, asked_at: float) -> Report:
        if isinstance(step, Keep):
            return await self._paced(step, round_, None)
        view = (round_.ownership.state, round_.ownership.eligible)
        if not isinstance(step, Stop):
            awaited_s = self._writes.moves_s(view) if isinstance(step, Activate) else self._writes.awaited_s(view)
            if awaited_s:
                return Report(round_.footprint, again_s=awaited_s)
        if isinstance(step, Activate) and await self._is_in_the_way(round_.ownership):
            waits = "waits until what it displaces has given way"
            return Report(round_.footprint, busy=True, reason=waits, again_s=self._memory.way_s)
        if isinstance(step, SwapIn) and time.monotonic() - asked_at > self._deps.settings.prompt_s:
            return Report(round_.footprint, reason="the witnesses took too long; asking them again", again_s=_SOON_S)
        return await self._paced(step, round_, view)

    async def _paced(self, step: Step, round_: Round, view: object) -> Report:
        """Do what is due, unless the same failed just now."""
        effort, matter = effort_of(step), matter_of(step, round_)
        failure, begun = self._pauses.waiting(effort, matter), time.monotonic()
        if failure is not None:
            return Report(round_.footprint, failure.problems, broken=failure.broken, again_s=failure.left_s)
        report = await self._done(step, round_, view)
        if not report.busy:
            self._pauses.note(effort, matter, report, begun)
        return report

    async def _done(self, step: Step, round_: Round, view: object) -> Report:
        if isinstance(step, Keep):
            return await self._keep(round_)
        self._log(step, round_)
        match step:
            case Stop():
                return await self._stop_service(step, round_)
            case Activate():
                return await self._activate(step, round_)
            case Release() if why := await still_chosen(self._deps, round_.ownership, EntryUUID(round_.goal.id)):
                stays = f"keeps serving, although nobody seems to be chosen: {why}"
                return Report(round_.footprint, reason=stays, again_s=self._deps.settings.beat_s)
            case HandOver() | FailBack() | Release() | StepDown():
                return await self._give_away(step, round_, view)
        return _with_problem(Report(round_.footprint), await self._write(step, round_.ownership, view))

    async def _keep(self, round_: Round) -> Report:
        """Keep the role that this server has in the service as it should be; a candidate is about to leave its own."""
        ownership, footprint = round_.ownership, round_.footprint
        if ownership.holds and footprint.role is Role.ACTIVE:
            return await keep_up(self._host, self._deps, round_)
        if ownership.state is None or ownership.me in {ownership.state.holder, ownership.state.candidate}:
            return Report(footprint)
        if await is_up(self._host, footprint):
            return Report(footprint)
        report = await converge(self._host, in_role(round_.goal, Role.STANDBY), footprint)
        return self._with_copies(report, round_)

    def _with_copies(self, report: Report, round_: Round) -> Report:
        """The report of a server that does not hold the service, with the copies of its addresses that answer here."""
        state = round_.ownership.state
        elsewhere = state is not None and state.holder not in {None, round_.ownership.me}
        found = still_here(self._host, round_.goal) if elsewhere else ()
        return replace(report, problems=(*report.problems, *found))

    def _unless_kept(self, step: Step, local: LocalState) -> Step:
        """The step, or to serve on where it gives the service away and that has failed just now."""
        if not isinstance(step, Relinquish):
            return step
        failure = self._pauses.waiting(Effort.RELEASE, None)
        if failure is None:
            return step
        why = "could not be let go, so it stays for now"
        return Keep(why) if local.active or not local.steady else Activate(step.state.generation, why)

    async def _stop_service(self, step: Stop, round_: Round) -> Report:
        goal = replace(in_role(round_.goal, Role.STANDBY), reason=step.reason)
        terms = Terms(first=First.ADDRESSES)  # another server may have them by now
        report = self._with_copies(await converge(self._host, goal, round_.footprint, terms), round_)
        return report if report.problems else replace(report, again_s=0.0)

    async def _is_in_the_way(self, ownership: OwnershipView) -> bool:
        found = any([await self._deps.is_up(service) for service in ownership.displaces])
        self._memory.way_s = min(self._memory.way_s * 2, _WAY_MAX_S) if found else WAY_S
        return found

    async def _activate(self, step: Activate, round_: Round) -> Report:
        probe = round_.goal.probe and self._memory.unasked != step.generation
        round_ = replace(round_, goal=replace(round_.goal, reason=step.reason))
        ready = self._memory.ready
        files = ready.files if ready and ready.substance == substance_of(round_.goal) else None
        report = await bring_up(self._host, self._deps, round_, probe=probe, files=files)
        if report.busy or round_.revoked.is_set():
            return report
        again = bool(report.problems) and self._memory.failed_in == step.generation
        if report.problems:
            self._memory.failed_in = step.generation
            self._memory.failed_cause = cause_of(round_.goal, round_.ownership)
            self._memory.failure = "; ".join(report.problems)
        else:
            self.failed_back = self.withdrawn = ""
        return report if again else replace(report, again_s=0.0)

    async def _give_away(self, step: HandOver | FailBack | Release | StepDown, round_: Round, view: object) -> Report:
        """Let go here, and only then say so in the directory."""
        goal = replace(in_role(round_.goal, Role.STANDBY), reason=step.reason)
        try:
            report = await release(self._host, goal, round_.footprint, self._writes.reach)
        except RelocdError as error:
            return Report(round_.footprint, (f"not let go, since the directory could not be told: {error}",))
        own = unlinking(round_.ownership, round_.ownership.me) if isinstance(step, FailBack) else None
        if report.problems:
            return replace(report, again_s=0.0)  # what was stopped runs again at once
        if isinstance(step, FailBack) and self._memory.failed_in == step.state.generation:
            self.failed_back = _failed_back(self._memory.failure)
        problem = "" if own is None else await self._writes.send(own, view)
        if not self._is_steady(round_):
            return replace(report, reason="let go; nothing is written until its own heartbeat is steady again")
        problem = problem or await self._write(step, round_.ownership, view)
        # Without the write this server is the holder still, and nobody serves: look again at once.
        return replace(_with_problem(report, problem), again_s=_SOON_S if problem else self._writes.awaited_s(view))

    async def _write(self, step: Step, ownership: OwnershipView, view: object) -> str:
        write = write_of(step, ownership)
        if write is None:
            return ""
        if isinstance(step, BecomeCandidate | ClearCandidate):
            self._memory.changed_at, self._memory.repeats = time.monotonic(), self._memory.repeats + 1
        if isinstance(step, SwapIn):
            self._memory.taken = step.state.generation + 1
            if step.state.holder in ownership.fenced:
                self._memory.unasked = self._memory.taken  # it is off for certain
        if isinstance(step, DeleteLink) and ownership.holds and ownership.state:
            self._memory.unlinking = ownership.state.generation, write
        return await self._writes.send(write, view, resend_of(write, ownership))

    def _with_words(self, report: Report, step: Step, verdict: Verdict, round_: Round) -> Report:
        """The report with what this server waits for, and when that may change by time alone."""
        now, failure = time.monotonic(), self._pauses.last(Effort.RELEASE)
        times = [report.again_s, verdict.again_s]
        if self._settles_s(now) > 0:
            times.append(self._settles_s(now))
        state = round_.ownership.state
        named = not round_.ownership.holds or (state is not None and state.asking is not None)
        if named and 0 < self._waits_s(now) < float("inf"):
            times.append(self._waits_s(now))
        if failure is not None and failure.left_s > 0:
            times.append(failure.left_s)
        if round_.ownership.holds and not self._is_steady(round_):
            times.append(self._deps.settings.hesitation_s / 4)
        if self._deps.heartbeat.former_left_s(now) > 0:
            times.append(self._deps.heartbeat.former_left_s(now) + _SOON_S)
        if round_.ownership.isolation is Isolation.RELEASE and self._lease_left_s(now) > 0:
            times.append(self._lease_left_s(now) + _SOON_S)
        resting = round_.ownership.displaced_by
        rests = () if resting is None else (f"rests while {resting} is here",)
        reason = "failed here, see its problems" if report.broken and round_.ownership.holds else step.reason
        reason = report.reason or "; ".join((reason, *rests, *verdict.words))
        unready = self._memory.problems  # all in one sentence, which says again what stands against the standby role
        kept = failure.problems if failure is not None and round_.ownership.holds else ()
        said = dict.fromkeys((*report.problems, *kept))
        problems = (*(each for each in said if not any(each in whole for whole in unready)), *unready)
        again_s = min((each for each in times if each is not None), default=None)
        return replace(report, problems=problems, reason=reason, again_s=again_s)

    def _log(self, step: Step, round_: Round) -> None:
        generation = None if round_.ownership.state is None else round_.ownership.state.generation
        fields: dict[str, object] = {"service": round_.goal.name, "step": type(step).__name__, "reason": step.reason}
        fields |= {"generation": generation}
        level = logging.DEBUG if fields == self._memory.logged else logging.INFO
        _log.log(level, "handover", extra={"fields": fields})
        self._memory.logged = fields


def _known_state(ownership: OwnershipView, local: LocalState) -> State | None:
    """The state, unless something is up here and the state names a holder that cannot be told from this server."""
    state = ownership.state
    unclear = state is not None and state.holder in ownership.nameless and local.up
    return None if unclear else state


def _failed_back(failure: str) -> str:
    """What the administrator is told who comes later and finds the service where it was before."""
    at = datetime.now(UTC).isoformat(" ", "seconds")
    forget = "order it here again, or restart the agent to forget that"
    return f"given back at {at}, for it could not be activated here ({forget}): {failure}"


def _with_problem(report: Report, problem: str) -> Report:
    return replace(report, problems=(*report.problems, problem)) if problem else report
