"""`relocd move`: an exclusive service to a server, by the one modify that does it, or why that is refused. Pure.

A service that a server is linked to directly moves by the link of the next one. A service of a cluster moves by the
cluster's active member; but a direct link outranks a cluster's, so where there is one, a link it is.
"""

from __future__ import annotations

from relocd.model.entries import Cluster, EntryUUID, Failover, Server
from relocd.operator.change import changes
from relocd.operator.change.changes import OrderPlan, Placement
from relocd.operator.change.preflight import Preflight, service_preflight, target_preflight
from relocd.operator.explain.service_view import ServiceView

__all__ = ["move", "cluster_to_activate"]


def move(view: ServiceView, target: EntryUUID) -> OrderPlan:
    """What moves the service to a server of the scene; a refused move changes nothing and names its problems."""
    server = view.servers[target].server
    problem = _misfit(view, server)
    if problem:
        return OrderPlan(problems=(problem,))
    ownership = view.ownership(target)
    if ownership.holds and target in ownership.eligible.all:
        placements = (Placement(view.service.dn, server.dn),)
        return OrderPlan(already=(f"{server.name} already holds {view.service.name}",), placements=placements)
    preflight = target_preflight(view.servers[target], [view.service.name]) + service_preflight(view, target)
    return _guarded(_modified(view, server), preflight)


def cluster_to_activate(view: ServiceView, server: Server) -> Cluster | None:
    """The cluster by whose active member the service moves to a server, None where a link does it."""
    others = [each for each in view.clusters_with(server) if each.failover is not Failover.EXTERNAL]
    linked = any(view.service.dn in seen.server.service_links for seen in view.servers.values())
    return None if linked else next(iter(others), None)


def _misfit(view: ServiceView, server: Server) -> str:
    """Why the service does not move to a server like that, empty where it does."""
    service = view.service
    if not service.exclusive:
        return f"{service.name} is shared, it runs on every server that is linked to it; see relocd link and unlink"
    if view.is_external(server):
        names = ", ".join(cluster.name for cluster in view.clusters_with(server))
        return f"{service.name} belongs to the cluster manager of {names} (relocFailover: external); move it there"
    cluster = cluster_to_activate(view, server)
    others = sorted(dn.name for dn in cluster.service_links - {service.dn}) if cluster else []
    if cluster and others:
        return (
            f"{service.name} moves with its cluster, and {', '.join(others)} would move, too; "
            f"if they shall: relocd activate {cluster.name} {server.name}"
        )
    return ""


def _modified(view: ServiceView, server: Server) -> OrderPlan:
    cluster = cluster_to_activate(view, server)
    return changes.link(server, [view.service.dn]) if cluster is None else changes.activate(cluster, server)


def _guarded(order: OrderPlan, preflight: Preflight) -> OrderPlan:
    """The order with its preflight, or nothing but why it is refused."""
    if preflight.refusals:
        return OrderPlan(problems=preflight.refusals)
    return order + OrderPlan(warnings=preflight.warnings)
