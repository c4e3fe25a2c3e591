"""What a round for an exclusive service works with: what all services share, the facts now, and what it remembers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from relocd.agent.convergence.host import Host
from relocd.agent.convergence.planning import Staged
from relocd.agent.directory.link_removals import LinkRemovals
from relocd.agent.directory.write_queue import WriteQueue
from relocd.agent.handover.releases import Releases
from relocd.agent.health.failures import HealthFailures, HealthMoves
from relocd.agent.history.history import History
from relocd.agent.liveness.failure_detector import FailureDetector, PeerHeartbeats
from relocd.agent.liveness.heartbeat import Heartbeat
from relocd.agent.liveness.lease_guard import LeaseGuard
from relocd.agent.pauses import cause_of
from relocd.agent.shared_state import SharedState
from relocd.election.eligibility import OwnershipView
from relocd.election.observation import State
from relocd.election.steps import BecomeCandidate, ClearCandidate, DeleteLink, Step, SwapIn
from relocd.election.writes import Write
from relocd.model.entries import EntryUUID
from relocd.model.settings import HandoverSettings
from relocd.ports.directory import DirectoryReader, DirectoryWriter
from relocd.reconcile.desired import Footprint
from relocd.reconcile.goals import Goal

__all__ = ["HandoverDeps", "handover_deps", "Round", "FIRST_POLL_S", "Memory"]

FIRST_POLL_S: Final = 0.005
"""The first pause before it is checked again whether what the service displaces here has stopped."""
_REPEATED_WITHIN: Final = 16  # leases, at most, until a write that may have been missed is repeated


@dataclass(frozen=True, slots=True)
class HandoverDeps:
    """What the handovers of all services of this server share."""

    reader: DirectoryReader
    writer: DirectoryWriter
    releases: Releases
    heartbeat: Heartbeat
    detector: FailureDetector
    guard: LeaseGuard
    settings: HandoverSettings
    state: SharedState
    failures: HealthFailures
    moves: HealthMoves
    history: History


def handover_deps(
    settings: HandoverSettings,
    host: Host,
    reader: DirectoryReader,
    writer: DirectoryWriter,
    heartbeat: Heartbeat,
    state: SharedState,
    history: History,
) -> HandoverDeps:
    """All of it, for one agent."""
    detector = FailureDetector(host, PeerHeartbeats(reader, settings.lease_s), heartbeat, settings)
    failures = HealthFailures(settings.health_retry_s)
    return HandoverDeps(
        reader=reader,
        writer=LinkRemovals(WriteQueue(writer)),
        releases=Releases(writer),
        heartbeat=heartbeat,
        detector=detector,
        guard=LeaseGuard(reader, heartbeat, settings),
        settings=settings,
        state=state,
        failures=failures,
        moves=HealthMoves(failures, detector.has_failed, settings.max_health_moves),
        history=history,
    )


@dataclass(frozen=True, slots=True)
class Round:
    """One round for a service: the goal, what the directory says, what is here; `revoked` once the goal has changed."""

    goal: Goal
    ownership: OwnershipView
    footprint: Footprint
    revoked: asyncio.Event

    @property
    def csn(self) -> str:
        """The change number of the state, empty where there is none."""
        return "" if self.ownership.entry is None else self.ownership.entry.csn


@dataclass(slots=True)
class Memory:
    """What lies between two steps. Times are of the monotonic clock, numbers are generations.

    - `state`: the state as last seen; `seen_at`: since when its generation is known; `changed_at`: since when it is
      unchanged; `repeats`: how often this server has repeated its own write since then.
    - `eligible`: the other servers that were eligible in the last round.
    - `linked`: whether this server was linked directly in the last round; `orphaned`: whether another server has
      deleted that link.
    - `candidate_since`: since when this server is the candidate.
    - `failed_in`: the generation in which the last activation failed; `failed_cause`: what it was about; `failure`:
      why.
    - `taken`: the generation in which this server swapped itself in.
    - `unlinking`: the write that deletes the previous holder's link; `unlinked_in`: the generation in which it is done.
    - `unprobed`: the generation in which the addresses are known to be free, so that the wire need not be probed.
    - `staged`: the active role, as it was prepared; `problems`: why this server could not take over.
    - `poll_s`: the pause before it is checked again whether what the service displaces has stopped.
    - `logged`: the last step that was logged; a repeated step is logged at DEBUG only.
    """

    state: State | None = None
    seen_at: float = 0.0
    changed_at: float = 0.0
    repeats: int = 0
    eligible: frozenset[EntryUUID] = frozenset()
    linked: bool = False
    orphaned: bool = False
    candidate_since: float | None = None
    failed_in: int | None = None
    failed_cause: object = None
    failure: str = ""
    taken: int | None = None
    unlinking: tuple[int, Write] | None = None
    unlinked_in: int | None = None
    unprobed: int | None = None
    staged: Staged | None = None
    problems: tuple[str, ...] = ()
    poll_s: float = FIRST_POLL_S
    logged: Mapping[str, object] = field(default_factory=dict)

    @property
    def given_back(self) -> str:
        """The problem for the administrator who later finds the service where it was before."""
        at = datetime.now(UTC).isoformat(" ", "seconds")
        forget = "order it here again, or restart the agent, to clear this"
        return f"given back at {at}, for it could not be activated here ({forget}): {self.failure}"

    def note(self, goal: Goal, ownership: OwnershipView) -> None:
        """Take in the state as it is now, and forget what does not apply to it any more."""
        self._note_link(ownership)
        state, before, now = ownership.state, self.state, time.monotonic()
        if state is None:
            return
        if before is not None and state.generation < before.generation:  # a backup was restored: numbers start again
            self.failed_in = self.unprobed = self.unlinking = self.unlinked_in = before = None
        if before is None or state.generation != before.generation:
            self.seen_at = now
        if state != before:
            self.changed_at, self.repeats = now, 0
        if state.candidate != ownership.me:
            self.candidate_since = None
        elif self.candidate_since is None:
            self.candidate_since = now
        handed = before is not None and before.holder not in {None, ownership.me}
        if ownership.holds and handed and self.taken != state.generation:
            self.unprobed = state.generation
        if ownership.me not in ownership.eligible.all or cause_of(goal, ownership) != self.failed_cause:
            self.failed_cause = None
        self.state = state

    def _note_link(self, ownership: OwnershipView) -> None:
        """Keep who deleted this server's link at the moment at which it goes: a later change of the entry hides it."""
        before, self.linked = self.linked, ownership.me in ownership.links
        if self.linked or before:
            self.orphaned = ownership.unlinked_by_other

    def note_write(self, step: Step, write: Write, ownership: OwnershipView) -> None:
        """Take in the write of a step, which is about to be made."""
        if isinstance(step, BecomeCandidate | ClearCandidate):
            self.changed_at, self.repeats = time.monotonic(), self.repeats + 1
        if isinstance(step, SwapIn):
            self.taken = step.state.generation + 1
            if step.state.holder in ownership.fenced:
                self.unprobed = self.taken  # the former holder is off for certain
        if isinstance(step, DeleteLink) and ownership.holds and ownership.state:
            self.unlinking = ownership.state.generation, write

    def newcomers(self, ownership: OwnershipView) -> frozenset[EntryUUID]:
        """The other servers that are eligible and were not in the last round: they may soon ask for the service."""
        before, self.eligible = self.eligible, ownership.eligible.all - {ownership.me}
        return self.eligible - before

    def settles_s(self, settings: HandoverSettings, providers: int, now: float) -> float:
        """How long the candidacy still has to stand before a takeover: several providers need time to meet."""
        if self.candidate_since is None:
            return 0.0
        settle_s = settings.settle_ms / 1000 if providers > 1 else 0.0
        return self.candidate_since + settle_s - now

    def waits_s(self, settings: HandoverSettings, providers: int, now: float) -> float:
        """How long this server still waits before it repeats a write that another provider may have missed."""
        if providers < 2:
            return float("inf")
        patience_s = settings.lease_s * min(1 << self.repeats, _REPEATED_WITHIN)
        return self.changed_at + patience_s - now

    def has_unlinked(self, generation: int, done: Write | None) -> bool:
        """Whether the previous holder's link was deleted in this generation; a link that is there is a new order then.

        `done` is the last write that was carried out. Once the deletion is, this stays true whatever is written next.
        """
        if self.unlinking is not None and self.unlinking[1] is done:
            self.unlinked_in = self.unlinking[0]
        return self.unlinked_in == generation
