"""What the links say that a server shall be to a service, and why.

That is all for a shared service. For an exclusive one it is the wish; who serves is agreed on
(`relocd.election.rules`).
"""

from __future__ import annotations

from dataclasses import dataclass

from relocd.model.entries import Cluster, EntryUUID, Failover, Server, Service
from relocd.model.snapshot import Snapshot
from relocd.model.template_set import Role

__all__ = ["Decision", "decision"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a server is to a service, and why.

    `cluster` is the cluster through which it is linked, None for a direct link. With `files_only` addresses and units
    belong to an outside cluster manager.
    """

    role: Role
    reason: str
    cluster: EntryUUID | None = None
    files_only: bool = False


def decision(snapshot: Snapshot, me: Server, service: Service) -> Decision | None:
    """The role of `me` for a service, or None when nothing links the two. A direct link outranks a cluster's."""
    if service.uuid in snapshot.targets(me.service_links):
        return Decision(Role.ACTIVE, "linked directly")
    through = [
        _through_cluster(snapshot, me, service, cluster)
        for cluster in snapshot.clusters_of(me)
        if service.uuid in snapshot.targets(cluster.service_links)
    ]
    active = [found for found in through if found.role is Role.ACTIVE]
    return next(iter(active or through), None)


def _through_cluster(snapshot: Snapshot, me: Server, service: Service, cluster: Cluster) -> Decision:
    external = cluster.failover is Failover.EXTERNAL
    role, reason = _standing(snapshot, me, service, cluster)
    return Decision(role, reason, cluster.uuid, files_only=external)


def _standing(snapshot: Snapshot, me: Server, service: Service, cluster: Cluster) -> tuple[Role, str]:
    if not service.exclusive:
        return Role.ACTIVE, f"shared, and member of cluster {cluster.name}"
    if cluster.active is None:
        return Role.STANDBY, f"member of cluster {cluster.name}, which has no active server"
    if me.uuid in snapshot.targets((cluster.active,)):
        return Role.ACTIVE, f"active server of cluster {cluster.name}"
    return Role.STANDBY, f"member of cluster {cluster.name}, where {cluster.active.name} is active"
