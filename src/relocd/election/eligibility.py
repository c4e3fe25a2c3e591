"""What the directory says about who runs an exclusive service, as the rules of handover and their writes need it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from relocd.election.observation import Eligible, State
from relocd.model.dn import DN
from relocd.model.entries import Cluster, EntryUUID, Failover, Isolation, Server, Service, ServiceState
from relocd.model.snapshot import Snapshot

__all__ = ["OwnershipView", "ownership", "displacing"]

_NOBODY: Final = "no entry: "
"""Begins the identity of a server that a state names and that has no entry; it is never equal to a real one's."""


@dataclass(frozen=True, slots=True)
class OwnershipView:
    """One service seen by the server `me`.

    `state` is None while it is unknown, `entry` None where there is none yet. `names` are the servers that matter, by
    the names they have now, `links` the values by which servers are linked directly. `nameless` are servers that the
    state names and that have no entry. `displaced_by` is a service that runs here and at whose side this one rests.
    `displaces` are the services that have to give way here before this one is activated.
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
    displaced_by: str | None = None
    displaces: frozenset[EntryUUID] = frozenset()

    @property
    def holds(self) -> bool:
        """Whether the state says that `me` is the holder."""
        return self.state is not None and self.state.holder == self.me

    @property
    def is_misnamed(self) -> bool:
        """Whether `me` is the holder by a name that it does not have any more."""
        return self.holds and self.entry is not None and self.entry.holder != self.names[self.me]


def ownership(snapshot: Snapshot, me: Server, service: Service, displaced: Mapping[EntryUUID, str]) -> OwnershipView:
    """Who runs an exclusive service; `displaced` are the services that rest here, see `displacing`."""
    entry = snapshot.states.get(service.uuid)
    unknown = service.uuid in snapshot.states and entry is None
    identities = _identities(snapshot, entry)
    links = _links(snapshot, service)
    chosen = _choice(snapshot, service, links)
    concerned = {me.uuid, *chosen.all, *chosen.standby, *identities.values()}
    servers = {uuid: snapshot.servers[uuid] for uuid in concerned if uuid in snapshot.servers}
    nameless = {uuid: dn for dn, uuid in identities.items() if uuid.startswith(_NOBODY)}
    return OwnershipView(
        me=me.uuid,
        service=service.dn,
        state=None if unknown else _state(entry, identities),
        entry=entry,
        eligible=chosen,
        isolation=service.isolation,
        names={uuid: server.dn for uuid, server in servers.items()} | nameless,
        links=links,
        fenced=frozenset(uuid for uuid, server in servers.items() if server.fenced),
        nameless=frozenset(nameless),
        displaced_by=displaced.get(service.uuid),
        displaces=snapshot.targets(service.displaces) - {service.uuid},
    )


def displacing(snapshot: Snapshot, me: Server) -> Mapping[EntryUUID, str]:
    """The services that rest on this server, each with the name of one that runs here and displaces it.

    Of two that displace each other the first by name stays.
    """
    running = sorted(_running(snapshot, me), key=lambda service: service.dn.key)
    resting: dict[EntryUUID, str] = {}
    for service in running:
        if service.uuid not in resting:
            others = snapshot.targets(service.displaces) - {service.uuid}
            resting |= {uuid: service.name for uuid in others if uuid not in resting}
    return resting


def _running(snapshot: Snapshot, me: Server) -> Iterator[Service]:
    """The services that run here as far as the directory says: held, or shared and linked."""
    for uuid in snapshot.linked(me) | snapshot.held_by(me):
        service = snapshot.services.get(uuid)
        state = snapshot.states.get(uuid)
        if service is None:
            continue
        holder = None if state is None or state.holder is None else snapshot.names.get(state.holder)
        if holder == me.uuid if service.exclusive else uuid in snapshot.linked(me):
            yield service


def _identities(snapshot: Snapshot, entry: ServiceState | None) -> dict[DN, EntryUUID]:
    """The servers that a state names, those without an entry by identities of their own."""
    if entry is None:
        return {}
    named = [dn for dn in (entry.holder, entry.candidate, entry.previous) if dn is not None]
    return {dn: snapshot.names.get(dn) or EntryUUID(_NOBODY + dn.key) for dn in named}


def _state(entry: ServiceState | None, identities: Mapping[DN, EntryUUID]) -> State:
    if entry is None:
        return State()
    return State(
        holder=None if entry.holder is None else identities[entry.holder],
        candidate=None if entry.candidate is None else identities[entry.candidate],
        previous=None if entry.previous is None else identities[entry.previous],
        generation=entry.generation or 0,
    )


def _links(snapshot: Snapshot, service: Service) -> dict[EntryUUID, DN]:
    return {
        server.uuid: link
        for server in snapshot.servers.values()
        for link in server.service_links
        if snapshot.names.get(link) == service.uuid
    }


def _choice(snapshot: Snapshot, service: Service, links: Mapping[EntryUUID, DN]) -> Eligible:
    clusters = [
        cluster
        for cluster in snapshot.clusters.values()
        if service.uuid in snapshot.targets(cluster.service_links) and cluster.failover is not Failover.EXTERNAL
    ]
    members = {cluster.uuid: {each.uuid for each in snapshot.members(cluster)} for cluster in clusters}
    active = {uuid for cluster in clusters for uuid in _active(snapshot, cluster) & members[cluster.uuid]}
    return Eligible(
        direct=frozenset(links),
        by_cluster=frozenset(active),
        standby=frozenset[EntryUUID]().union(*members.values()) - active,
    )


def _active(snapshot: Snapshot, cluster: Cluster) -> frozenset[EntryUUID]:
    return frozenset() if cluster.active is None else snapshot.targets((cluster.active,))
