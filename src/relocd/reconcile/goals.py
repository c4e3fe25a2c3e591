"""What this server shall have: one goal for each linked service, and one for each template set of scope `server`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NewType, TypeVar

from relocd.election.eligibility import Decision, OwnershipView, decision, displacing, ownership
from relocd.model.entries import EntryUUID, Server, Service, ServiceAddress
from relocd.model.snapshot import Snapshot
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
    """What shall be here: the role and why, and everything that it takes.

    With a `ownership` the role is what the directory says now; who enters it when is a matter of handover. `probe` asks
    the wire before an address is raised. `files_only` leaves the rest to others. `server_sets` also see its parameters,
    those of scope `server`. `earlier_secrets` it had before: what runs may still have them.
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
    """Goals by identity; about those that are `unknown` nothing may be concluded; all others have no link here.

    `complete` says that everything this server is linked to is understood. `defects` are errors of relocd itself, by
    the names of the services that met them; those are unknown.
    """

    wanted: Mapping[GoalId, Goal]
    unknown: frozenset[GoalId] = frozenset()
    complete: bool = True
    defects: Mapping[str, Exception] = field(default_factory=dict)

    def in_doubt(self, goal: GoalId) -> bool:
        """Whether what is here of a goal stays as it is; a set of scope `server` needs all links to be understood."""
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
    whole = frozenset(name for name in named if scopes[name] is Scope.SERVER).union(server_sets)
    resting = displacing(snapshot, me)
    failed: dict[EntryUUID, Exception] = {}
    stands = dict(_tried(services, lambda each: _standing(snapshot, me, each, resting), failed))
    decided = {uuid: role for uuid, (role, _) in stands.items()}
    contexts = Contexts(snapshot, me, decided)
    understood = [snapshot.services[uuid] for uuid in stands]
    made = dict(_tried(understood, lambda each: _service_goal(each, stands[each.uuid], whole, contexts), failed))
    found = [*made.values(), *_server_goals(contexts, whole)]
    unread = [GoalId(_SERVER + name) for name in named - whole if scopes[name] is None]
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
    """What is made of each service by its identity; one at which that fails is no reason to know nothing of others."""
    for each in services:
        try:
            yield each.uuid, make(each)
        except Exception as error:  # noqa: BLE001 - a defect of relocd, which is told as such
            failed[each.uuid] = error


def in_role(goal: Goal, role: Role) -> Goal:
    """The same goal in another role, as its templates see it then."""
    return replace(goal, role=role, context=goal.context.in_role(role))


def _held(snapshot: Snapshot, me: Server) -> frozenset[EntryUUID]:
    """The exclusive services that name this server holder or candidate, linked or not; also those not understood."""
    held = ((uuid, snapshot.services.get(uuid)) for uuid in snapshot.held_by(me))
    return frozenset(uuid for uuid, service in held if service is None or service.exclusive)


def _standing(
    snapshot: Snapshot, me: Server, service: Service, resting: Mapping[EntryUUID, str]
) -> tuple[Decision, OwnershipView | None]:
    """What a server is to a service now: of an exclusive one active is only its holder."""
    wished = decision(snapshot, me, service) or Decision(Role.STANDBY, "not linked any more")
    if not service.exclusive or wished.files_only:
        return wished, None
    contested = ownership(snapshot, me, service, resting)
    return replace(wished, role=Role.ACTIVE if contested.holds else Role.STANDBY), contested


def _service_goal(
    service: Service, stands: tuple[Decision, OwnershipView | None], whole: frozenset[str], contexts: Contexts
) -> Goal:
    decided, contested = stands
    return Goal(
        id=goal_id(service.uuid),
        name=service.name,
        role=decided.role,
        reason=decided.reason,
        sets=tuple(name for name in service.template_sets if name not in whole),
        context=contexts.of_service(service, decided),
        addresses=service.addresses,
        interface=service.interface,
        probe=service.exclusive,
        files_only=decided.files_only,
        ownership=contested,
        server_sets=tuple(sorted(whole)) if service.template_sets else (),
    )


def _server_goals(contexts: Contexts, whole: Iterable[str]) -> Iterator[Goal]:
    for name in sorted(whole):
        yield Goal(GoalId(_SERVER + name), name, Role.ACTIVE, "for the whole server", (name,), contexts.of_server())
