"""One service with every server that it concerns, as the directory shows it at one moment. Pure.

It is what the agents see, from the same code (`relocd.election.eligibility`), but of all servers at once and with the
last status of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from relocd.election.eligibility import OwnershipView, displacing, ownership
from relocd.election.observation import Life
from relocd.errors import Invalid
from relocd.model.dn import DN
from relocd.model.entries import Cluster, Entry, EntryUUID, Failover, Isolation, Server, Service, Snapshot
from relocd.model.status import is_status, status_of
from relocd.operator.status.health import ServerRow
from relocd.operator.status.view import now_of, server_view
from relocd.sync.index import Index, whole
from relocd.sync.view import Interest, snapshot_of

__all__ = ["GIVEN_BACK", "ServiceView", "service_view"]

GIVEN_BACK: Final = "given back"
"""How an agent's report begins that it gave a service back (`relocd.agent.handover.controller`)."""

_LET_GO: Final = 2
"""After how many leases without a heartbeat every server that watched has seen one whole lease pass."""


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A service, the servers that it concerns by identity, and everything that they link to."""

    service: Service
    snapshot: Snapshot
    servers: Mapping[EntryUUID, ServerRow]

    def ownership(self, server: EntryUUID) -> OwnershipView:
        """The ownership of the service as that server sees it."""
        me = self.servers[server].server
        return ownership(self.snapshot, me, self.service, displacing(self.snapshot, me))

    @property
    def clusters(self) -> tuple[Cluster, ...]:
        """The clusters that link to the service, in order of their names."""
        found = (each for each in self.snapshot.clusters.values() if self.service.dn in each.service_links)
        return tuple(sorted(found, key=lambda cluster: cluster.dn.key))

    def clusters_with(self, server: Server) -> tuple[Cluster, ...]:
        """The clusters among them that a server is a member of."""
        return tuple(each for each in self.clusters if each.dn in server.cluster_links)

    def is_external(self, server: Server) -> bool:
        """Whether a server gets the service only through clusters that have their own cluster manager."""
        through = self.clusters_with(server)
        linked = self.service.dn in server.service_links
        return bool(through) and not linked and all(each.failover is Failover.EXTERNAL for each in through)

    def life(self, server: EntryUUID) -> Life:
        """What is known of a server without an ARP or ND probe; one without an entry is silent."""
        row = self.servers.get(server)
        if row is None:
            return Life.SUSPECT
        if row.server.fenced:
            return Life.DEAD
        return Life.ALIVE if not row.is_silent else Life.DEAD if self._has_let_go(row) else Life.SUSPECT

    def _has_let_go(self, row: ServerRow) -> bool:
        if self.service.isolation is not Isolation.RELEASE or row.status is None or row.age_s is None:
            return False
        return row.age_s > _LET_GO * row.status.lease_s

    def name(self, server: EntryUUID) -> str:
        """The name of a server."""
        known = self.servers.get(server)
        return known.server.name if known else server.rpartition(": ")[2]


def service_view(service: DN, entries: Iterable[Entry], now_s: float) -> ServiceView:
    """The view of a service from entries that include it; raises `Invalid` where it is invalid."""
    found = tuple(entries)
    now_s = now_of(found, now_s)
    statuses = {each.dn.parent.key: status_of(each) for each in found if is_status(each)}
    content = Index(whole(each) for each in found if not is_status(each))
    everything = Interest(frozenset(record.uuid for record in content))
    snapshot = snapshot_of(content, content.named(service.key), service, everything)
    about = next((each for each in snapshot.services.values() if each.dn == service), None)
    if about is None:
        wrong = "; ".join(str(each) for each in snapshot.problems if each.subject == str(service))
        raise Invalid(wrong or f"{service} cannot be read")
    rows = {
        uuid: server_view(server, statuses.get(server.dn.key), now_s)
        for uuid, server in sorted(snapshot.servers.items(), key=lambda each: each[1].dn.key)
    }
    return ServiceView(about, snapshot, rows)
