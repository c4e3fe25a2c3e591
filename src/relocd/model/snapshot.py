"""The part of the directory that concerns one server, as one immutable value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from relocd.model.dn import DN
from relocd.model.entries import Cluster, EntryUUID, Problem, Server, Service, ServiceState

__all__ = ["Snapshot"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The server `me`, what it is linked to, and which other servers and clusters are linked to that.

    `me` is None when the directory has no readable entry for this server. `names` resolves the DNs in links; one that
    is missing points to no entry, or to none that concerns this server. `states` are by service: without an entry
    there is no state yet, with None it cannot be understood. `unknown` are entries that exist but could not be read or
    understood: nothing may be concluded about them. `dangling` are DNs in links and states without an entry that the
    search has sent.
    """

    me: Server | None
    servers: Mapping[EntryUUID, Server] = field(default_factory=dict)
    clusters: Mapping[EntryUUID, Cluster] = field(default_factory=dict)
    services: Mapping[EntryUUID, Service] = field(default_factory=dict)
    states: Mapping[EntryUUID, ServiceState | None] = field(default_factory=dict)
    names: Mapping[DN, EntryUUID] = field(default_factory=dict)
    unknown: frozenset[EntryUUID] = frozenset()
    dangling: frozenset[DN] = frozenset()
    problems: tuple[Problem, ...] = ()

    def targets(self, links: Iterable[DN]) -> frozenset[EntryUUID]:
        """The identities that links point to; a link to no entry is left out."""
        return frozenset(self.names[link] for link in links if link in self.names)

    def clusters_of(self, server: Server) -> tuple[Cluster, ...]:
        """The clusters that a server is a member of, in order of their names."""
        found = (self.clusters[uuid] for uuid in self.targets(server.cluster_links) if uuid in self.clusters)
        return tuple(sorted(found, key=lambda cluster: cluster.dn.key))

    def members(self, cluster: Cluster) -> tuple[Server, ...]:
        """The servers that are members of a cluster, in order of their names."""
        linked = (server for server in self.servers.values() if cluster.uuid in self.targets(server.cluster_links))
        return tuple(sorted(linked, key=lambda server: server.dn.key))

    def held_by(self, server: Server) -> frozenset[EntryUUID]:
        """The services whose state names a server as holder or candidate, linked or not."""
        return frozenset(
            service
            for service, state in self.states.items()
            if state is not None and server.uuid in self.targets(filter(None, (state.holder, state.candidate)))
        )

    def linked(self, server: Server) -> frozenset[EntryUUID]:
        """The services that a server is linked to, directly or through its clusters."""
        direct = self.targets(server.service_links)
        through = (self.targets(cluster.service_links) for cluster in self.clusters_of(server))
        return direct.union(*through)
