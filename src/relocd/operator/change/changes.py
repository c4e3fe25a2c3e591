"""What each order changes in the directory: entries in, modifications out. Pure.

An order adds or removes a link, sets the active server of a cluster, or sets a fence; the agents do the rest. Orders
are idempotent: where the directory is already as ordered there is no modification.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from relocd.errors import Invalid
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Cluster, Failover, Server
from relocd.model.writes import Add, Delete, Modification, Replace

__all__ = ["OrderPlan", "Placement", "activate", "fence", "link", "unfence", "unlink"]


@dataclass(frozen=True, slots=True)
class Placement:
    """A service on the server where it should run, by their names."""

    service: DN
    server: DN


@dataclass(frozen=True, slots=True)
class OrderPlan:
    """The modifications in their order, and sentences: what they do, what is already so, what cannot be done.

    `warnings` name what may prevent or delay it, `placements` what will run where once the agents have done it.
    """

    modifications: tuple[Modification, ...] = ()
    done: tuple[str, ...] = ()
    already: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
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


def activate(cluster: Cluster, server: Server) -> OrderPlan:
    """Make the server the active one of the cluster; raises `Invalid` where it is not a member."""
    if cluster.dn not in server.cluster_links:
        raise Invalid(
            f"{server.dn} is not a member of {cluster.dn}; add {cluster.dn} as relocClusterLink of the server first"
        )
    external = cluster.failover is Failover.EXTERNAL
    placements = () if external else tuple(Placement(dn, server.dn) for dn in sorted(cluster.service_links, key=_key))
    if cluster.active == server.dn:
        return OrderPlan(already=(f"{server.name} is already active in {cluster.name}",), placements=placements)
    change = Replace(names.ACTIVE, _values([server.dn]))
    done = (f"{server.name} is active in {cluster.name}",)
    return OrderPlan((Modification(cluster.dn, (change,)),), done, placements=placements)


def _key(dn: DN) -> str:
    return dn.key


def _values(names: Iterable[DN]) -> tuple[bytes, ...]:
    return tuple(dn.text.encode() for dn in names)
