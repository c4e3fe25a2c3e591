"""What a goal takes before anything is rendered: files by source and target, placed addresses, units; all guarded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TypeVar

from relocd.errors import Invalid
from relocd.model.entries import ServiceAddress
from relocd.model.host import Interface, NewFile
from relocd.model.template_set import FileSpec, First, Role, TemplateSet, UnitAction, UnitSpec
from relocd.reconcile.desired import Desired, DesiredUnit, Footprint, Placed
from relocd.reconcile.expand import expanded
from relocd.reconcile.goals import Goal
from relocd.reconcile.guards import Guards
from relocd.reconcile.interfaces import interface_for

__all__ = ["Spec", "PlannedFile", "desired", "fallback", "outline", "rendered_file"]

_T = TypeVar("_T")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file to render, and the set whose template it is."""

    template_set: TemplateSet
    spec: FileSpec


@dataclass(frozen=True, slots=True)
class Spec:
    """Everything of a goal but the content of its files, and what stands against it."""

    files: tuple[PlannedFile, ...]
    rest: Desired
    problems: tuple[str, ...]


def outline(goal: Goal, sets: Sequence[TemplateSet], guards: Guards, interfaces: Sequence[Interface]) -> Spec:
    """The outline of a goal; whatever the guards refuse or does not fit becomes a problem."""
    problems: list[str] = []

    def kept(convert: Callable[[_V], _T], values: Iterable[_V]) -> tuple[_T, ...]:
        return tuple(_kept(convert, values, problems))

    named = kept(lambda each: expanded(each, goal.name), sets)
    acting = () if goal.files_only else named
    wanted = goal.addresses if goal.role is Role.ACTIVE and not goal.files_only else ()
    rest = Desired(
        role=goal.role,
        addresses=kept(lambda address: _placed(goal, address, guards, interfaces), wanted),
        units=_early_first(kept(lambda spec: _unit(goal, spec, guards), (spec for s in acting for spec in s.units))),
        commands=tuple(command for each in acting for command in each.commands),
        first=First.ADDRESSES if any(each.first is First.ADDRESSES for each in sets) else First.UNITS,
        probe=goal.probe,
    )
    files = kept(lambda found: _file(*found, guards), _specs(goal, named))
    problems += _twice([file.spec.target for file in files]) + _twice([unit.name for unit in rest.units])
    return Spec(files, rest, tuple(problems))


def rendered_file(file: PlannedFile, text: str, *, secret: bool) -> NewFile:
    """A file with its content; raises `Invalid` for one with a line that its reader would cut."""
    spec, content = file.spec, text.encode()
    for number, line in enumerate(content.split(b"\n") if spec.max_line else (), start=1):
        if spec.max_line and len(line) > spec.max_line:
            raise Invalid(
                f"{spec.target} line {number} would have {len(line)} bytes, and the program that reads it takes "
                f"{spec.max_line}; shorten the parameter that stands there"
            )
    return NewFile(
        target=spec.target,
        content=content,
        digest=sha256(content).hexdigest(),
        owner=spec.owner,
        group=spec.group,
        mode=spec.mode,
        checks=spec.checks,
        check_timeout_s=file.template_set.check_timeout_s,
        secret=secret,
    )


def desired(sketch: Spec, files: tuple[NewFile, ...]) -> Desired:
    """What shall be here, once the files of an outline are rendered."""
    return replace(sketch.rest, files=files)


def fallback(goal: Goal, footprint: Footprint) -> Desired | None:
    """What to do while a goal cannot be prepared: keep what serves, let go of what shall not serve, begin nothing."""
    if footprint.role is goal.role:
        kept = tuple(sorted(footprint.addresses, key=str))
        return Desired(goal.role, None, kept, footprint.units, (), footprint.first, goal.probe)
    if goal.role is Role.ACTIVE or not (footprint.addresses or footprint.units):
        return None
    units = tuple(replace(unit, enter=_without(unit), change=UnitAction.NONE) for unit in footprint.units)
    return Desired(goal.role, None, (), units, (), footprint.first)


def _without(unit: DesiredUnit) -> UnitAction:
    return UnitAction.STOP if unit.removed is UnitAction.STOP else UnitAction.NONE


def _kept(convert: Callable[[_V], _T], values: Iterable[_V], problems: list[str]) -> Iterator[_T]:
    for value in values:
        try:
            yield convert(value)
        except Invalid as error:
            problems.append(str(error))


def _twice(names: list[str]) -> list[str]:
    return [
        f"{name} is claimed twice by the template sets of one service" for name in {*names} if names.count(name) > 1
    ]


def _specs(goal: Goal, sets: Iterable[TemplateSet]) -> Iterator[tuple[TemplateSet, FileSpec]]:
    return ((each, spec) for each in sets for spec in each.files if goal.role in spec.roles)


def _file(template_set: TemplateSet, spec: FileSpec, guards: Guards) -> PlannedFile:
    guards.check_target(spec.target)
    return PlannedFile(template_set, spec)


def _unit(goal: Goal, spec: UnitSpec, guards: Guards) -> DesiredUnit:
    guards.check_unit(spec.name)
    enter = spec.active if goal.role is Role.ACTIVE else spec.standby
    return DesiredUnit(spec.name, enter, spec.change, spec.removed, spec.early)


def _early_first(units: Iterable[DesiredUnit]) -> tuple[DesiredUnit, ...]:
    """The units in the order in which they start: what any set of the service needs early, then the others."""
    return tuple(sorted(units, key=lambda unit: not unit.early))


def _placed(goal: Goal, address: ServiceAddress, guards: Guards, interfaces: Sequence[Interface]) -> Placed:
    guards.check_address(address)
    interface = interface_for(address, goal.interface, interfaces)
    guards.check_route(address, interface)
    return Placed(interface.name, address)
