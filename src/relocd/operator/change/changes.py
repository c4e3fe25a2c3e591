"""What each order changes in the directory: entries in, modifications out, or why it is refused. Pure.

An order adds or removes a link, sets the active server of a cluster, or sets a fence; the agents do the rest. Orders
are idempotent: where the directory is already as ordered there is no modification.

`move` finds the one modify that moves an exclusive service. A service with a direct link moves by a direct link of its
next server. A service of a cluster moves by the cluster's active server. A direct link outranks a cluster's, so where
there is any, a link moves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from relocd.errors import Invalid
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Cluster, EntryUUID, Failover, Server
from relocd.model.writes import Add, Delete, Modification, Replace
from relocd.operator.change.obstacle import Obstacle, ObstacleKind
from relocd.operator.change.preflight import Preflight, service_preflight, target_preflight
from relocd.operator.service_view import ServiceView

__all__ = [
    "OrderPlan",
    "Placement",
    "activate",
    "cluster_to_activate",
    "fence",
    "link",
    "move",
    "no_member",
    "unfence",
    "unlink",
]


@dataclass(frozen=True, slots=True)
class Placement:
    """A service on the server where it should run, by their names."""

    service: DN
    server: DN


@dataclass(frozen=True, slots=True)
class OrderPlan:
    """The modifications in their order, with sentences that say what they do and what is already so.

    `problems` are why something cannot be done, `warnings` what may prevent or delay it, `placements` what will run
    where once the agents have done it.
    """

    modifications: tuple[Modification, ...] = ()
    done: tuple[str, ...] = ()
    already: tuple[str, ...] = ()
    problems: tuple[Obstacle, ...] = ()
    warnings: tuple[Obstacle, ...] = ()
    placements: tuple[Placement, ...] = ()

    def __add__(self, other: OrderPlan) -> OrderPlan:
        """One plan after the other."""
        return OrderPlan(
            self.modifications + other.modifications,
            self.done + other.done,
            self.already + other.already,
            self.problems + other.problems,
            self.warnings + other.warnings,
            self.placements + other.placements,
        )


def link(server: Server, services: Iterable[DN]) -> OrderPlan:
    """Link the server to the services, by one modify for all missing links."""
    wanted = sorted(set(services), key=_key)
    missing = [dn for dn in wanted if dn not in server.service_links]
    already = tuple(f"{server.name} is already linked to {dn.name}" for dn in wanted if dn in server.service_links)
    placements = tuple(Placement(dn, server.dn) for dn in wanted)
    if not missing:
        return OrderPlan(already=already, placements=placements)
    done = tuple(f"{server.name} is linked to {dn.name}" for dn in missing)
    return OrderPlan(
        (Modification(server.dn, (Add(names.SERVICE_LINK, _values(missing)),)),), done, already, placements=placements
    )


def unlink(server: Server, service: DN) -> OrderPlan:
    """Remove the server's own link to the service; a link through a cluster stays."""
    written = [dn for dn in server.service_links if dn == service]
    if not written:
        return OrderPlan(already=(f"{server.name} is not linked to {service.name}",))
    done = (f"{server.name} is no longer linked to {service.name}",)
    return OrderPlan((Modification(server.dn, (Delete(names.SERVICE_LINK, _values(written)),)),), done)


def fence(server: Server) -> OrderPlan:
    """Fence the server: its power-off is confirmed, so other servers need not wait."""
    if server.fenced:
        return OrderPlan(already=(f"{server.name} is already fenced",))
    return OrderPlan((Modification(server.dn, (Replace(names.FENCED, (b"TRUE",)),)),), (f"{server.name} is fenced",))


def unfence(server: Server) -> OrderPlan:
    """Clear the server's fence."""
    if not server.fenced:
        return OrderPlan(already=(f"{server.name} is not fenced",))
    return OrderPlan((Modification(server.dn, (Replace(names.FENCED),)),), (f"{server.name} is no longer fenced",))


def no_member(cluster: Cluster, server: Server) -> Obstacle | None:
    """Why the server cannot be active in the cluster, None where it is a member."""
    if cluster.dn in server.cluster_links:
        return None
    return Obstacle(ObstacleKind.NOT_A_MEMBER, str(server.dn), cluster=str(cluster.dn))


def activate(cluster: Cluster, server: Server) -> OrderPlan:
    """Make the server the active one of the cluster; raises `Invalid` where it is not a member."""
    if (problem := no_member(cluster, server)) is not None:
        raise Invalid(str(problem))
    external = cluster.failover is Failover.EXTERNAL
    placements = () if external else tuple(Placement(dn, server.dn) for dn in sorted(cluster.service_links, key=_key))
    if cluster.active == server.dn:
        return OrderPlan(already=(f"{server.name} is already active in {cluster.name}",), placements=placements)
    change = Replace(names.ACTIVE, _values([server.dn]))
    done = (f"{server.name} is active in {cluster.name}",)
    warnings = tuple(_falls_back(cluster, server))
    return OrderPlan((Modification(cluster.dn, (change,)),), done, placements=placements, warnings=warnings)


def _falls_back(cluster: Cluster, server: Server) -> Iterator[Obstacle]:
    """A warning where a preferred member will take the place of that server again."""
    automatic = cluster.failover is Failover.AUTOMATIC
    if automatic and cluster.failback_s is not None and cluster.preferred and server.dn not in cluster.preferred:
        preferred = ", ".join(sorted(dn.name for dn in cluster.preferred))
        about = Obstacle(ObstacleKind.FALLS_BACK, server.name, cluster=cluster.name, detail=preferred)
        yield replace(about, seconds=float(cluster.failback_s))


def _key(dn: DN) -> str:
    return dn.key


def _values(names: Iterable[DN]) -> tuple[bytes, ...]:
    return tuple(dn.text.encode() for dn in names)


def move(view: ServiceView, target: EntryUUID) -> OrderPlan:
    """The plan that moves the service to a server of the view; a refused move has problems and no modification."""
    server = view.servers[target].server
    problem = _misfit(view, server)
    if problem is not None:
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
    linked = any(view.service.dn in row.server.service_links for row in view.servers.values())
    return None if linked else next(iter(others), None)


def _misfit(view: ServiceView, server: Server) -> Obstacle | None:
    """Why the service cannot be moved to that server by this command, None where it can."""
    about = Obstacle(ObstacleKind.SERVICE_SHARED, server.name, view.service.name)
    if not view.service.exclusive:
        return about
    if view.is_external(server):
        named = ", ".join(cluster.name for cluster in view.clusters_with(server))
        return replace(about, kind=ObstacleKind.SERVICE_EXTERNAL, cluster=named)
    cluster = cluster_to_activate(view, server)
    others = sorted(dn.name for dn in cluster.service_links - {view.service.dn}) if cluster else []
    if cluster and others:
        moved = ", ".join(others)
        return replace(about, kind=ObstacleKind.MOVES_WITH_OTHERS, cluster=cluster.name, detail=moved)
    return None


def _modified(view: ServiceView, server: Server) -> OrderPlan:
    cluster = cluster_to_activate(view, server)
    return link(server, [view.service.dn]) if cluster is None else activate(cluster, server)


def _guarded(order: OrderPlan, preflight: Preflight) -> OrderPlan:
    """The order with its warnings, or only the reasons to refuse it."""
    if preflight.refusals:
        return OrderPlan(problems=preflight.refusals)
    return order + OrderPlan(warnings=preflight.warnings)
