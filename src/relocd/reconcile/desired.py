"""The two sides that a plan compares: what shall be on this server for one goal, and what is."""

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
    """A unit and what is done to it on entering the role, when files changed, and when the service leaves.

    An `early` one encloses the addresses: it is started before they are raised and stopped after they are dropped.
    """

    name: str
    enter: UnitAction
    change: UnitAction
    removed: UnitAction
    early: bool = False


@dataclass(frozen=True, slots=True)
class Desired:
    """What shall be here for one goal.

    `files` is None when they could not be prepared: those that are installed stay. With `probe` an address is only
    raised when nobody on the wire has it.
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

    `role` is the last that was reached completely. `files` are the targets that may be installed; `applied` are the
    digests of the content that the units have been started or reloaded with; with `owes_change` a command of that
    change has failed, and is to be run again.
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
    """What is here now: the files at the targets of interest, the addresses that are ours, the units asked for.

    A unit is missing in `units` when its manager did not answer.
    """

    files: Mapping[str, FileState | None] = field(default_factory=dict)
    addresses: frozenset[Placed] = frozenset()
    units: Mapping[str, UnitState] = field(default_factory=dict)
