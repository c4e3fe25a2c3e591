"""What the directory says about who may run a service: a server's role by its links, and the view of an exclusive one.

For a shared service the role is all there is. For an exclusive one it is what the administrator wants; which server
serves is decided by `relocd.election.rules`, from the `OwnershipView`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from relocd.election.observation import Eligible, State, YieldReason
from relocd.errors import Invalid
from relocd.model.dn import DN
from relocd.model.entries import Cluster, EntryUUID, Failover, Isolation, Server, Service, ServiceState, Snapshot
from relocd.model.template_set import Role

__all__ = ["Decision", "OwnershipView", "Relations", "decision", "displacing", "ownership", "relations"]

_NO_ENTRY: Final = "no entry: "
"""Begins the identity of a server that a state names and that has no entry; it is never equal to a real identity."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a server is to a service by its links, and why.

    `cluster` is the cluster through which it is linked, None for a direct link. With `files_only` addresses and units
    belong to an outside cluster manager.
    """

    role: Role
    reason: str
    cluster: EntryUUID | None = None
    files_only: bool = False


@dataclass(frozen=True, slots=True)
class Relations:
    """Who is linked to which service, found for all services of a snapshot at once.

    `links` are the values by which servers link to a service directly; `clusters` are those linked to a service, in
    order of their names; `members` are the servers of a cluster.
    """

    links: Mapping[EntryUUID, Mapping[EntryUUID, DN]]
    clusters: Mapping[EntryUUID, tuple[Cluster, ...]]
    members: Mapping[EntryUUID, frozenset[EntryUUID]]


def relations(snapshot: Snapshot) -> Relations:
    """The relations of a snapshot; they do not depend on states."""
    links: dict[EntryUUID, dict[EntryUUID, DN]] = {}
    clusters: dict[EntryUUID, tuple[Cluster, ...]] = {}
    members: dict[EntryUUID, set[EntryUUID]] = {uuid: set() for uuid in snapshot.clusters}
    for server in snapshot.servers.values():
        for link in server.service_links:
            if (service := snapshot.names.get(link)) is not None:
                links.setdefault(service, {})[server.uuid] = link
        for cluster in snapshot.targets(server.cluster_links):
            members.setdefault(cluster, set()).add(server.uuid)
    for found in sorted(snapshot.clusters.values(), key=lambda cluster: cluster.dn.key):
        for service in snapshot.targets(found.service_links):
            clusters[service] = (*clusters.get(service, ()), found)
    return Relations(links, clusters, {uuid: frozenset(each) for uuid, each in members.items()})


def decision(snapshot: Snapshot, me: Server, service: Service, known: Relations | None = None) -> Decision | None:
    """The role of `me` for a service, or None when nothing links the two. A direct link outranks a cluster's.

    `known` are the relations of the snapshot, where they were found before.
    """
    known = known or relations(snapshot)
    if me.uuid in known.links.get(service.uuid, ()):
        return Decision(Role.ACTIVE, "linked directly")
    through = [
        _through_cluster(snapshot, me, service, cluster)
        for cluster in known.clusters.get(service.uuid, ())
        if me.uuid in known.members[cluster.uuid]
    ]
    active = [found for found in through if found.role is Role.ACTIVE]
    return next(iter(active or through), None)


def _through_cluster(snapshot: Snapshot, me: Server, service: Service, cluster: Cluster) -> Decision:
    external = cluster.failover is Failover.EXTERNAL
    role, reason = _cluster_role(snapshot, me, service, cluster)
    return Decision(role, reason, cluster.uuid, files_only=external)


def _cluster_role(snapshot: Snapshot, me: Server, service: Service, cluster: Cluster) -> tuple[Role, str]:
    if not service.exclusive:
        return Role.ACTIVE, f"shared, and member of cluster {cluster.name}"
    if cluster.active is None:
        return Role.STANDBY, f"member of cluster {cluster.name}, which has no active server"
    if me.uuid in snapshot.targets((cluster.active,)):
        return Role.ACTIVE, f"active server of cluster {cluster.name}"
    return Role.STANDBY, f"member of cluster {cluster.name}, where {cluster.active.name} is active"


@dataclass(frozen=True, slots=True)
class OwnershipView:
    """One exclusive service as the server `me` sees it in the directory.

    - `state` is None while it is unknown; `entry` is None where there is no state entry yet.
    - `names` are the present names of the servers that matter; `links` are the values by which servers link directly.
    - `nameless` are servers that the state names and that have no entry.
    - `unlinked_by_other`: `me` has no direct link, and another server has made the last change of its entry.
    - `displaced_by` is the name of a service that is here and displaces this one.
    - `displaces` are the services that have to stop here before this one is activated.
    """

    me: EntryUUID
    service: DN
    state: State | None
    entry: ServiceState | None
    eligible: Eligible
    isolation: Isolation = Isolation.KEEP
    names: Mapping[EntryUUID, DN] = field(default_factory=dict)
    links: Mapping[EntryUUID, DN] = field(default_factory=dict)
    fenced: frozenset[EntryUUID] = frozenset()
    nameless: frozenset[EntryUUID] = frozenset()
    unlinked_by_other: bool = False
    displaced_by: str | None = None
    displaces: frozenset[EntryUUID] = frozenset()

    @property
    def holds(self) -> bool:
        """Whether the state says that `me` is the holder."""
        return self.state is not None and self.state.holder == self.me

    @property
    def is_misnamed(self) -> bool:
        """Whether the state calls the holder, which is `me`, by a name that it does not have any more."""
        return self.holds and self.entry is not None and self.entry.holder != self.names[self.me]

    def yield_reason(self, *, drained: bool, unhealthy: bool = False) -> YieldReason | None:
        """Why `me` has to release the service although it is chosen.

        `drained` is what its own agent was told; `unhealthy`: the service has failed here by its health.
        """
        if self.me in self.fenced:
            return YieldReason.FENCED
        if self.displaced_by is not None:
            return YieldReason.DISPLACED
        if drained:
            return YieldReason.DRAINED
        return YieldReason.UNHEALTHY if unhealthy else None


def ownership(
    snapshot: Snapshot,
    me: Server,
    service: Service,
    displaced: Mapping[EntryUUID, str],
    known: Relations | None = None,
) -> OwnershipView:
    """The view of an exclusive service; `displaced` are the services that are displaced here, see `displacing`.

    `known` are the relations of the snapshot, where they were found before.
    """
    known = known or relations(snapshot)
    entry = snapshot.states.get(service.uuid)
    unknown = service.uuid in snapshot.states and entry is None
    identities = _identities(snapshot, entry)
    links = known.links.get(service.uuid, {})
    eligible = _eligible(snapshot, service, links, known)
    relevant = {me.uuid, *eligible.all, *eligible.standby, *identities.values()}
    servers = {uuid: snapshot.servers[uuid] for uuid in relevant if uuid in snapshot.servers}
    nameless = {uuid: dn for dn, uuid in identities.items() if uuid.startswith(_NO_ENTRY)}
    return OwnershipView(
        me=me.uuid,
        service=service.dn,
        state=None if unknown else _state(entry, identities),
        entry=entry,
        eligible=eligible,
        isolation=service.isolation,
        names={uuid: server.dn for uuid, server in servers.items()} | nameless,
        links=links,
        fenced=frozenset(uuid for uuid, server in servers.items() if server.fenced),
        nameless=frozenset(nameless),
        unlinked_by_other=me.uuid not in links and _changed_by_other(snapshot, me),
        displaced_by=displaced.get(service.uuid),
        displaces=snapshot.targets(service.displaces) - {service.uuid},
    )


def _changed_by_other(snapshot: Snapshot, me: Server) -> bool:
    """Whether the last change of a server's entry was made by another server: one that is known, or is beside it."""
    try:
        by = DN.parse(me.changed.by)
        return by != me.dn and (snapshot.names.get(by) in snapshot.servers or by.parent == me.dn.parent)
    except Invalid:
        return False


