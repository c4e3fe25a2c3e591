"""`relocd move`: the one modify that moves an exclusive service to a server, or why it is refused. Pure.

A service with a direct link moves by a direct link of its next server. A service of a cluster moves by the cluster's
active server. A direct link outranks a cluster's, so where there is any, a link moves it.
"""

from __future__ import annotations

from relocd.model.entries import Cluster, EntryUUID, Failover, Server
from relocd.operator.change import changes
from relocd.operator.change.changes import OrderPlan, Placement
from relocd.operator.change.preflight import Preflight, service_preflight, target_preflight
from relocd.operator.service_view import ServiceView

__all__ = ["move", "cluster_to_activate"]


def move(view: ServiceView, target: EntryUUID) -> OrderPlan:
    """The plan that moves the service to a server of the view; a refused move has problems and no modification."""
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
    """The cluster whose active server must change to move the service there, None where a link moves it."""
    others = [each for each in view.clusters_with(server) if each.failover is not Failover.EXTERNAL]
    linked = any(view.service.dn in seen.server.service_links for seen in view.servers.values())
    return None if linked else next(iter(others), None)


def _misfit(view: ServiceView, server: Server) -> str:
    """Why the service cannot be moved to that server by this command, empty where it can."""
    service = view.service
    if not service.exclusive:
        return (
            f"{service.name} is shared and runs on every server that is linked to it; use relocd link and relocd unlink"
        )
    if view.is_external(server):
        names = ", ".join(cluster.name for cluster in view.clusters_with(server))
        return f"{service.name} belongs to the cluster manager of {names} (relocFailover: external); move it there"
    cluster = cluster_to_activate(view, server)
    others = sorted(dn.name for dn in cluster.service_links - {service.dn}) if cluster else []
    if cluster and others:
        return (
            f"{service.name} moves with its cluster, and {', '.join(others)} would move with it; "
            f"to move all of them: relocd activate {cluster.name} {server.name}"
        )
    return ""


def _modified(view: ServiceView, server: Server) -> OrderPlan:
    cluster = cluster_to_activate(view, server)
    return changes.link(server, [view.service.dn]) if cluster is None else changes.activate(cluster, server)


def _guarded(order: OrderPlan, preflight: Preflight) -> OrderPlan:
    """The order with its warnings, or only the reasons to refuse it."""
    if preflight.refusals:
        return OrderPlan(problems=preflight.refusals)
    return order + OrderPlan(warnings=preflight.warnings)
