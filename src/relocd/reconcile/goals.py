"""What this server should have: a goal for each linked service, and one for each template set of scope `server`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import NewType, TypeVar

from relocd.election.eligibility import (
    Decision,
    OwnershipView,
    Relations,
    decision,
    displacing,
    ownership,
    relations,
)
from relocd.model.entries import EntryUUID, Server, Service, ServiceAddress, ServiceState, Snapshot
from relocd.model.template_set import Role, Scope
from relocd.reconcile.template_context import Contexts, TemplateContext

__all__ = [
    "Goal",
    "GoalId",
    "GoalMaker",
    "Goals",
    "SetFacts",
    "SetOf",
    "goal_id",
    "goals",
    "in_role",
    "service_of",
]

GoalId = NewType("GoalId", str)
"""The identity of a goal: a service's entryUUID, or `server:` and the name of a template set."""


@dataclass(frozen=True, slots=True)
class SetFacts:
    """What goals depend on of a template set: see `TemplateSet`."""

    scope: Scope
    reads_services: bool = True


SetOf = Callable[[str], SetFacts | None]
"""The facts of a template set by its name, None while the set cannot be read."""

_SERVER = "server:"
_BUT_STATES = tuple(each.name for each in fields(Snapshot) if each.name != "states")
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
    def shows_others(self) -> bool:
        """Whether its templates see other services, and the roles of these."""
        return len(self.context.services) > 1 or self.context.service is None

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


def goals(
    snapshot: Snapshot, set_of: SetOf, server_sets: Iterable[str] = (), known: Relations | None = None
) -> Goals | None:
    """The goals of the snapshot's server, or None while nothing is known of it.

    `server_sets` are the sets that the local configuration applies whatever is linked. `known` are the relations of
    the snapshot, where they were found before.
    """
    if snapshot.me is None:
        return None
    me = snapshot.me
    linked = sorted(snapshot.linked(me) | _held(snapshot, me))
    services = [snapshot.services[uuid] for uuid in linked if uuid in snapshot.services]
    sets = {name: set_of(name) for service in services for name in service.template_sets}
    for_server = frozenset(name for name, facts in sets.items() if facts and facts.scope is Scope.SERVER)
    for_server = for_server.union(server_sets)
    resting, known = displacing(snapshot, me), known or relations(snapshot)
    failed: dict[EntryUUID, Exception] = {}
    roles = dict(_tried(services, lambda each: _role(snapshot, me, each, resting, known), failed))
    contexts = Contexts(snapshot, me, {uuid: role for uuid, (role, _) in roles.items()})
    understood = [snapshot.services[uuid] for uuid in roles]
    made = _tried(understood, lambda each: _service_goal(each, roles[each.uuid], for_server, contexts, sets), failed)
    found = [*dict(made).values(), *_server_goals(contexts, for_server)]
    unread = [GoalId(_SERVER + name) for name in sets.keys() - for_server if sets[name] is None]
    unknown = (snapshot.unknown & snapshot.targets(me.cluster_links).union(linked)).union(failed)
    return Goals(
        wanted={goal.id: goal for goal in found},
        unknown=frozenset((*unread, *(goal_id(uuid) for uuid in linked if uuid in unknown))),
        complete=not unknown,
        defects={snapshot.services[uuid].name: error for uuid, error in failed.items()},
    )


class GoalMaker:
    """Makes goals as `goals` does, from one snapshot to the next: only those that a change of states concerns.

    After a change of anything else, all are made. `forget` is for a change of what no snapshot tells: a template set.
    """

    def __init__(self, set_of: SetOf, server_sets: Iterable[str] = ()) -> None:
        self._set_of = set_of
        self._server_sets = tuple(server_sets)
        self._snapshot: Snapshot | None = None
        self._goals: Goals | None = None
        self._relations: Relations | None = None

    def forget(self) -> None:
        """Make all goals the next time."""
        self._goals = None

    def make(self, snapshot: Snapshot) -> Goals | None:
        """The goals of a snapshot; goals that have not changed are the same objects as before."""
        found = self._adapted(snapshot)
        if found is None:
            self._relations = relations(snapshot)
            found = goals(snapshot, self._set_of, self._server_sets, self._relations)
        self._snapshot, self._goals = snapshot, found
        return found

    def _adapted(self, snapshot: Snapshot) -> Goals | None:
        """The goals before with those of changed states made again; None where other goals may have changed, too."""
        before, former, known = self._snapshot, self._goals, self._relations
        if before is None or former is None or known is None or snapshot.me is None or former.defects:
            return None
        if any(getattr(snapshot, name) is not getattr(before, name) for name in _BUT_STATES):
            return None
        wanted = dict(former.wanted)
        shown = any(goal.shows_others for goal in wanted.values())
        for uuid in _changed(before.states, snapshot.states):
            goal, service = wanted.get(goal_id(uuid)), snapshot.services.get(uuid)
            if goal is None or service is None or service.displaces or not _is_linked(known, snapshot.me, uuid):
                return None
            if goal.ownership is None:
                continue
            owned = ownership(snapshot, snapshot.me, service, _displaced(goal, uuid), known)
            role = Role.ACTIVE if owned.holds else Role.STANDBY
            if role is not goal.role and shown:
                return None
            wanted[goal.id] = replace(in_role(goal, role), ownership=owned)
        return replace(former, wanted=wanted)


def _changed(
    before: Mapping[EntryUUID, ServiceState | None], now: Mapping[EntryUUID, ServiceState | None]
) -> Iterator[EntryUUID]:
    """The services whose states are others."""
    yield from before.keys() ^ now.keys()
    yield from (uuid for uuid, state in now.items() if uuid in before and before[uuid] is not state)


def _is_linked(known: Relations, me: Server, service: EntryUUID) -> bool:
    """Whether a server is linked to a service, whatever its state says."""
    through = known.clusters.get(service, ())
    return me.uuid in known.links.get(service, ()) or any(me.uuid in known.members[each.uuid] for each in through)


def _displaced(goal: Goal, service: EntryUUID) -> Mapping[EntryUUID, str]:
    """Which service displaces that of a goal here, as it was."""
    by = None if goal.ownership is None else goal.ownership.displaced_by
    return {} if by is None else {service: by}


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
    snapshot: Snapshot, me: Server, service: Service, resting: Mapping[EntryUUID, str], known: Relations
) -> tuple[Decision, OwnershipView | None]:
    """The role of a server for a service now; of an exclusive service only the holder is active."""
    decided = decision(snapshot, me, service, known) or Decision(Role.STANDBY, "not linked any more")
    if not service.exclusive or decided.files_only:
        return decided, None
    owned = ownership(snapshot, me, service, resting, known)
    return replace(decided, role=Role.ACTIVE if owned.holds else Role.STANDBY), owned


def _service_goal(
    service: Service,
    role: tuple[Decision, OwnershipView | None],
    for_server: frozenset[str],
    contexts: Contexts,
    sets: Mapping[str, SetFacts | None],
) -> Goal:
    decided, owned = role
    own_sets = tuple(name for name in service.template_sets if name not in for_server)
    alone = all((facts := sets[name]) and not facts.reads_services for name in own_sets)
    return Goal(
        id=goal_id(service.uuid),
        name=service.name,
        role=decided.role,
        reason=decided.reason,
        sets=own_sets,
        context=contexts.of_service(service, decided, alone=alone),
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