def displacing(snapshot: Snapshot, me: Server) -> Mapping[EntryUUID, str]:
    """The services that are displaced on this server, each with the name of one that runs here and displaces it.

    Of two that displace each other the first by name stays.
    """
    running = sorted(_running(snapshot, me), key=lambda service: service.dn.key)
    displaced: dict[EntryUUID, str] = {}
    for service in running:
        if service.uuid not in displaced:
            others = snapshot.targets(service.displaces) - {service.uuid}
            displaced |= {uuid: service.name for uuid in others if uuid not in displaced}
    return displaced


def _running(snapshot: Snapshot, me: Server) -> Iterator[Service]:
    """The services that run here as far as the directory says: held, or shared and linked."""
    linked = snapshot.linked(me)
    for uuid in linked | snapshot.held_by(me):
        service = snapshot.services.get(uuid)
        state = snapshot.states.get(uuid)
        if service is None:
            continue
        holder = None if state is None or state.holder is None else snapshot.names.get(state.holder)
        if holder == me.uuid if service.exclusive else uuid in linked:
            yield service


def _identities(snapshot: Snapshot, entry: ServiceState | None) -> dict[DN, EntryUUID]:
    """The servers that a state names; those without an entry by identities of their own."""
    if entry is None:
        return {}
    named = [dn for dn in (entry.holder, entry.candidate, entry.previous) if dn is not None]
    return {dn: snapshot.names.get(dn) or EntryUUID(_NO_ENTRY + dn.key) for dn in named}


def _state(entry: ServiceState | None, identities: Mapping[DN, EntryUUID]) -> State:
    if entry is None:
        return State()
    return State(
        holder=None if entry.holder is None else identities[entry.holder],
        candidate=None if entry.candidate is None else identities[entry.candidate],
        previous=None if entry.previous is None else identities[entry.previous],
        generation=entry.generation or 0,
    )


def _eligible(snapshot: Snapshot, service: Service, links: Mapping[EntryUUID, DN], known: Relations) -> Eligible:
    clusters = [
        cluster for cluster in known.clusters.get(service.uuid, ()) if cluster.failover is not Failover.EXTERNAL
    ]
    members = {cluster.uuid: known.members[cluster.uuid] for cluster in clusters}
    active = {uuid for cluster in clusters for uuid in _active(snapshot, cluster) & members[cluster.uuid]}
    return Eligible(
        direct=frozenset(links),
        by_cluster=frozenset(active),
        standby=frozenset[EntryUUID]().union(*members.values()) - active,
    )


def _active(snapshot: Snapshot, cluster: Cluster) -> frozenset[EntryUUID]:
    return frozenset() if cluster.active is None else snapshot.targets((cluster.active,))
