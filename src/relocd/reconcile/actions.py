"""The actions of a plan, as values; `relocd.agent.convergence.execution` carries them out in order."""

from __future__ import annotations

from dataclasses import dataclass

from relocd.model.host import NewFile
from relocd.model.template_set import Command, UnitAction
from relocd.reconcile.desired import Placed

__all__ = [
    "Action",
    "AddAddress",
    "Announce",
    "DropAddress",
    "InstallFiles",
    "KeepFile",
    "ProbeAddresses",
    "RemoveFile",
    "RunCommand",
    "UseUnit",
]


@dataclass(frozen=True, slots=True)
class InstallFiles:
    """Write all of them beside their targets, check them, and rename all, or none."""

    files: tuple[NewFile, ...]

    def __str__(self) -> str:
        return "install " + ", ".join(file.target for file in self.files)


@dataclass(frozen=True, slots=True)
class KeepFile:
    """Give a file that relocd did not write a second name before it is replaced."""

    target: str

    def __str__(self) -> str:
        return f"keep what is at {self.target} as {self.target}.relocd-orig"


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """Remove a file that no longer belongs here."""

    target: str

    def __str__(self) -> str:
        return f"remove {self.target}"


@dataclass(frozen=True, slots=True)
class ProbeAddresses:
    """Make sure that no other host answers for these addresses."""

    addresses: tuple[Placed, ...]

    def __str__(self) -> str:
        return "probe " + ", ".join(str(placed) for placed in self.addresses)


@dataclass(frozen=True, slots=True)
class AddAddress:
    """Raise an address."""

    placed: Placed

    def __str__(self) -> str:
        return f"raise {self.placed}"


@dataclass(frozen=True, slots=True)
class DropAddress:
    """Drop an address that relocd has raised."""

    placed: Placed

    def __str__(self) -> str:
        return f"drop {self.placed}"


@dataclass(frozen=True, slots=True)
class UseUnit:
    """Start, stop, reload or restart a unit."""

    name: str
    action: UnitAction

    def __str__(self) -> str:
        return f"{self.action} {self.name}"


@dataclass(frozen=True, slots=True)
class RunCommand:
    """Run a command of a template set."""

    command: Command

    def __str__(self) -> str:
        return f"run {' '.join(self.command.run)}"


@dataclass(frozen=True, slots=True)
class Announce:
    """Announce to the neighbours (ARP, neighbour discovery) that the addresses are here."""

    addresses: tuple[Placed, ...]

    def __str__(self) -> str:
        return "announce " + ", ".join(str(placed) for placed in self.addresses)


Action = (
    InstallFiles | KeepFile | RemoveFile | ProbeAddresses | AddAddress | DropAddress | UseUnit | RunCommand | Announce
)
