"""`relocd failover`: which servers take over from a lost server, and one modify for each of them. Pure.

Moved is what the server holds, and what it is linked to or active for unless another server holds it. Without `--to`
each service goes to the first server, in order of names, that shares it and is alive. A cluster goes where it would go
by itself: to a preferred member before others, and to one without a failed service before all. A service that no server
shares goes to the only other server that shares anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from relocd.errors import Invalid
from relocd.model.dn import DN
from relocd.model.entries import Cluster
from relocd.operator.change import changes
from relocd.operator.change.changes import OrderPlan
from relocd.operator.change.preflight import Preflight, fence_preflight, lost_preflight, takes_over, target_preflight
from relocd.operator.cluster_view import in_precedence, is_healthy
from relocd.operator.status.health import ServerRow

__all__ = ["LostServer", "failover"]


@dataclass(frozen=True, slots=True)
class LostServer:
    """A server to take over from, and the services that it holds or is chosen for.

    `held` are the services that it holds. `elsewhere` are those that it is linked to and another server holds, with
    that server's name. `clusters` are those in which it is active, `peers` the servers that share anything with it.
    """

    server: ServerRow
    held: frozenset[DN] = frozenset()
    elsewhere: Mapping[DN, str] = field(default_factory=dict)
    clusters: tuple[Cluster, ...] = ()
    peers: tuple[ServerRow, ...] = ()

    @property
    def services(self) -> tuple[DN, ...]:
        """The services that move by a link: all but those that move with their cluster, and those that others hold."""
        through = frozenset[DN]().union(*(cluster.service_links for cluster in self.clusters))
        linked = self.server.server.service_links | (self.held - through)
        return tuple(sorted(linked - self.elsewhere.keys(), key=lambda dn: dn.key))


def failover(loss: LostServer, target: ServerRow | None, *, fenced: bool) -> OrderPlan:
    """The whole order; `target` takes over everything, None means that each service finds its own server.

    With `fenced` the lost server is fenced first. Where pre-flight refuses a target nothing is changed. Raises
    `Invalid` where several servers, or none, could take over.
    """
    lost = loss.server.server
    if target is not None and lost.dn == target.server.dn:
        raise Invalid(f"{lost.dn} cannot take over from itself; name another server by --to")
    taken = _taken(loss, target)
    preflight = _doubts(loss, taken, fenced=fenced)
    if preflight.refusals:
        return OrderPlan(problems=preflight.refusals)
    moved = sum((_moved(each) for each in taken), OrderPlan())
    if moved == OrderPlan():
        moved = OrderPlan(already=(f"{lost.name} has no service to take over",))
    stays = tuple(f"{dn.name} stays on {name}, which holds it" for dn, name in loss.elsewhere.items())
    first = changes.fence(lost) if fenced else OrderPlan()
    return first + moved + OrderPlan(already=stays, warnings=preflight.warnings)


@dataclass(slots=True)
class _Taken:
    """One server, and what it takes over."""

    taker: ServerRow
    services: list[DN] = field(default_factory=list)
    clusters: list[Cluster] = field(default_factory=list)


def _taken(loss: LostServer, target: ServerRow | None) -> tuple[_Taken, ...]:
    """Which server takes over what, in the order of names."""
    by_name: dict[str, _Taken] = {}

    def part(taker: ServerRow) -> _Taken:
        return by_name.setdefault(taker.server.dn.key, _Taken(taker))

    for service in loss.services:
        sharing = [each for each in loss.peers if service in each.server.service_links]
        part(target or _first(sharing) or _only(loss)).services.append(service)
    for cluster in sorted(loss.clusters, key=lambda cluster: cluster.dn.key):
        members = [each for each in loss.peers if cluster.dn in each.server.cluster_links]
        part(target or _first_member(cluster, members) or _only(loss)).clusters.append(cluster)
    return tuple(taken for _, taken in sorted(by_name.items()))


def _first(servers: Iterable[ServerRow]) -> ServerRow | None:
    """The first by name that is ready to take over; a single one need not be alive."""
    return _first_ready(sorted(servers, key=lambda each: each.server.dn.key))


def _first_member(cluster: Cluster, members: Iterable[ServerRow]) -> ServerRow | None:
    """The first in precedence that is ready to take over, one without a failed service before the others."""
    found = in_precedence(cluster, members)
    return _first_ready(sorted(found, key=lambda each: not is_healthy(cluster, each)))


def _first_ready(found: Sequence[ServerRow]) -> ServerRow | None:
    return next(filter(takes_over, found), found[0] if len(found) == 1 and not found[0].server.fenced else None)


def _only(loss: LostServer) -> ServerRow:
    """The only peer that is alive, or the only peer; raises `Invalid` otherwise."""
    peers = [each for each in loss.peers if not each.server.fenced]
    living = [each for each in peers if takes_over(each)]
    for found in (living, peers):
        if len(found) == 1:
            return found[0]
    lost = loss.server.server.dn
    named = ", ".join(sorted(str(each.server.dn) for each in peers)) or "no other server that is not fenced"
    what = f"which server takes over from {lost} is not clear: {named} shares a cluster or a service with it"
    raise Invalid(f"{what}; name one by --to")


def _moved(taken: _Taken) -> OrderPlan:
    """One modify of the taker's links, and one of each cluster; a cluster that it is not a member of is a problem."""
    moved = changes.link(taken.taker.server, taken.services)
    for cluster in taken.clusters:
        problem = changes.no_member(cluster, taken.taker.server)
        moved += OrderPlan(problems=(problem,)) if problem else changes.activate(cluster, taken.taker.server)
    return moved


def _doubts(loss: LostServer, taken: Iterable[_Taken], *, fenced: bool) -> Preflight:
    preflight = fence_preflight(loss.server) if fenced else lost_preflight(loss.server)
    for each in taken:
        through = (dn for cluster in each.clusters for dn in cluster.service_links)
        preflight += target_preflight(each.taker, [dn.name for dn in (*each.services, *through)])
    return preflight
