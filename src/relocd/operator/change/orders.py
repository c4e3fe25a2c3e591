"""Orders of a person or a trigger: who is meant is looked up, what to change is decided purely, and it is written.

An order looks again when somebody was faster, and begins again with the next directory when one falls silent; since it
asks for a state, that does nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from relocd.errors import Failed
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Cluster, Server
from relocd.model.writes import Done
from relocd.operator.access import Access
from relocd.operator.change import changes
from relocd.operator.change import failover as succession
from relocd.operator.change import move as transfer
from relocd.operator.change.changes import OrderPlan
from relocd.operator.change.failover import LostServer
from relocd.operator.change.preflight import Preflight, fence_preflight
from relocd.operator.directory import Directory, equals, on_directory
from relocd.operator.lookup import (
    matching,
    one,
    server_named,
    service_view_around,
    state_of,
    states,
    understood,
    viewed,
)

__all__ = [
    "Order",
    "activate",
    "carried_out",
    "carry_out",
    "failover",
    "fence",
    "link",
    "move",
    "planned",
    "unfence",
    "unlink",
]

Order = Callable[[Directory], OrderPlan]
"""What an order comes to in a directory as it is now."""

_ATTEMPTS: Final = 5


def planned(access: Access, order: Order) -> OrderPlan:
    """What an order would do now; raises `Unavailable`, `Failed`, or `Invalid` where it names nobody or several."""
    return on_directory(access, order)


def carried_out(access: Access, order: Order) -> OrderPlan:
    """Do it, and say what was done; raises as `planned`."""
    return on_directory(access, lambda directory: carry_out(directory, order))


def carry_out(directory: Directory, order: Order, before: Callable[[OrderPlan], None] = lambda _: None) -> OrderPlan:
    """Decide and write in this session; `before` gets what is about to be written. Decides again after a conflict."""
    for _ in range(_ATTEMPTS):
        move = order(directory)
        before(move)
        if all(isinstance(directory.modify(each), Done) for each in move.modifications):
            return move
    raise Failed(f"somebody else changed the same entries {_ATTEMPTS} times meanwhile; see relocd show, try again")


def move(service: str, server: str) -> Order:
    """The exclusive service runs on the server, unless something speaks against that."""

    def order(directory: Directory) -> OrderPlan:
        entry = one(directory, names.SERVER_CLASS, server)
        target = understood(entry, Server)
        view = service_view_around(directory, service, entry)
        if target.uuid not in view.servers:
            raise Failed(f"{target.dn} was changed while it was read; see relocd show, and try again")
        return transfer.move(view, target.uuid)

    return order


def link(service: str, server: str) -> Order:
    """The server is linked to the service."""
    return lambda directory: changes.link(
        server_named(directory, server), [one(directory, names.SERVICE_CLASS, service).dn]
    )


def unlink(service: str, server: str) -> Order:
    """The server is not linked to the service, which may be one that is gone or had that name before."""

    def order(directory: Directory) -> OrderPlan:
        found = server_named(directory, server)
        meant = [dn for dn in found.service_links if _is_called(dn, service)]
        return changes.unlink(found, meant[0] if len(meant) == 1 else one(directory, names.SERVICE_CLASS, service).dn)

    return order


def fence(server: str) -> Order:
    """The server is off; a warning says so where it was heard just now."""

    def order(directory: Directory) -> OrderPlan:
        lost = server_named(directory, server)
        preflight = Preflight() if lost.fenced else fence_preflight(viewed(directory, lost))
        return OrderPlan(warnings=preflight.warnings) + changes.fence(lost)

    return order


def unfence(server: str) -> Order:
    """The server is not said to be off."""
    return lambda directory: changes.unfence(server_named(directory, server))


def activate(cluster: str, server: str) -> Order:
    """The server is the active one of the cluster."""
    return lambda directory: changes.activate(
        understood(one(directory, names.CLUSTER_CLASS, cluster), Cluster), server_named(directory, server)
    )


def failover(server: str, target: str = "", *, fenced: bool = False) -> Order:
    """The target, or whoever shares it, takes over everything that the server runs."""

    def order(directory: Directory) -> OrderPlan:
        lost = server_named(directory, server)
        taker = viewed(directory, server_named(directory, target)) if target else None
        peers = () if target else _peers(directory, lost)
        return succession.failover(_loss(directory, lost, peers), taker, fenced=fenced)

    return order


def _loss(directory: Directory, lost: Server, peers: Iterable[Server]) -> LostServer:
    """What there is to take over from a server."""
    active = directory.entries(matching(names.CLUSTER_CLASS, equals(names.ACTIVE, lost.dn.text)))
    held = frozenset(each.service for each in states(directory, equals(names.HOLDER, lost.dn.text)))
    linked = sorted(lost.service_links - held, key=lambda dn: dn.key)
    known = [state for dn in linked if (state := state_of(directory, dn)) is not None]
    return LostServer(
        viewed(directory, lost),
        held=held,
        elsewhere={state.service: state.holder.name for state in known if state.holder is not None},
        clusters=tuple(understood(each, Cluster) for each in active),
        peers=tuple(viewed(directory, each) for each in peers),
    )


def _peers(directory: Directory, lost: Server) -> list[Server]:
    """The other servers that have a link in common with one; the rest need not be read."""
    links = [equals(names.CLUSTER_LINK, dn.text) for dn in lost.cluster_links]
    links += [equals(names.SERVICE_LINK, dn.text) for dn in lost.service_links]
    found = directory.entries(matching(names.SERVER_CLASS, f"(|{''.join(links)})")) if links else ()
    return [understood(each, Server) for each in found if each.uuid != lost.uuid]


def _is_called(dn: DN, text: str) -> bool:
    return dn == DN.parse(text) if "=" in text else dn.name.casefold() == text.casefold()
