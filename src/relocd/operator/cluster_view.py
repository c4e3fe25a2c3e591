"""A cluster as the directory shows it, for the choice that `relocd.election.clusters` makes. Pure.

For how long a member has been ready only that member knows, so nothing that is seen here falls back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from relocd.election.clusters import ClusterView, Member, Succession, precedence, succession
from relocd.election.observation import Life
from relocd.model.entries import Cluster
from relocd.model.status import Mode
from relocd.operator.status.health import ServerRow

__all__ = ["after_loss", "cluster_view", "in_precedence", "is_healthy"]


def in_precedence(cluster: Cluster, rows: Iterable[ServerRow]) -> tuple[ServerRow, ...]:
    """Servers in the order in which they would become active in a cluster."""
    found = {row.server.uuid: row for row in rows}
    return tuple(found[each.uuid] for each in precedence(cluster, (row.server for row in found.values())))


def cluster_view(cluster: Cluster, rows: Iterable[ServerRow]) -> ClusterView:
    """The cluster and its members among these servers."""
    found = tuple(rows)
    members = [row for row in in_precedence(cluster, found) if cluster.dn in row.server.cluster_links]
    active = next((row for row in found if row.server.dn == cluster.active), None)
    return ClusterView(
        cluster.failover,
        tuple(_member(cluster, row) for row in members),
        None if active is None else _member(cluster, active),
    )


def after_loss(view: ClusterView) -> Succession | None:
    """Who would become active if the active member died now."""
    return succession(replace(view, active=None if view.active is None else replace(view.active, life=Life.DEAD)))


def is_healthy(cluster: Cluster, row: ServerRow) -> bool:
    """Whether no service of the cluster has failed on a server, as far as its agent reports."""
    return not _member(cluster, row).failed


def _member(cluster: Cluster, row: ServerRow) -> Member:
    failed = frozenset[str]() if row.status is None else row.status.failed
    return Member(
        row.server.uuid,
        row.server.name,
        row.server.dn in cluster.preferred,
        Life.SUSPECT if row.is_silent else Life.ALIVE,
        str(Mode.NORMAL) if row.status is None else row.status.mode,
        row.server.fenced,
        frozenset(link.name for link in cluster.service_links if link.key in failed),
    )
