"""What each server sees of a service, and its own state, as far as the directory shows it. Pure.

What only the server knows is taken from its last status, or assumed (`ASSUMED`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from relocd.election.eligibility import OwnershipView
from relocd.election.observation import Eligible, Life, LocalState, Observation, State
from relocd.model.entries import EntryUUID, Isolation
from relocd.model.status import Mode
from relocd.operator.service_view import ServiceView
from relocd.operator.status.health import ServerRow

__all__ = ["ASSUMED", "ServiceModel", "service_model"]

ASSUMED: Final = "a server that reports no problem is ready, its heartbeat is steady, and its candidacy has settled"


@dataclass(frozen=True, slots=True)
class ServiceModel:
    """A service, the servers that should run it and all servers that it concerns, at one moment.

    `acting` are the servers whose agent runs and may act, `lives` what is known of whether each is alive.
    """

    state: State | None
    eligible: Eligible
    local_states: Mapping[EntryUUID, LocalState]
    lives: Mapping[EntryUUID, Life] = field(default_factory=dict)
    acting: frozenset[EntryUUID] = frozenset()

    def observation(self, server: EntryUUID) -> Observation:
        """The observation of a server."""
        return Observation(server, self.state, self.eligible, self.lives)


def service_model(view: ServiceView) -> ServiceModel:
    """The model as it is now."""
    ownerships = {server: view.ownership(server) for server in view.servers}
    first = next(iter(ownerships.values()), None)
    if first is None:
        entry = view.snapshot.states.get(view.service.uuid)
        return ServiceModel(State(generation=(entry and entry.generation) or 0), Eligible(), {})
    named = (first.state.holder, first.state.candidate, first.state.previous) if first.state else ()
    concerned = {*view.servers, *filter(None, named)}
    return ServiceModel(
        state=first.state,
        eligible=first.eligible,
        local_states={server: _here(view, ownership) for server, ownership in ownerships.items()},
        lives={server: view.life(server) for server in concerned},
        acting=frozenset(server for server, seen in view.servers.items() if _acts(seen)),
    )


def _acts(seen: ServerRow) -> bool:
    return seen.status is not None and not seen.is_silent and seen.status.mode != Mode.PAUSED


def _here(view: ServiceView, ownership: OwnershipView) -> LocalState:
    seen, service = view.servers[ownership.me], view.service
    says = "" if seen.status is None else seen.status.services.get(service.dn.key, "")
    return LocalState(
        active=says == "active",
        up=says == "active",
        ready=not seen.problems_of(service.name) and says != "failed" and not seen.is_silent,
        steady=not seen.is_silent,
        failed=says == "failed" and ownership.holds,
        settled=True,
        expired=seen.is_silent and service.isolation is Isolation.RELEASE,
        yield_reason=ownership.yield_reason(drained=seen.status is not None and seen.status.mode == Mode.DRAINED),
    )
