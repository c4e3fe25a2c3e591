"""Orders of a person or a trigger: find the entries, decide by pure functions, and write, in one session.

An order is decided again when another client was faster, and starts again with the next directory when one stops
answering. Orders are idempotent, so nothing is done twice.
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
"""Decides an order by the directory as it is now."""

_ATTEMPTS: Final = 5


def planned(access: Access, order: Order) -> OrderPlan:
    """What an order would do now; raises `Unavailable`, `Failed`, or `Invalid` for a name of no entry or several."""
    return on_directory(access, order)


def carried_out(access: Access, order: Order) -> OrderPlan:
    """Carry out an order and return what was done; raises as `planned`."""
    return on_directory(access, lambda directory: carry_out(directory, order))


def carry_out(directory: Directory, order: Order, before: Callable[[OrderPlan], None] = lambda _: None) -> OrderPlan:
    """Decide and write in this session; `before` gets what is about to be written. Decides again after a conflict."""
    for _ in range(_ATTEMPTS):
        move = order(directory)
        before(move)
        if all(isinstance(directory.modify(each), Done) for each in move.modifications):
            return move
    raise Failed(f"another client changed the same entries {_ATTEMPTS} times; see relocd show, and try again")


def move(service: str, server: str) -> Order:
    """Move the exclusive service to the server, unless the pre-flight check refuses it."""

    def order(directory: Directory) -> OrderPlan:
        entry = one(directory, names.SERVER_CLASS, server)
        target = understood(entry, Server)
        view = service_view_around(directory, service, entry)
        if target.uuid not in view.servers:
            raise Failed(f"{target.dn} was changed while it was read; see relocd show, and try again")
        return changes.move(view, target.uuid)

    return order


def link(service: str, server: str) -> Order:
    """Link the server to the service."""
    return lambda directory: changes.link(
        server_named(directory, server), [one(directory, names.SERVICE_CLASS, service).dn]
    )


def unlink(service: str, server: str) -> Order:
    """Remove the server's link to the service, also to one that was deleted or renamed."""

    def order(directory: Directory) -> OrderPlan:
        found = server_named(directory, server)
        meant = [dn for dn in found.service_links if _is_called(dn, service)]
        return changes.unlink(found, meant[0] if len(meant) == 1 else one(directory, names.SERVICE_CLASS, service).dn)

    return order


def fence(server: str) -> Order:
    """Fence the server, with a warning where it was heard just now."""

    def order(directory: Directory) -> OrderPlan:
        lost = server_named(directory, server)
        preflight = Preflight() if lost.fenced else fence_preflight(viewed(directory, lost))
        return OrderPlan(warnings=preflight.warnings) + changes.fence(lost)

    return order


def unfence(server: str) -> Order:
    """Clear the server's fence."""
    return lambda directory: changes.unfence(server_named(directory, server))


def activate(cluster: str, server: str) -> Order:
    """Make the server the active one of the cluster."""
    return lambda directory: changes.activate(
        understood(one(directory, names.CLUSTER_CLASS, cluster), Cluster), server_named(directory, server)
    )


def failover(server: str, target: str = "", *, fenced: bool = False) -> Order:
    """Let the target, or the servers that share its services, take over everything that the server runs."""

    def order(directory: Directory) -> OrderPlan:
        lost = server_named(directory, server)
        taker = viewed(directory, server_named(directory, target)) if target else None
        peers = () if target else _peers(directory, lost)
        return succession.failover(_loss(directory, lost, peers), taker, fenced=fenced)

    return order


def _loss(directory: Directory, lost: Server, peers: Iterable[Server]) -> LostServer:
    """The server with everything that there is to take over from it."""
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
    """The other servers that have a link in common with this one; the rest need not be read."""
    links = [equals(names.CLUSTER_LINK, dn.text) for dn in lost.cluster_links]
    links += [equals(names.SERVICE_LINK, dn.text) for dn in lost.service_links]
    found = directory.entries(matching(names.SERVER_CLASS, f"(|{''.join(links)})")) if links else ()
    return [understood(each, Server) for each in found if each.uuid != lost.uuid]


def _is_called(dn: DN, text: str) -> bool:
    return dn == DN.parse(text) if "=" in text else dn.name.casefold() == text.casefold()
