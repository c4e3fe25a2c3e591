"""Serving an exclusive service: only with a permission from a direct read of the state, and only while that is fresh.

A view may be old: without the read two servers could serve at once. A process that hung between the read and the act
finds its warrant too old (`relocd.agent.convergence.execution`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from relocd.agent.convergence.asked import asked
from relocd.agent.convergence.converge import Files, Report, Terms, converge
from relocd.agent.convergence.execution import ServePermit
from relocd.agent.convergence.host import Host
from relocd.agent.directory.absence_check import is_unlinked
from relocd.agent.liveness.failure_detector import FailureDetector
from relocd.agent.liveness.heartbeat import Heartbeat
from relocd.election.eligibility import OwnershipView
from relocd.errors import Busy, RelocdError
from relocd.model import names
from relocd.model.entries import Cluster, EntryUUID, Failover, Isolation, Server, ServiceState
from relocd.model.mode import Mode
from relocd.model.parse import Model, parsed
from relocd.model.settings import HandoverSettings
from relocd.model.template_set import Role
from relocd.ports import DirectoryReader, DirectoryWriter
from relocd.reconcile.desired import Footprint
from relocd.reconcile.goals import Goal, in_role

__all__ = ["HandoverDeps", "Round", "bring_up", "is_confirmed", "keep_up", "lifetime_s", "still_chosen"]

RELEASE_MARGIN_S: Final = 1.6
"""How long before the end of the lease a released address ends: the kernel drops it up to 1.5 s late (measured)."""


@dataclass(frozen=True, slots=True)
class HandoverDeps:
    """What this server agrees with the others by; shared by all its services.

    `providers` is how many providers the directory has, `mode` what a person has told this agent, `is_up` whether
    something of a service is still up here, `may_lack_secrets` whether those may be on their way.
    """

    reader: DirectoryReader
    writer: DirectoryWriter
    heartbeat: Heartbeat
    detector: FailureDetector
    settings: HandoverSettings
    providers: Callable[[], int]
    mode: Callable[[], Mode]
    is_up: Callable[[EntryUUID], Awaitable[bool]]
    may_lack_secrets: Callable[[EntryUUID], bool]


@dataclass(frozen=True, slots=True)
class Round:
    """One look at a service: the wish, what the directory says, what is here, and the word that all that is over."""

    goal: Goal
    ownership: OwnershipView
    footprint: Footprint
    revoked: asyncio.Event

    @property
    def csn(self) -> str:
        """The change number of the state, empty where there is none."""
        return "" if self.ownership.entry is None else self.ownership.entry.csn


async def keep_up(host: Host, deps: HandoverDeps, round_: Round) -> Report:
    """Keep the service up here as it should be; what was lost is raised again with a permission, else it is busy."""
    return await _with(host, round_, lambda: _confirmed(deps, round_), probe=round_.goal.probe, files=None)


async def bring_up(host: Host, deps: HandoverDeps, round_: Round, *, probe: bool, files: Files | None) -> Report:
    """Bring the service up here; busy without a permission, which is asked for while the plan is made.

    `files` are those of the active role where they are rendered already.
    """
    async with asked(_confirmed(deps, round_)) as permit:
        return await _with(host, round_, lambda: permit, probe=probe, files=files)


async def _with(
    host: Host, round_: Round, ask: Callable[[], Awaitable[ServePermit]], *, probe: bool, files: Files | None
) -> Report:
    refused: list[RelocdError] = []

    async def permit() -> ServePermit:
        try:
            return await ask()
        except RelocdError as error:
            refused.append(error)
            raise

    active = replace(in_role(round_.goal, Role.ACTIVE), probe=probe)
    try:
        return await converge(host, active, round_.footprint, Terms(round_.revoked, permit, files))
    except RelocdError as error:
        if error not in refused:
            raise
        return Report(round_.footprint, (str(error),), busy=True)


async def _confirmed(deps: HandoverDeps, round_: Round) -> ServePermit:
    """The permission to serve; raises `Busy` or `Unavailable` without one."""
    read_at = time.monotonic()
    found = await _state(deps, round_.ownership)
    if found is None:
        raise Busy("a direct read does not find the state of the service; nothing is raised on that")
    if not _is_as_seen(found, round_.ownership):
        raise Busy("a direct read finds another holder or generation than was seen; waiting until that is seen")
    if not deps.heartbeat.stood_before(found.csn) and await _is_fenced(deps, round_.ownership):
        raise Busy("a direct read finds that this server is declared fenced; waiting until that is seen")
    now = time.monotonic()
    if not deps.heartbeat.is_steady(now, found.csn):
        raise Busy("this server's own heartbeat is not steady; waiting until it is")
    until = read_at + deps.settings.hesitation_s
    if round_.ownership.isolation is Isolation.KEEP:
        return ServePermit(until)
    seconds = lifetime_s(deps.heartbeat.left_s(now))
    if seconds < 1:
        raise Busy("this server's lease is about to run out, or shorter than 4 s; waiting for the next heartbeat")
    return ServePermit(until, seconds)


async def is_confirmed(deps: HandoverDeps, ownership: OwnershipView) -> bool:
    """Whether a direct read finds the holder that was seen, and that is this server; raises `Unavailable`."""
    found = await _state(deps, ownership)
    return found is not None and ownership.holds and _is_as_seen(found, ownership)


async def _state(deps: HandoverDeps, ownership: OwnershipView) -> ServiceState | None:
    """The state by a direct read; None where there is none that can be understood."""
    entry = await deps.reader.by_dn(ownership.service.below(names.STATE_RDN))
    found = None if entry is None else parsed(entry)[0]
    return found if isinstance(found, ServiceState) else None


def _is_as_seen(found: ServiceState, ownership: OwnershipView) -> bool:
    known = ownership.entry
    return known is not None and (found.holder, found.generation) == (known.holder, known.generation)


async def _is_fenced(deps: HandoverDeps, ownership: OwnershipView) -> bool:
    """Whether others may take this server for dead, also where its search has not brought that yet.

    Only one that was away can be: it was powered off. A holder that was made so since it came back was not.
    """
    entry = await deps.reader.by_dn(ownership.names[ownership.me])
    found = None if entry is None else parsed(entry)[0]
    return not isinstance(found, Server) or found.fenced


def lifetime_s(left_s: float) -> int:
    """The whole seconds for which the kernel keeps an address that must be gone when the lease is over."""
    return int(left_s - RELEASE_MARGIN_S)


async def still_chosen(deps: HandoverDeps, ownership: OwnershipView, service: EntryUUID) -> str:
    """Why a direct read finds that somebody may have to run the service yet; empty where nobody has.

    An active server of a cluster counts, whether or not it is a member: what is doubtful is kept. So does a link by the
    name that the service has now, where the search has not told that yet. Raises `Unavailable` when nothing is known.
    """
    if not await is_unlinked(deps.reader, ownership.me, service):
        return "a direct read finds a link of this server"
    entry = await deps.reader.by_uuid(service)
    names = {ownership.service, ownership.service if entry is None else entry.dn}
    found = [each for name in names for each in await deps.reader.linking_to(name)]
    chosen = {str(each.dn): words for each in found if (words := _chooses(parsed(each)[0]))}
    return "; ".join(f"{dn} {words}" for dn, words in sorted(chosen.items()))


def _chooses(value: Model | None) -> str:
    """How an entry that links to a service chooses a server for it; empty where it chooses none."""
    if isinstance(value, Server):
        return "links to it"
    if not isinstance(value, Cluster):
        return "links to it and cannot be understood; correct that entry"
    if value.active is None or value.failover is Failover.EXTERNAL:
        return ""
    return f"links to it with {value.active.name} as relocActive, which is ready once it is a member and its agent runs"
