"""One exclusive service on this server: observe it, take the next step by the rules, and carry that out.

`relocd.election.rules` decides. The controller brings the rules what they need (the state, the lives of other servers,
whether this server is ready) and keeps what lies between two steps (`Memory`). It takes one step at a time, each for
the latest goal; what happens after the step starts the next round.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Final

from relocd.agent.convergence.converge import (
    Options,
    Report,
    adopted,
    converge,
    is_up,
    obstacles_to,
    release,
    stage,
    still_here,
)
from relocd.agent.convergence.host import Host
from relocd.agent.handover.recording import Recording
from relocd.agent.handover.releases import Turn
from relocd.agent.handover.round import FIRST_POLL_S, HandoverDeps, Memory, Round
from relocd.agent.handover.writes import Writes
from relocd.agent.liveness.failure_detector import Verdict
from relocd.agent.liveness.lease_guard import RELEASE_MARGIN_S
from relocd.agent.pauses import Effort, Pauses, cause_of, effort_of, matter_of
from relocd.election.eligibility import OwnershipView
from relocd.election.observation import LocalState, Observation, State
from relocd.election.rules import next_step, watched
from relocd.election.steps import (
    Activate,
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
from relocd.model.status import Mode
from relocd.model.template_set import First, Role
from relocd.reconcile.desired import Footprint
from relocd.reconcile.goals import Goal, goal_id, in_role

__all__ = ["HandoverController"]

_log = logging.getLogger(__name__)
_SOON_S: Final = 0.02
_LONGEST_POLL_S: Final = 1.0
_STAGED_FOR_S: Final = 15.0


class HandoverController:
    """One service's handover, from the side of this server.

    `failed_back` says why the service was given back to the server that had it before, empty where it was not.
    `withdrawn` says why its addresses had to be dropped; it is cleared once the service is served here again or another
    server is the holder.
    """

    def __init__(self, host: Host, deps: HandoverDeps, pauses: Pauses, service: EntryUUID) -> None:
        self._host = host
        self._deps = deps
        self._pauses = pauses
        self._writes = Writes(deps.writer, deps.settings.prompt_s)
        self._memory = Memory()
        self._recording = Recording(deps.history, service)
        self.failed_back = ""
        self.withdrawn = ""
        self._stops = False

    def withdraw(self, reason: str) -> None:
        """Stop the rest of the service next, and probe before raising it: another host has the addresses by right."""
        self.withdrawn, self._stops, self._memory.unprobed = reason, True, None

    def recheck(self, *, at_all: bool) -> None:
        """Something changed here: check again whether this server is ready; `at_all`: what failed may work now, too."""
        self._memory.staged = None
        if at_all:
            self._memory.failed_cause = None

    async def act(self, round_: Round) -> Report:
        """Do what is due now; the report says why this server does what it does for the service."""
        mine = self._host.claims.left_to(round_.goal.id, round_.goal.addresses)
        footprint = adopted(self._host, mine, round_.footprint)
        round_ = round_ if footprint is round_.footprint else replace(round_, footprint=footprint)
        ownership = round_.ownership
        self._memory.note(round_.goal, ownership)
        self._deps.failures.note(round_.goal)
        self._recording.note(ownership)
        self._ask_early(ownership)
        if ownership.state is not None and not ownership.holds:
            self._pauses.end(Effort.RELEASE)  # whatever prevented it, another server has the service now, or none
            self.withdrawn = self.withdrawn if self._stops else ""
        if self._stops:
            report = await self._paced(Stop(self.withdrawn), round_, None)
            self._stops = bool(report.problems)
            return report
        doubt = await self._writes.settle(steady=self._is_steady(round_))
        if doubt:
            again_s = self._writes.resent_s(self._deps.settings.hesitation_s / 4)
            return Report(round_.footprint, (doubt,), reason="waits for the outcome of a write", again_s=again_s)
        if ownership.is_misnamed:
            return _with_problem(Report(round_.footprint), await self._writes.send(renaming(ownership), ownership))
        local = await self._local_state(round_)
        observation = Observation(ownership.me, _known_state(ownership, local), ownership.eligible)
        asked_at = time.monotonic()
        servers = watched(observation, local)
        verdict = await self._deps.detector.judge(round_.goal, servers, self._memory.seen_at, wire=local.ready)
        seen = replace(observation, lives=verdict.lives, failed=verdict.failed)
        step = self._unless_paused(next_step(seen, local), local)
        report = await self._carry_out(step, round_, asked_at)
        return self._explained(report, step, verdict, round_)

    # What is known on this server.

    def _ask_early(self, ownership: OwnershipView) -> None:
        """Ask in the background what the next step may depend on, while this server or a newcomer gets ready."""
        newcomers, memory, state = self._memory.newcomers(ownership), self._memory, ownership.state
        if newcomers and ownership.holds:
            self._deps.releases.reach_early()
            self._deps.detector.look_early(ownership, newcomers, memory.seen_at)
        elif state is not None and state.holder is not None and not ownership.holds:
            self._deps.detector.look_early(ownership, (state.holder,), memory.seen_at)

    async def _local_state(self, round_: Round) -> LocalState:
        now, ownership, memory = time.monotonic(), round_.ownership, self._memory
        heartbeat, state = self._deps.heartbeat, round_.ownership.state
        wanted = ownership.me in ownership.eligible.all and not ownership.holds and state is not None
        memory.problems = await self._unready(round_.goal, round_.footprint) if wanted else ()
        releases = ownership.isolation is Isolation.RELEASE
        unhealthy = self._deps.failures.failed(round_.goal.id) is not None
        moves = unhealthy and not self._deps.moves.is_spent(round_.goal.id)
        return LocalState(
            active=round_.footprint.role is Role.ACTIVE,
            up=await is_up(self._host, round_.footprint),
            ready=wanted and not memory.problems and heartbeat.may_take(now),
            steady=self._is_steady(round_),
            failed=state is not None and memory.failed_in == state.generation,
            failed_here=unhealthy or memory.failed_cause is not None,
            unlinked=state is not None and memory.has_unlinked(state.generation, self._writes.done),
            settled=self._settles_s(now) <= 0,
            waited=self._waits_s(now) <= 0,
            orphaned=memory.orphaned and self._deps.state.providers > 1,
            expired=releases and heartbeat.has_begun and self._lease_left_s(now) <= 0,
            yield_reason=ownership.yield_reason(drained=self._deps.state.mode is Mode.DRAINED, unhealthy=moves),
        )

    async def _unready(self, goal: Goal, footprint: Footprint) -> tuple[str, ...]:
        """Why this server could not take over now; checked again when something changed here, or after a while."""
        staged, self._memory.staged = self._memory.staged, None
        if self._deps.failures.doubt:
            return (f"takes nothing over while a check of the server fails: {self._deps.failures.doubt}",)
        obstacles = obstacles_to(self._host, goal)
        if obstacles:
            return ("; ".join(obstacles),)
        fresh = staged is not None and time.monotonic() - staged.at < _STAGED_FOR_S
        if staged is not None and fresh and staged.footprint == footprint and staged.fits(goal, footprint):
            self._memory.staged = staged
            return ()
        try:
            self._memory.staged = await stage(self._host, in_role(goal, Role.ACTIVE), footprint)
        except RelocdError as error:
            return (told(error, goal.secrets),)
        return ()

    def _is_steady(self, round_: Round) -> bool:
        return self._deps.heartbeat.is_steady(time.monotonic(), round_.csn)

    def _lease_left_s(self, now: float) -> float:
        """How long a service with isolation `release` may still be up here."""
        return self._deps.heartbeat.left_s(now) - RELEASE_MARGIN_S

    def _settles_s(self, now: float) -> float:
        return self._memory.settles_s(self._deps.settings, self._deps.state.providers, now)

    def _waits_s(self, now: float) -> float:
        return self._memory.waits_s(self._deps.settings, self._deps.state.providers, now)

    # Carrying out a step.

    def _unless_paused(self, step: Step, local: LocalState) -> Step:
        """The step; or to go on serving, where it releases the service and that failed just now."""
        if not isinstance(step, Relinquish):
            return step
        failure = self._pauses.waiting(Effort.RELEASE, None)
        if failure is None:
            return step
        why = "could not be released, so it stays for now"
        return Keep(why) if local.active or not local.steady else Activate(step.state.generation, why)

    async def _carry_out(self, step: Step, round_: Round, asked_at: float) -> Report:
        if isinstance(step, Keep):
            return await self._paced(step, round_, None)
        view = (round_.ownership.state, round_.ownership.eligible)
        if not isinstance(step, Stop):
            awaited_s = self._writes.moves_s(view) if isinstance(step, Activate) else self._writes.awaited_s(view)
            if awaited_s:
                return Report(round_.footprint, again_s=awaited_s)
        if isinstance(step, Activate) and await self._displaced_is_up(round_.ownership):
            waits = "waits until the services that it displaces have stopped here"
            return Report(round_.footprint, busy=True, reason=waits, again_s=self._memory.poll_s)
        if isinstance(step, SwapIn) and time.monotonic() - asked_at > self._deps.settings.prompt_s:
            slow = "the failure detector took too long; asking it again"
            return Report(round_.footprint, reason=slow, again_s=_SOON_S)
        return await self._paced(step, round_, view)

    async def _paced(self, step: Step, round_: Round, view: object) -> Report:
        """Carry out the step, unless the same effort about the same matter failed just now."""
        effort, matter = effort_of(step), matter_of(step, round_.goal, round_.ownership)
        failure, begun = self._pauses.waiting(effort, matter), time.monotonic()
        if failure is not None:
            return Report(round_.footprint, failure.problems, broken=failure.broken, again_s=failure.left_s)
        report = await self._perform(step, round_, view)
        if not report.busy:
            self._pauses.note(effort, matter, report, begun)
        return report

    async def _perform(self, step: Step, round_: Round, view: object) -> Report:
        if isinstance(step, Keep):
            return await self._keep(round_)
        self._log(step, round_)
        match step:
            case Stop():
                return await self._stop_service(step, round_)
            case Activate():
                return await self._activate(step, round_)
            case Release() if why := await self._deps.guard.still_chosen(round_.ownership, EntryUUID(round_.goal.id)):
                stays = f"keeps serving, although no server seems to be chosen: {why}"
                return Report(round_.footprint, reason=stays, again_s=self._deps.settings.beat_s)
            case HandOver() | FailBack() | Release() | StepDown():
                with self._deps.releases.turn() as turn:
                    return await self._relinquish(step, round_, view, turn)
        return _with_problem(Report(round_.footprint), await self._write(step, round_.ownership, view))

    async def _keep(self, round_: Round) -> Report:
        """Keep this server's role in the service as it should be; a candidate is about to leave its own."""
        ownership, footprint = round_.ownership, round_.footprint
        if ownership.holds and footprint.role is Role.ACTIVE:
            options = Options(round_.revoked, self._deps.guard)
            return await converge(self._host, in_role(round_.goal, Role.ACTIVE), footprint, options)
        if ownership.state is None or ownership.me in {ownership.state.holder, ownership.state.candidate}:
            return Report(footprint)
        if await is_up(self._host, footprint):
            return Report(footprint)
        report = await converge(self._host, in_role(round_.goal, Role.STANDBY), footprint)
        return self._with_copies(report, round_)

    def _with_copies(self, report: Report, round_: Round) -> Report:
        """The report, with the copies of the addresses that answer here while another server is the holder."""
        state = round_.ownership.state
        elsewhere = state is not None and state.holder not in {None, round_.ownership.me}
        found = still_here(self._host, round_.goal) if elsewhere else ()
        return replace(report, problems=(*report.problems, *found))

    async def _stop_service(self, step: Stop, round_: Round) -> Report:
        goal = replace(in_role(round_.goal, Role.STANDBY), reason=step.reason)
        options = Options(first=First.ADDRESSES)  # another server may have them by now
        report = self._with_copies(await converge(self._host, goal, round_.footprint, options), round_)
        return report if report.problems else replace(report, again_s=0.0)

    async def _displaced_is_up(self, ownership: OwnershipView) -> bool:
        """Whether something of a service that this one displaces may still be up here."""
        footprints = [self._deps.state.footprints.get(goal_id(service)) for service in ownership.displaces]
        found = any([await is_up(self._host, footprint) for footprint in footprints if footprint is not None])
        self._memory.poll_s = min(self._memory.poll_s * 2, _LONGEST_POLL_S) if found else FIRST_POLL_S
        return found

    async def _activate(self, step: Activate, round_: Round) -> Report:
        memory, staged = self._memory, self._memory.staged
        probe = round_.goal.probe and memory.unprobed != step.generation
        goal = replace(in_role(round_.goal, Role.ACTIVE), reason=step.reason, probe=probe)
        if staged is not None and not staged.fits(goal, round_.footprint):
            staged = None
        options = Options(round_.revoked, self._deps.guard, ask_early=True, staged=staged)
        report = await converge(self._host, goal, round_.footprint, options)
        if report.busy or round_.revoked.is_set():
            return report
        again = bool(report.problems) and memory.failed_in == step.generation
        if report.problems:
            memory.failed_in = step.generation
            memory.failed_cause = cause_of(round_.goal, round_.ownership)
            memory.failure = "; ".join(report.problems)
            if not again:
                self._recording.failed(round_.ownership, memory.failure)
        else:
            self.failed_back = self.withdrawn = ""
            self._recording.served(round_.ownership)
        return report if again else replace(report, again_s=0.0)

    async def _relinquish(self, step: Relinquish, round_: Round, view: object, turn: Turn) -> Report:
        """Release the service here, and only then write that in the directory.

        The write is made before: from the drop of the address until the next server raises it, no server serves.
        """
        goal, ownership = replace(in_role(round_.goal, Role.STANDBY), reason=step.reason), round_.ownership
        write = write_of(step, ownership)
        again = write and resend_of(write, ownership)
        try:
            report = await release(self._host, goal, round_.footprint, self._deps.releases.reach, turn.begin)
        except RelocdError as error:
            return Report(
                round_.footprint, (f"not released, since a write could not be sent to the directory: {error}",)
            )
        if report.problems:
            return replace(report, again_s=0.0)  # what was stopped runs again at once
        problem = ""
        turn.keep()
        if isinstance(step, FailBack):
            if self._memory.failed_in == step.state.generation:
                self.failed_back = self._memory.given_back
            if own := unlinking(ownership, ownership.me):
                problem = await self._writes.send(own, view)
        if not self._is_steady(round_):
            return replace(report, reason="released; nothing is written until its own heartbeat is steady again")
        if write is not None and not problem:
            problem = await self._writes.send(write, view, again)
        if not problem and isinstance(step, Release | StepDown):
            self._recording.released(step, round_.ownership)
        # Without the write this server is still the holder, and no server serves: act again at once.
        return replace(_with_problem(report, problem), again_s=_SOON_S if problem else self._writes.awaited_s(view))

    async def _write(self, step: Step, ownership: OwnershipView, view: object) -> str:
        """Make the write of a step; why it failed, empty when it is done or lost."""
        write = write_of(step, ownership)
        if write is None:
            return ""
        self._memory.note_write(step, write, ownership)
        if isinstance(step, SwapIn):
            self._recording.swapping_in(step)
        return await self._writes.send(write, view, resend_of(write, ownership))

    # Reporting.

    def _explained(self, report: Report, step: Step, verdict: Verdict, round_: Round) -> Report:
        """The report with the reason for the step, what this server waits for, and when time alone may change that."""
        ownership, failure = round_.ownership, self._pauses.last(Effort.RELEASE)
        displacing = ownership.displaced_by
        rests = () if displacing is None else (f"displaced while {displacing} is here",)
        why = "failed here, see its problems" if report.broken and ownership.holds else step.reason
        reason = report.reason or "; ".join((why, *rests, *verdict.words))
        unready = self._memory.problems  # one sentence, which repeats what prevents the standby role
        kept = failure.problems if failure is not None and ownership.holds else ()
        found = dict.fromkeys((*report.problems, *kept))
        self._recording.refused(ownership, "; ".join((*unready, *kept)))
        problems = (*(each for each in found if not any(each in whole for whole in unready)), *unready)
        times = [each for each in (report.again_s, verdict.again_s, *self._due_s(round_)) if each is not None]
        return replace(report, problems=problems, reason=reason, again_s=min(times, default=None))

    def _due_s(self, round_: Round) -> list[float]:
        """When time alone may change what this server does, in seconds from now."""
        now, ownership, heartbeat = time.monotonic(), round_.ownership, self._deps.heartbeat
        failure, state = self._pauses.last(Effort.RELEASE), round_.ownership.state
        times = [self._settles_s(now), heartbeat.former_left_s(now) and heartbeat.former_left_s(now) + _SOON_S]
        waits_s = self._waits_s(now)
        if waits_s < float("inf") and (not ownership.holds or (state is not None and state.asking is not None)):
            times.append(waits_s)
        health = self._deps.failures.left_s(round_.goal.id), self._deps.moves.left_s(round_.goal.id)
        times += [failure.left_s] if failure is not None else []
        times += [left_s + _SOON_S for left_s in health if left_s]
        if ownership.holds and not self._is_steady(round_):
            times.append(self._deps.settings.hesitation_s / 4)
        if ownership.isolation is Isolation.RELEASE and self._lease_left_s(now) > 0:
            times.append(self._lease_left_s(now) + _SOON_S)
        return [each for each in times if each > 0]

    def _log(self, step: Step, round_: Round) -> None:
        """Log a step with its rule; a step of no rule follows from this server's own clock or failures."""
        state = round_.ownership.state
        fields: dict[str, object] = {"service": round_.goal.name, "step": type(step).__name__}
        fields |= {} if step.rule is None else {"rule": str(step.rule)}
        fields |= {"reason": step.reason, "generation": None if state is None else state.generation}
        level = logging.DEBUG if fields == self._memory.logged else logging.INFO
        _log.log(level, "handover", extra={"fields": fields})
        self._memory.logged = fields


def _known_state(ownership: OwnershipView, local: LocalState) -> State | None:
    """The state, unless something is up here and the state names a holder that cannot be told from this server."""
    state = ownership.state
    unclear = state is not None and state.holder in ownership.nameless and local.up
    return None if unclear else state


def _with_problem(report: Report, problem: str) -> Report:
    return replace(report, problems=(*report.problems, problem)) if problem else report
