"""Where the addresses of a service are on this host, and whose they are, pure.

The same IP counts with any prefix length, on any interface, whoever raised it: a host answers for all of them. What
relocd has not raised it never touches. So a service whose address is here twice, or not from relocd, cannot be handed
over: two servers would answer.
"""

from __future__ import annotations

from collections.abc import Iterable

from relocd.model.entries import ServiceAddress
from relocd.model.host import HeldAddress

__all__ = ["copies", "foreign_copies", "in_the_way", "kept_here"]


def copies(addresses: Iterable[ServiceAddress], held: Iterable[HeldAddress]) -> tuple[HeldAddress, ...]:
    """Every address of this host with the IP of one of these."""
    wanted = {each.packed for each in addresses}  # the IP alone, and cheaper than `ip`: this is asked all the time
    return tuple(each for each in held if each.address.packed in wanted)


def foreign_copies(addresses: Iterable[ServiceAddress], held: Iterable[HeldAddress]) -> tuple[HeldAddress, ...]:
    """Those of them that relocd has not raised."""
    return tuple(each for each in copies(addresses, held) if not each.ours)


def in_the_way(found: Iterable[HeldAddress]) -> tuple[str, ...]:
    """Why the service of these foreign copies cannot be raised here, and what to do."""
    return tuple(f"{_where(each)}, so the service cannot have it here; {_removal(each)}" for each in found)


def kept_here(found: Iterable[HeldAddress]) -> tuple[str, ...]:
    """Why the service of these copies cannot be left to another server, and what to do."""
    return tuple(f"{_where(each)}, so no other server may have it; {_removal(each)}" for each in found)


def _where(found: HeldAddress) -> str:
    whose = "is still there" if found.ours else "is there and relocd has not raised it"
    return f"{found.address} on {found.interface} {whose}"


def _removal(found: HeldAddress) -> str:
    return f"remove it (ip address del {found.address} dev {found.interface}) and from where it is configured"
