"""What an order of a person or a trigger changes in the directory: entries in, modifications out. Pure.

A trigger only ever adds a link, names the active server of a cluster, or says that a server is fenced; the agents do
the rest. Each order asks for a state, so what is so already needs no modification.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from relocd.errors import Invalid
from relocd.model.dn import DN
from relocd.model.entries import Cluster, Server
from relocd.model.writes import Add, Delete, Modification, Replace

__all__ = ["Move", "activate", "failover", "fence", "link", "successor", "unfence", "unlink"]

_LINK: Final = "relocServiceLink"


@dataclass(frozen=True, slots=True)
class Move:
    """The modifications in their order, and sentences: what they do, what is so already, what cannot be done."""

    modifications: tuple[Modification, ...] = ()
    done: tuple[str, ...] = ()
    already: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def __add__(self, other: Move) -> Move:
        """Both, in this order."""
        return Move(
            self.modifications + other.modifications,
            self.done + other.done,
            self.already + other.already,
            self.problems + other.problems,
        )


def link(server: Server, services: Iterable[DN]) -> Move:
    """The server is linked to the services: one modify for all that are missing."""
    wished = sorted(set(services), key=lambda dn: dn.key)
    missing = [dn for dn in wished if dn not in server.service_links]
    already = tuple(f"{server.name} is already linked to {dn.name}" for dn in wished if dn in server.service_links)
    if not missing:
        return Move(already=already)
    done = tuple(f"{server.name} is linked to {dn.name}" for dn in missing)
    return Move((Modification(server.dn, (Add(_LINK, _values(missing)),)),), done, already)


def unlink(server: Server, service: DN) -> Move:
    """The server's own link to the service is gone; a link through a cluster is not touched."""
    written = [dn for dn in server.service_links if dn == service]
    if not written:
        return Move(already=(f"{server.name} is not linked to {service.name}",))
    done = (f"{server.name} is no longer linked to {service.name}",)
    return Move((Modification(server.dn, (Delete(_LINK, _values(written)),)),), done)


def fence(server: Server) -> Move:
    """The directory says that the server is off: others need not wait for its silence."""
    if server.fenced:
        return Move(already=(f"{server.name} is already fenced",))
    return Move((Modification(server.dn, (Replace("relocFenced", (b"TRUE",)),)),), (f"{server.name} is fenced",))


def unfence(server: Server) -> Move:
    """The directory no longer says that the server is off."""
    if not server.fenced:
        return Move(already=(f"{server.name} is not fenced",))
    return Move((Modification(server.dn, (Replace("relocFenced"),)),), (f"{server.name} is no longer fenced",))


def activate(cluster: Cluster, server: Server) -> Move:
    """The server is the active one of the cluster; raises `Invalid` where it is no member."""
    if cluster.dn not in server.cluster_links:
        raise Invalid(f"{server.dn} is no member of {cluster.dn}; add that as relocClusterLink of the server first")
    if cluster.active == server.dn:
        return Move(already=(f"{server.name} is already active in {cluster.name}",))
    change = Replace("relocActive", _values([server.dn]))
    return Move((Modification(cluster.dn, (change,)),), (f"{server.name} is active in {cluster.name}",))


def failover(lost: Server, target: Server, clusters: Iterable[Cluster], *, fenced: bool) -> Move:
    """Everything that the lost server is chosen for, the target is chosen for too; nothing is taken from the lost one.

    `clusters` are those in which the lost one is active. One that the target is no member of becomes a problem, and
    the rest goes on. With `fenced` the lost one is fenced before anything else.
    """
    if lost.dn == target.dn:
        raise Invalid(f"{lost.dn} cannot take over from itself; name another server by --to")
    first = fence(lost) if fenced else Move()
    moved = link(target, lost.service_links)
    for cluster in sorted(clusters, key=lambda cluster: cluster.dn.key):
        try:
            moved += activate(cluster, target)
        except Invalid as error:
            moved += Move(problems=(str(error),))
    if moved == Move():
        moved = Move(already=(f"{lost.name} is chosen for nothing",))
    return first + moved


def successor(lost: Server, servers: Iterable[Server]) -> Server:
    """The only other server, not fenced, that shares a cluster or a service with the lost one; else `Invalid`."""
    peers = [server for server in servers if server.dn != lost.dn and not server.fenced and _share(server, lost)]
    if len(peers) == 1:
        return peers[0]
    found = ", ".join(sorted(str(peer.dn) for peer in peers)) or "no other server that is not fenced"
    raise Invalid(f"who takes over from {lost.dn}? {found} shares a cluster or a service with it; say which by --to")


def _share(one: Server, other: Server) -> bool:
    return bool(one.cluster_links & other.cluster_links or one.service_links & other.service_links)


def _values(names: Iterable[DN]) -> tuple[bytes, ...]:
    return tuple(dn.text.encode() for dn in names)
