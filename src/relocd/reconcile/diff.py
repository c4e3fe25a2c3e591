"""The smallest ordered change from what is here to what should be, as actions. Pure.

Entering the active role: files, early units, address, other units, announcement. Leaving it: units, address (or the
address first where the manifest says so), early units, files. The plan is empty where all is as it should be. Every
plan starts from what is observed and from the footprint, so the next plan continues one that failed or was cut short.

`relocd.agent.convergence.execution` carries out the actions, which are values, in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from relocd.model.host import NewFile, UnitState
from relocd.model.template_set import Command, First, Moment, Role, UnitAction
from relocd.reconcile.desired import Desired, DesiredUnit, Footprint, Observed, Placed

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
    "STOPPED",
    "actions",
    "after",
    "before",
    "foreign",
    "leaving",
]

_RUNNING = frozenset({UnitState.ACTIVE, UnitState.ACTIVATING})
STOPPED = frozenset({UnitState.INACTIVE, UnitState.FAILED, UnitState.UNKNOWN})
"""The states of a unit in which nothing of it runs."""


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


def actions(desired: Desired, observed: Observed, footprint: Footprint) -> tuple[Action, ...]:
    """The actions that bring a service to its desired role."""
    gone = [unit for unit in footprint.units if unit.name not in {unit.name for unit in desired.units}]
    surplus = _placed_sorted((footprint.addresses & observed.addresses) - set(desired.addresses))
    stopping = [unit for unit in _to_stop(desired, gone) if _may_run(unit.name, observed)]
    found: list[Action] = [*_ordered(desired.first, stopping, surplus)]
    found += _file_actions(desired, observed, footprint)
    found += _raising(desired, observed, _unit_actions(desired, observed, footprint))
    found += [UseUnit(unit.name, unit.removed) for unit in gone if unit.removed in _REFRESHING]
    found += _commands(desired, footprint)
    if (
        desired.role is Role.ACTIVE
        and desired.addresses
        and (_entering(desired, footprint) or _missing(desired, observed))
    ):
        found.append(Announce(desired.addresses))
    return tuple(found)


def leaving(observed: Observed, footprint: Footprint) -> tuple[Action, ...]:
    """The actions that remove a service from this server."""
    running = [unit for unit in reversed(footprint.units) if _may_run(unit.name, observed)]
    stopping = [unit for unit in running if unit.removed is UnitAction.STOP]
    dropping = _placed_sorted(footprint.addresses & observed.addresses)
    present = [target for target in sorted(footprint.files) if observed.files.get(target) is not None]
    return (
        *_ordered(footprint.first, stopping, dropping),
        *(RemoveFile(target) for target in present),
        *(UseUnit(unit.name, unit.removed) for unit in footprint.units if unit.removed in _REFRESHING),
    )


def foreign(desired: Desired, observed: Observed, footprint: Footprint) -> frozenset[str]:
    """The targets with a file that relocd did not write and is about to replace."""
    there = {file.target: observed.files.get(file.target) for file in desired.files or ()}
    other = {
        file.target for file in desired.files or () if (found := there[file.target]) and found.digest != file.digest
    }
    return frozenset(other - footprint.files)


def before(desired: Desired, targets: Iterable[str], footprint: Footprint) -> Footprint:
    """The footprint to keep before acting: everything that the actions may leave behind if they are cut short.

    `targets` are those of new files without the foreign ones, which are not removed with the service.
    """
    units = {unit.name: unit for unit in (*footprint.units, *desired.units)}
    same = footprint.role is desired.role
    return Footprint(
        name=footprint.name,
        role=footprint.role if same else None,
        files=footprint.files.union(targets),
        applied=footprint.applied,
        addresses=footprint.addresses.union(desired.addresses),
        units=tuple(units.values()),
        first=desired.first,
        owes_change=same and footprint.owes_change,
    )


def after(desired: Desired, footprint: Footprint) -> Footprint:
    """The footprint to keep after every action has succeeded."""
    files = desired.files
    return Footprint(
        name=footprint.name,
        role=desired.role,
        files=footprint.files if files is None else frozenset(file.target for file in files),
        applied=footprint.applied if files is None else {file.target: file.digest for file in files},
        addresses=frozenset(desired.addresses),
        units=desired.units,
        first=desired.first,
        owes_change=files is None and footprint.owes_change,
    )


_REFRESHING = frozenset({UnitAction.RELOAD, UnitAction.RESTART})


def _entering(desired: Desired, footprint: Footprint) -> bool:
    return footprint.role is not desired.role


def _changed(desired: Desired, footprint: Footprint) -> bool:
    """Whether the files differ from those that the units were last started or reloaded with."""
    return desired.files is not None and {file.target: file.digest for file in desired.files} != footprint.applied


def _ordered(first: First, units: Iterable[DesiredUnit], addresses: Iterable[Placed]) -> list[Action]:
    """Units stopped and addresses dropped in their order; early units last, whatever goes first of the others."""
    dropping: list[Action] = [DropAddress(placed) for placed in addresses]
    early: list[Action] = []
    others: list[Action] = []
    for unit in units:
        (early if unit.early else others).append(UseUnit(unit.name, UnitAction.STOP))
    return [*others, *dropping, *early] if first is First.UNITS else [*dropping, *others, *early]


def _to_stop(desired: Desired, gone: Iterable[DesiredUnit]) -> Iterator[DesiredUnit]:
    yield from (unit for unit in gone if unit.removed is UnitAction.STOP)
    yield from (unit for unit in reversed(desired.units) if unit.enter is UnitAction.STOP)


def _runs(name: str, observed: Observed) -> bool:
    return observed.units.get(name) in _RUNNING


def _may_run(name: str, observed: Observed) -> bool:
    """Whether a unit has to be stopped: also one that is stopping, and one whose state is not known."""
    return observed.units.get(name) not in STOPPED


def _file_actions(desired: Desired, observed: Observed, footprint: Footprint) -> Iterator[Action]:
    if desired.files is None:
        return
    new = tuple(file for file in desired.files if not _as_wanted(file, observed))
    for target in sorted(foreign(desired, observed, footprint)):
        yield KeepFile(target)
    if new:
        yield InstallFiles(new)
    for target in sorted(footprint.files - {file.target for file in desired.files}):
        if observed.files.get(target) is not None:
            yield RemoveFile(target)


def _as_wanted(file: NewFile, observed: Observed) -> bool:
    state = observed.files.get(file.target)
    return state is not None and (state.digest, state.owner, state.group, state.mode) == (
        file.digest,
        file.owner,
        file.group,
        file.mode,
    )


def _raising(desired: Desired, observed: Observed, units: Iterable[UseUnit]) -> Iterator[Action]:
    """Early units, addresses, the other units; before all of these the probe for another host with the addresses."""
    missing, using = _missing(desired, observed), list(units)
    early = {unit.name for unit in desired.units if unit.early}
    if missing and desired.probe:
        yield ProbeAddresses(missing)
    yield from (action for action in using if action.name in early)
    for placed in missing:
        yield AddAddress(placed)
    yield from (action for action in using if action.name not in early)


def _missing(desired: Desired, observed: Observed) -> tuple[Placed, ...]:
    return tuple(placed for placed in desired.addresses if placed not in observed.addresses)


def _unit_actions(desired: Desired, observed: Observed, footprint: Footprint) -> Iterator[UseUnit]:
    entering, changed = _entering(desired, footprint), _changed(desired, footprint)
    for unit in desired.units:
        running = _runs(unit.name, observed)
        if unit.enter is UnitAction.START and not running:
            yield UseUnit(unit.name, UnitAction.START)
        elif unit.enter in _REFRESHING and entering and (changed or not desired.files):
            yield UseUnit(unit.name, unit.enter)
        elif changed and running and unit.enter is not UnitAction.STOP and unit.change in _REFRESHING:
            yield UseUnit(unit.name, unit.change)


def _commands(desired: Desired, footprint: Footprint) -> Iterator[Action]:
    moment = Moment.ACTIVATE if desired.role is Role.ACTIVE else Moment.STANDBY
    if not _entering(desired, footprint):
        if not (_changed(desired, footprint) or footprint.owes_change):
            return
        moment = Moment.CHANGE
    for command in desired.commands:
        if command.when is moment:
            yield RunCommand(command)


def _placed_sorted(places: Iterable[Placed]) -> list[Placed]:
    return sorted(places, key=lambda placed: (placed.address.version, placed.address, placed.interface))
