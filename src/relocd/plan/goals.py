"""What this server shall have: one goal for each linked service, and one for each template set of scope `server`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NewType

from relocd.model.entries import EntryUUID, Service, ServiceAddress
from relocd.model.snapshot import Snapshot
from relocd.model.template_set import Role, Scope
from relocd.plan.context import Contexts, Json
from relocd.plan.holder import Decision, decision

__all__ = ["Goal", "GoalId", "Goals", "ScopeOf", "goal_id", "goals", "service_of"]

GoalId = NewType("GoalId", str)
"""The identity of a goal: a service's entryUUID, or `server:` and the name of a template set."""

ScopeOf = Callable[[str], Scope | None]
"""The scope of a template set by its name, None while the set cannot be read."""

_SERVER = "server:"


@dataclass(frozen=True, slots=True)
class Goal:
    """What shall be here: the role and why, and everything that it takes. `files_only` leaves the rest to others."""

    id: GoalId
    name: str
    role: Role
    reason: str
    sets: tuple[str, ...]
    context: Json = field(hash=False, repr=False)  # secrets are in it
    addresses: tuple[ServiceAddress, ...] = ()
    interface: str | None = None
    exclusive: bool = False
    files_only: bool = False


@dataclass(frozen=True, slots=True)
class Goals:
    """Goals by identity; about those that are `unknown` nothing may be concluded; all others have no link here.

    `complete` says that everything this server is linked to is understood.
    """

    wanted: Mapping[GoalId, Goal]
    unknown: frozenset[GoalId] = frozenset()
    complete: bool = True

    def in_doubt(self, goal: GoalId) -> bool:
        """Whether what is here of a goal stays as it is; a set of scope `server` needs all links to be understood."""
        return goal in self.unknown or (service_of(goal) is None and not self.complete)


def goal_id(service: EntryUUID) -> GoalId:
    """The goal of a service."""
    return GoalId(service)


def service_of(goal: GoalId) -> EntryUUID | None:
    """The service of a goal, None for one of scope `server`."""
    return None if goal.startswith(_SERVER) else EntryUUID(goal)


def goals(snapshot: Snapshot, scope_of: ScopeOf, server_sets: Iterable[str] = ()) -> Goals | None:
    """The goals of the snapshot's server, or None while nothing is known of it.

    `server_sets` are the sets that the local configuration applies whatever is linked.
    """
    if snapshot.me is None:
        return None
    me = snapshot.me
    linked = sorted(snapshot.linked(me))
    services = [snapshot.services[uuid] for uuid in linked if uuid in snapshot.services]
    named = {name for service in services for name in service.template_sets}
    scopes = {name: scope_of(name) for name in named}
    whole = frozenset(name for name in named if scopes[name] is Scope.SERVER).union(server_sets)
    decided = {each.uuid: role for each in services if (role := decision(snapshot, me, each)) is not None}
    contexts = Contexts(snapshot, me, decided)
    found = [_service_goal(snapshot.services[uuid], role, whole, contexts) for uuid, role in decided.items()]
    found += _server_goals(contexts, whole)
    unread = [GoalId(_SERVER + name) for name in named - whole if scopes[name] is None]
    unknown = snapshot.unknown & (snapshot.targets(me.cluster_links) | snapshot.linked(me))
    return Goals(
        wanted={goal.id: goal for goal in found},
        unknown=frozenset((*unread, *(goal_id(uuid) for uuid in linked if uuid in unknown))),
        complete=not unknown,
    )


def _service_goal(service: Service, decided: Decision, whole: frozenset[str], contexts: Contexts) -> Goal:
    return Goal(
        id=goal_id(service.uuid),
        name=service.name,
        role=decided.role,
        reason=decided.reason,
        sets=tuple(name for name in service.template_sets if name not in whole),
        context=contexts.of_service(service, decided),
        addresses=service.addresses,
        interface=service.interface,
        exclusive=service.exclusive,
        files_only=decided.files_only,
    )


def _server_goals(contexts: Contexts, whole: Iterable[str]) -> Iterator[Goal]:
    for name in sorted(whole):
        yield Goal(GoalId(_SERVER + name), name, Role.ACTIVE, "for the whole server", (name,), contexts.of_server())
