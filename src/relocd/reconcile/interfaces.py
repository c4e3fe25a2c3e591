"""Which interface a service address goes on."""

from __future__ import annotations

from collections.abc import Sequence

from relocd.errors import Invalid
from relocd.model.entries import ServiceAddress
from relocd.model.host import Interface

__all__ = ["interface_for"]


def interface_for(address: ServiceAddress, wanted: str | None, interfaces: Sequence[Interface]) -> Interface:
    """The interface to raise `address` on: the `wanted` one (`relocInterface`), or the one it is on-link on.

    `wanted` is a name or an altname. Without a wish it is the interface that is up and whose own addresses give the
    most specific network around the address, the one with the lowest index among equals. Raises `Invalid` saying what
    to change when there is none.
    """
    return _named(address, wanted, interfaces) if wanted is not None else _on_link(address, interfaces)


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
