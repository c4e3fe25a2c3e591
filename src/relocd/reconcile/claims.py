"""What only one service of a server can have: an address, a file, a unit that it starts and stops. Pure.

An address is claimed by its IP, whatever its prefix length. A unit that services only reload or restart is shared: for
example one daemon with a file from each of them.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import replace

from relocd.model.template_set import UnitAction
from relocd.reconcile.desired import Desired, DesiredUnit, Footprint, Placed
from relocd.reconcile.spec import Spec

__all__ = ["Claim", "claims_of_footprint", "claims_of_spec", "desired_without", "footprint_without"]

Claim = tuple[str, str]
"""A kind and a name: `("address", "192.0.2.10")`."""


def claims_of_spec(spec: Spec) -> frozenset[Claim]:
    """What a goal is going to have here."""
    return frozenset(_claims(spec.desired.addresses, (file.spec.target for file in spec.files), spec.desired.units))


def claims_of_footprint(footprint: Footprint) -> frozenset[Claim]:
    """What a goal has here, or may have."""
    return frozenset(_claims(footprint.addresses, footprint.files, footprint.units))


def footprint_without(footprint: Footprint, claims: Container[Claim]) -> Footprint:
    """A footprint without what other services claim."""
    return replace(
        footprint,
        files=frozenset(target for target in footprint.files if ("file", target) not in claims),
        applied={target: digest for target, digest in footprint.applied.items() if ("file", target) not in claims},
        addresses=frozenset(placed for placed in footprint.addresses if _address(placed) not in claims),
        units=tuple(unit for unit in footprint.units if ("unit", unit.name) not in claims),
    )


def desired_without(desired: Desired, claims: Container[Claim]) -> Desired:
    """What is desired without what other services claim: a standby service touches nothing of an active one."""
    files = desired.files
    return replace(
        desired,
        files=None if files is None else tuple(file for file in files if ("file", file.target) not in claims),
        addresses=tuple(placed for placed in desired.addresses if _address(placed) not in claims),
        units=tuple(unit for unit in desired.units if ("unit", unit.name) not in claims),
    )


def _claims(addresses: Iterable[Placed], targets: Iterable[str], units: Iterable[DesiredUnit]) -> Iterable[Claim]:
    yield from map(_address, addresses)
    yield from (("file", target) for target in targets)
    yield from (("unit", unit.name) for unit in units if _is_exclusive(unit))


def _address(placed: Placed) -> Claim:
    return "address", str(placed.address.ip)


def _is_exclusive(unit: DesiredUnit) -> bool:
    return unit.enter in {UnitAction.START, UnitAction.STOP} or unit.removed is UnitAction.STOP
