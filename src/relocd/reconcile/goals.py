"""What this server should have: a goal for each linked service, and one for each template set of scope `server`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NewType, TypeVar

from relocd.election.eligibility import Decision, OwnershipView, decision, displacing, ownership
from relocd.model.entries import EntryUUID, Server, Service, ServiceAddress, Snapshot
from relocd.model.template_set import Role, Scope
from relocd.reconcile.template_context import Contexts, TemplateContext

__all__ = ["Goal", "GoalId", "Goals", "ScopeOf", "goal_id", "goals", "in_role", "service_of"]

GoalId = NewType("GoalId", str)
"""The identity of a goal: a service's entryUUID, or `server:` and the name of a template set."""

ScopeOf = Callable[[str], Scope | None]
"""The scope of a template set by its name, None while the set cannot be read."""

_SERVER = "server:"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Goal:
    """What should be here for one service or template set: the role with its reason, and everything that it takes.

    With an `ownership` the role is what the directory says now; the handover decides when it is entered. With `probe`
    the network is asked before an address is raised. With `files_only` a cluster manager does the rest. `server_sets`
    are the sets of scope `server`, which also see the parameters. `earlier_secrets` may still be in what runs.
    """

    id: GoalId
    name: str
    role: Role
    reason: str
    sets: tuple[str, ...]
    context: TemplateContext = field(hash=False, repr=False)
    addresses: tuple[ServiceAddress, ...] = ()
    interface: str | None = None
    probe: bool = False
    files_only: bool = False
    ownership: OwnershipView | None = None
    server_sets: tuple[str, ...] = ()
    earlier_secrets: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret that its files may hold, of this service and of the others that templates see."""
        return tuple(dict.fromkeys((*filter(None, self.context.all_secrets), *self.earlier_secrets)))


@dataclass(frozen=True, slots=True)
class Goals:
    """Goals by identity. Nothing may be concluded about those that are `unknown`; all others have no link here.

    `complete` says that everything this server is linked to is understood. `defects` are errors of relocd itself by
    service name; these services are unknown.
    """

    wanted: Mapping[GoalId, Goal]
    unknown: frozenset[GoalId] = frozenset()
    complete: bool = True
    defects: Mapping[str, Exception] = field(default_factory=dict)

    def in_doubt(self, goal: GoalId) -> bool:
        """Whether what is here of a goal must stay. A set of scope `server` needs all links to be understood."""
        return goal in self.unknown or (service_of(goal) is None and not self.complete)

    def due(self, here: Collection[GoalId]) -> list[Goal]:
        """The goals to bring about; what is `here` of a goal in doubt stays as it is."""
        return [goal for goal in self.wanted.values() if goal.id not in here or not self.in_doubt(goal.id)]

    def absent(self, here: Collection[GoalId]) -> frozenset[GoalId]:
        """Those of the goals `here` that have no link, as far as is known; in doubt a goal is not among them."""
        return frozenset(goal for goal in here if goal not in self.wanted and not self.in_doubt(goal))


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
    linked = sorted(snapshot.linked(me) | _held(snapshot, me))
    services = [snapshot.services[uuid] for uuid in linked if uuid in snapshot.services]
    named = {name for service in services for name in service.template_sets}
    scopes = {name: scope_of(name) for name in named}
    for_server = frozenset(name for name in named if scopes[name] is Scope.SERVER).union(server_sets)
    resting = displacing(snapshot, me)
    failed: dict[EntryUUID, Exception] = {}
    roles = dict(_tried(services, lambda each: _role(snapshot, me, each, resting), failed))
    decided = {uuid: role for uuid, (role, _) in roles.items()}
    contexts = Contexts(snapshot, me, decided)
    understood = [snapshot.services[uuid] for uuid in roles]
    made = dict(_tried(understood, lambda each: _service_goal(each, roles[each.uuid], for_server, contexts), failed))
    found = [*made.values(), *_server_goals(contexts, for_server)]
    unread = [GoalId(_SERVER + name) for name in named - for_server if scopes[name] is None]
    unknown = (snapshot.unknown & snapshot.targets(me.cluster_links).union(linked)).union(failed)
    return Goals(
        wanted={goal.id: goal for goal in found},
        unknown=frozenset((*unread, *(goal_id(uuid) for uuid in linked if uuid in unknown))),
        complete=not unknown,
        defects={snapshot.services[uuid].name: error for uuid, error in failed.items()},
    )


def _tried(
    services: Iterable[Service], make: Callable[[Service], _T], failed: dict[EntryUUID, Exception]
) -> Iterator[tuple[EntryUUID, _T]]:
    """What `make` returns for each service, by identity; an error of one service does not hide the others."""
    for each in services:
        try:
            yield each.uuid, make(each)
        except Exception as error:  # noqa: BLE001 - a defect of relocd, which is reported as such
            failed[each.uuid] = error


def in_role(goal: Goal, role: Role) -> Goal:
    """The same goal in another role, as its templates see it then."""
    context = goal.context.in_role(role)
    return goal if goal.role is role and context is goal.context else replace(goal, role=role, context=context)


def _held(snapshot: Snapshot, me: Server) -> frozenset[EntryUUID]:
    """The exclusive services that name this server holder or candidate, linked or not; also those not understood."""
    held = ((uuid, snapshot.services.get(uuid)) for uuid in snapshot.held_by(me))
    return frozenset(uuid for uuid, service in held if service is None or service.exclusive)


def _role(
    snapshot: Snapshot, me: Server, service: Service, resting: Mapping[EntryUUID, str]
) -> tuple[Decision, OwnershipView | None]:
    """The role of a server for a service now; of an exclusive service only the holder is active."""
    decided = decision(snapshot, me, service) or Decision(Role.STANDBY, "not linked any more")
    if not service.exclusive or decided.files_only:
        return decided, None
    owned = ownership(snapshot, me, service, resting)
    return replace(decided, role=Role.ACTIVE if owned.holds else Role.STANDBY), owned


def _service_goal(
    service: Service, role: tuple[Decision, OwnershipView | None], for_server: frozenset[str], contexts: Contexts
) -> Goal:
    decided, owned = role
    return Goal(
        id=goal_id(service.uuid),
        name=service.name,
        role=decided.role,
        reason=decided.reason,
        sets=tuple(name for name in service.template_sets if name not in for_server),
        context=contexts.of_service(service, decided),
        addresses=service.addresses,
        interface=service.interface,
        probe=service.exclusive,
        files_only=decided.files_only,
        ownership=owned,
        server_sets=tuple(sorted(for_server)) if service.template_sets else (),
    )


def _server_goals(contexts: Contexts, for_server: Iterable[str]) -> Iterator[Goal]:
    for name in sorted(for_server):
        yield Goal(GoalId(_SERVER + name), name, Role.ACTIVE, "for the whole server", (name,), contexts.of_server())
