"""`relocd move`: an exclusive service to a server, by the one modify that does it, or why that is refused. Pure.

A service that a server is linked to directly moves by the link of the next one. A service of a cluster moves by the
cluster's active member; but a direct link outranks a cluster's, so where there is one, a link it is.
"""

from __future__ import annotations

from relocd.model.entries import Cluster, EntryUUID, Failover, Server
from relocd.operator.change import changes
from relocd.operator.change.changes import Move, Wish
from relocd.operator.change.preflight import Doubts, about_service, about_target
from relocd.operator.explain.service_view import ServiceView

__all__ = ["move", "way"]


def move(scene: ServiceView, target: EntryUUID) -> Move:
    """What moves the service to a server of the scene; a refused move changes nothing and names its problems."""
    server = scene.seen[target].server
    problem = _misfit(scene, server)
    if problem:
        return Move(problems=(problem,))
    ownership = scene.ownership(target)
    if ownership.holds and target in ownership.eligible.all:
        wishes = (Wish(scene.service.dn, server.dn),)
        return Move(already=(f"{server.name} already holds {scene.service.name}",), wishes=wishes)
    doubts = about_target(scene.seen[target], [scene.service.name]) + about_service(scene, target)
    return _guarded(_modified(scene, server), doubts)


def way(scene: ServiceView, server: Server) -> Cluster | None:
    """The cluster by whose active member the service moves to a server, None where a link does it."""
    others = [each for each in scene.clusters_with(server) if each.failover is not Failover.EXTERNAL]
    linked = any(scene.service.dn in seen.server.service_links for seen in scene.seen.values())
    return None if linked else next(iter(others), None)


def _misfit(scene: ServiceView, server: Server) -> str:
    """Why the service does not move to a server like that, empty where it does."""
    service = scene.service
    if not service.exclusive:
        return f"{service.name} is shared, it runs on every server that is linked to it; see relocd link and unlink"
    if scene.is_external(server):
        names = ", ".join(cluster.name for cluster in scene.clusters_with(server))
        return f"{service.name} belongs to the cluster manager of {names} (relocFailover: external); move it there"
    cluster = way(scene, server)
    others = sorted(dn.name for dn in cluster.service_links - {service.dn}) if cluster else []
    if cluster and others:
        return (
            f"{service.name} moves with its cluster, and {', '.join(others)} would move, too; "
            f"if they shall: relocd activate {cluster.name} {server.name}"
        )
    return ""


def _modified(scene: ServiceView, server: Server) -> Move:
    cluster = way(scene, server)
    return changes.link(server, [scene.service.dn]) if cluster is None else changes.activate(cluster, server)


def _guarded(order: Move, doubts: Doubts) -> Move:
    """The order with its doubts, or nothing but why it is refused."""
    if doubts.refusals:
        return Move(problems=doubts.refusals)
    return order + Move(warnings=doubts.warnings)
