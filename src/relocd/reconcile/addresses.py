"""The addresses of a service on this host: on which interface each belongs, and which are here already. Pure.

The same IP counts with any prefix length, on any interface, whatever raised it: a host answers for all of them. relocd
never touches an address that it has not raised. So a service whose address is here twice, or was raised by something
else, cannot be handed over: two servers would answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from relocd.errors import Invalid
from relocd.model.entries import ServiceAddress
from relocd.model.host import HeldAddress, Interface

__all__ = ["in_the_way", "interface_for", "kept_here", "not_ours"]


def interface_for(address: ServiceAddress, wanted: str | None, interfaces: Sequence[Interface]) -> Interface:
    """The interface to raise `address` on: the `wanted` one (`relocInterface`), or the one it is on-link on.

    `wanted` is a name or an altname. With None it is the interface that is up and whose own addresses give the
    most specific network around the address, the one with the lowest index among equals. Raises `Invalid` saying what
    to change when there is none.
    """
    return _named(address, wanted, interfaces) if wanted is not None else _on_link(address, interfaces)


def not_ours(copies: Iterable[HeldAddress]) -> tuple[HeldAddress, ...]:
    """Those of the copies of addresses on this host that relocd has not raised."""
    return tuple(each for each in copies if not each.ours)


def in_the_way(found: Iterable[HeldAddress]) -> tuple[str, ...]:
    """Why the service of these foreign copies cannot be raised here, and what to do."""
    return tuple(f"{_where(each)}, so the service cannot have it here; {_removal(each)}" for each in found)


def kept_here(found: Iterable[HeldAddress]) -> tuple[str, ...]:
    """Why the service of these copies cannot be left to another server, and what to do."""
    return tuple(f"{_where(each)}, so no other server may have it; {_removal(each)}" for each in found)


def _named(address: ServiceAddress, wanted: str, interfaces: Sequence[Interface]) -> Interface:
    found = next((interface for interface in interfaces if interface.is_called(wanted)), None)
    if found is None:
        there = ", ".join(interface.name for interface in interfaces) or "none"
        raise Invalid(f"{address}: there is no interface {wanted} here ({there}); correct relocInterface")
    if not found.up:
        raise Invalid(f"{address}: interface {wanted} is down or has no carrier; bring it up, check its cable")
    return found


def _on_link(address: ServiceAddress, interfaces: Sequence[Interface]) -> Interface:
    fitting = [interface for interface in interfaces if _prefix_around(address, interface) is not None]
    usable = [interface for interface in fitting if interface.up]
    if usable:
        return min(usable, key=lambda interface: (-(_prefix_around(address, interface) or 0), interface.index))
    if fitting:
        name = fitting[0].name
        raise Invalid(f"{address}: interface {name}, in whose network it is, is down or has no carrier; bring it up")
    raise Invalid(f"{address}: no interface here has an address in its network; name one with relocInterface")


def _prefix_around(address: ServiceAddress, interface: Interface) -> int | None:
    """The length of the interface's most specific network that holds the address; None when none does."""
    return max((own.network.prefixlen for own in interface.addresses if address.ip in own.network), default=None)


def _where(found: HeldAddress) -> str:
    whose = "is still there" if found.ours else "is there and relocd has not raised it"
    return f"{found.address} on {found.interface} {whose}"


def _removal(found: HeldAddress) -> str:
    return f"remove it (ip address del {found.address} dev {found.interface}) and from where it is configured"
