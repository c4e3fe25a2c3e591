"""Orders of a person or a trigger: who is meant is looked up, what to change is decided purely, and it is written.

An order looks again when somebody was faster, and begins again with the next directory when one falls silent; since it
asks for a state, that does nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from relocd.errors import Failed, Invalid
from relocd.model.dn import DN
from relocd.model.entries import Cluster, Entry, Server
from relocd.model.parse import parsed
from relocd.model.writes import Done
from relocd.operator import moves
from relocd.operator.access import Access
from relocd.operator.directory import Directory, equals, on_directory
from relocd.operator.moves import Move

__all__ = ["Order", "activate", "carried_out", "failover", "fence", "link", "planned", "unfence", "unlink"]

Order = Callable[[Directory], Move]
"""What an order comes to in a directory as it is now."""

_T = TypeVar("_T", Server, Cluster)
_SERVER: Final = "relocServer"
_CLUSTER: Final = "relocCluster"
_SERVICE: Final = "relocService"
_ATTEMPTS: Final = 5


def planned(access: Access, order: Order) -> Move:
    """What an order would do now; raises `Unavailable`, `Failed`, or `Invalid` where it names nobody or several."""
    return on_directory(access, order)


def carried_out(access: Access, order: Order) -> Move:
    """Do it, and say what was done; raises as `planned`."""
    return on_directory(access, lambda directory: _written(directory, order))


def _written(directory: Directory, order: Order) -> Move:
    for _ in range(_ATTEMPTS):
        move = order(directory)
        if all(isinstance(directory.modify(each), Done) for each in move.modifications):
            return move
    raise Failed(f"somebody else changed the same entries {_ATTEMPTS} times meanwhile; see relocd show, try again")


def link(service: str, server: str) -> Order:
    """The server is linked to the service."""
    return lambda directory: moves.link(_server(directory, server), [_one(directory, _SERVICE, service).dn])


def unlink(service: str, server: str) -> Order:
    """The server is not linked to the service, which may be one that is gone or had that name before."""

    def order(directory: Directory) -> Move:
        found = _server(directory, server)
        meant = [dn for dn in found.service_links if _is_called(dn, service)]
        return moves.unlink(found, meant[0] if len(meant) == 1 else _one(directory, _SERVICE, service).dn)

    return order


def fence(server: str) -> Order:
    """The server is off."""
    return lambda directory: moves.fence(_server(directory, server))


def unfence(server: str) -> Order:
    """The server is not said to be off."""
    return lambda directory: moves.unfence(_server(directory, server))


def activate(cluster: str, server: str) -> Order:
    """The server is the active one of the cluster."""
    return lambda directory: moves.activate(
        _value(_one(directory, _CLUSTER, cluster), Cluster), _server(directory, server)
    )


def failover(server: str, target: str = "", *, fenced: bool = False) -> Order:
    """The target, or the only server that can, takes over everything that the server is chosen for."""

    def order(directory: Directory) -> Move:
        lost = _server(directory, server)
        taker = _server(directory, target) if target else moves.successor(lost, _peers(directory, lost))
        active = directory.entries(_all(_CLUSTER, equals("relocActive", lost.dn.text)))
        return moves.failover(lost, taker, [_value(each, Cluster) for each in active], fenced=fenced)

    return order


def _peers(directory: Directory, lost: Server) -> list[Server]:
    """The servers that have a link in common with one; others need not be read."""
    links = [equals("relocClusterLink", dn.text) for dn in lost.cluster_links]
    links += [equals("relocServiceLink", dn.text) for dn in lost.service_links]
    found = directory.entries(_all(_SERVER, f"(|{''.join(links)})")) if links else ()
    return [_value(each, Server) for each in found]


def _server(directory: Directory, text: str) -> Server:
    return _value(_one(directory, _SERVER, text), Server)


def _one(directory: Directory, kind: str, text: str) -> Entry:
    """The one entry of a class that a name or a DN means; raises `Invalid` for none, and for several with their DNs."""
    found = _found(directory, kind, text)
    if len(found) == 1:
        return found[0]
    if not found:
        raise Invalid(f"there is no {kind} {text!r} below {directory.base}, or this identity may not read it")
    raise Invalid(f"{text!r} is the name of several: {_listed(found)}; give the DN of the one you mean")


def _found(directory: Directory, kind: str, text: str) -> tuple[Entry, ...]:
    if "=" not in text:
        return directory.entries(_all(kind, equals("cn", text)))
    dn = DN.parse(text)
    found = directory.named(dn, _all(kind)) if dn.is_within(directory.base) else None
    return (found,) if found else ()


def _is_called(dn: DN, text: str) -> bool:
    return dn == DN.parse(text) if "=" in text else dn.name.casefold() == text.casefold()


def _value(entry: Entry, kind: type[_T]) -> _T:
    value, problems = parsed(entry)
    if not isinstance(value, kind):
        raise Invalid("; ".join(map(str, problems)) or f"{entry.dn} needs one class of relocd, and has another")
    return value


def _all(kind: str, *more: str) -> str:
    return f"(&(objectClass={kind}){''.join(more)})"


def _listed(entries: Iterable[Entry]) -> str:
    return ", ".join(sorted(str(entry.dn) for entry in entries))
