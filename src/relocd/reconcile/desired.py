"""What a plan compares, for one goal: what should be on this server, what relocd has done there, and what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from relocd.model.entries import ServiceAddress
from relocd.model.host import FileState, NewFile, UnitState
from relocd.model.template_set import Command, First, Role, UnitAction

__all__ = ["Desired", "DesiredUnit", "Footprint", "Observed", "Placed"]


@dataclass(frozen=True, slots=True)
class Placed:
    """An address and the name of the interface it belongs on."""

    interface: str
    address: ServiceAddress

    def __str__(self) -> str:
        return f"{self.address} on {self.interface}"


@dataclass(frozen=True, slots=True)
class DesiredUnit:
    """A unit, and what is done to it on entering the role, when files have changed, and when the service leaves.

    An `early` unit is started before the addresses are raised, and stopped after they are dropped.
    """

    name: str
    enter: UnitAction
    change: UnitAction
    removed: UnitAction
    early: bool = False


@dataclass(frozen=True, slots=True)
class Desired:
    """What should be here for one goal.

    `files` is None when they could not be rendered: those that are installed stay. With `probe` an address is raised
    only when no other host answers for it.
    """

    role: Role
    files: tuple[NewFile, ...] | None = ()
    addresses: tuple[Placed, ...] = ()
    units: tuple[DesiredUnit, ...] = ()
    commands: tuple[Command, ...] = ()
    first: First = First.UNITS
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Footprint:
    """What relocd has done here for one goal, as the ledger keeps it: enough to leave without entry or templates.

    `role` is the last that was reached completely. `files` are the targets that may be installed. `applied` are the
    digests of the content that the units have been started or reloaded with. With `owes_change` a command of the last
    change has failed and must be run again.
    """

    name: str
    role: Role | None = None
    files: frozenset[str] = frozenset()
    applied: Mapping[str, str] = field(default_factory=dict)
    addresses: frozenset[Placed] = frozenset()
    units: tuple[DesiredUnit, ...] = ()
    first: First = First.UNITS
    owes_change: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """What is here now: files at the targets that matter, addresses that relocd has raised, states of units.

    A unit is missing in `units` when its manager did not answer.
    """

    files: Mapping[str, FileState | None] = field(default_factory=dict)
    addresses: frozenset[Placed] = frozenset()
    units: Mapping[str, UnitState] = field(default_factory=dict)
