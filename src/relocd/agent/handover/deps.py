"""What the handover of every service shares, and what one round of one service works with."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from relocd.agent.liveness.failure_detector import FailureDetector
from relocd.agent.liveness.heartbeat import Heartbeat
from relocd.agent.liveness.lease_guard import LeaseGuard
from relocd.agent.shared_state import SharedState
from relocd.election.eligibility import OwnershipView
from relocd.model.settings import HandoverSettings
from relocd.ports import DirectoryReader, DirectoryWriter
from relocd.reconcile.desired import Footprint
from relocd.reconcile.goals import Goal

__all__ = ["HandoverDeps", "Round"]


@dataclass(frozen=True, slots=True)
class HandoverDeps:
    """What the handovers of all services of this server share."""

    reader: DirectoryReader
    writer: DirectoryWriter
    heartbeat: Heartbeat
    detector: FailureDetector
    guard: LeaseGuard
    settings: HandoverSettings
    state: SharedState


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
