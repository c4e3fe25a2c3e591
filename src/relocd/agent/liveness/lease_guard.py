"""Whether this server may serve an exclusive service: a permit comes from a direct read and is valid for a moment.

What the search has told may be old: without the read two servers could serve at once. A process that hung between the
read and the act finds its permit too old (`relocd.agent.convergence.execution`).
"""

from __future__ import annotations

import time
from typing import Final

from relocd.agent.convergence.permit import NotPermitted, ServePermit
from relocd.agent.directory.absence_check import is_unlinked
from relocd.agent.liveness.heartbeat import Heartbeat
from relocd.election.eligibility import OwnershipView
from relocd.errors import RelocdError
from relocd.model import names
from relocd.model.entries import Cluster, EntryUUID, Failover, Isolation, Server, ServiceState
from relocd.model.parse import Model, parsed
from relocd.model.settings import HandoverSettings
from relocd.ports.directory import DirectoryReader
from relocd.reconcile.goals import Goal

__all__ = ["RELEASE_MARGIN_S", "HolderGuard", "LeaseGuard", "lifetime_s"]

RELEASE_MARGIN_S: Final = 1.6
"""How long before the end of the lease a released address ends: the kernel drops it up to 1.5 s late (measured)."""


class HolderGuard:
    """Permits what a direct read confirms; enough for one cycle without an agent, which has no heartbeat."""

    def __init__(self, reader: DirectoryReader) -> None:
        self._reader = reader

    async def permit(self, goal: Goal) -> ServePermit:
        """A permit for a service of which this server is the holder; raises `NotPermitted`."""
        if goal.ownership is None:
            return ServePermit()
        try:
            return await self._issued(goal, goal.ownership)
        except NotPermitted:
            raise
        except RelocdError as error:
            raise NotPermitted(str(error)) from error

    async def is_confirmed(self, ownership: OwnershipView) -> bool:
        """Whether a direct read finds the holder that was seen, and that is this server; raises `Unavailable`."""
        found = await self._state(ownership)
        return found is not None and ownership.holds and _is_as_seen(found, ownership)

    async def still_chosen(self, ownership: OwnershipView, service: EntryUUID) -> str:
        """Why a direct read finds a server that may have to run the service; empty where it finds none.

        The active server of a cluster counts, whether or not it is a member: in doubt the service stays. So does a link
        to the present name of the service, where the search has not told that name yet. Raises `Unavailable` when the
        directory cannot say.
        """
        if not await is_unlinked(self._reader, ownership.me, service):
            return "a direct read finds a link of this server"
        entry = await self._reader.by_uuid(service)
        known = {ownership.service, ownership.service if entry is None else entry.dn}
        found = [each for name in known for each in await self._reader.linking_to(name)]
        chosen = {str(each.dn): words for each in found if (words := _chooses(parsed(each)[0]))}
        return "; ".join(f"{dn} {words}" for dn, words in sorted(chosen.items()))

    async def _issued(self, _goal: Goal, ownership: OwnershipView) -> ServePermit:
        await self._confirmed(ownership)
        return ServePermit()

    async def _confirmed(self, ownership: OwnershipView) -> ServiceState:
        """The state by a direct read, with the holder and the generation that were seen."""
        found = await self._state(ownership)
        if found is None:
            raise NotPermitted("a direct read does not find the state of the service; nothing is raised without it")
        if not _is_as_seen(found, ownership):
            raise NotPermitted(
                "a direct read finds another holder or generation than the search; waiting for the search"
            )
        return found

    async def _state(self, ownership: OwnershipView) -> ServiceState | None:
        """The state by a direct read; None where there is none that can be understood."""
        entry = await self._reader.by_dn(ownership.service.below(names.STATE_RDN))
        found = None if entry is None else parsed(entry)[0]
        return found if isinstance(found, ServiceState) else None


class LeaseGuard(HolderGuard):
    """Permits serving while this server's own heartbeat is steady besides; one guard for all services of an agent."""

    def __init__(self, reader: DirectoryReader, heartbeat: Heartbeat, settings: HandoverSettings) -> None:
        super().__init__(reader)
        self._heartbeat = heartbeat
        self._settings = settings

    async def _issued(self, goal: Goal, ownership: OwnershipView) -> ServePermit:
        read_at = time.monotonic()
        found = await self._confirmed(ownership)
        if goal.probe and await self._is_fenced(ownership):
            raise NotPermitted("a direct read finds this server fenced; waiting for the search to say so")
        now = time.monotonic()
        if not self._heartbeat.is_steady(now, found.csn):
            raise NotPermitted("this server's own heartbeat is not steady; waiting until it is")
        until = read_at + self._settings.hesitation_s
        if ownership.isolation is Isolation.KEEP:
            return ServePermit(until)
        seconds = lifetime_s(self._heartbeat.left_s(now))
        if seconds < 1:
            raise NotPermitted(
                "this server's lease is shorter than 4 s or about to end; waiting for the next heartbeat"
            )
        return ServePermit(until, seconds)

    async def _is_fenced(self, ownership: OwnershipView) -> bool:
        """Whether the entry of this server is fenced, also where the search has not brought that yet.

        Only a server that was powered off can be. One whose agent has seen how it became the holder, so that it need
        not probe the addresses either, was not.
        """
        entry = await self._reader.by_dn(ownership.names[ownership.me])
        found = None if entry is None else parsed(entry)[0]
        return not isinstance(found, Server) or found.fenced


def lifetime_s(left_s: float) -> int:
    """The whole seconds for which the kernel keeps an address that must be gone when the lease is over."""
    return int(left_s - RELEASE_MARGIN_S)


def _is_as_seen(found: ServiceState, ownership: OwnershipView) -> bool:
    known = ownership.entry
    return known is not None and (found.holder, found.generation) == (known.holder, known.generation)


def _chooses(value: Model | None) -> str:
    """How an entry that links to a service chooses a server for it; empty where it chooses none."""
    if isinstance(value, Server):
        return "links to it"
    if not isinstance(value, Cluster):
        return "links to it and cannot be understood; correct that entry"
    if value.active is None or value.failover is Failover.EXTERNAL:
        return ""
    return f"links to it with {value.active.name} as relocActive, which is ready once it is a member and its agent runs"
