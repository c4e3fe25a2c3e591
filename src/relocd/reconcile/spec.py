"""The spec of a goal: files with source and target, placed addresses, units and commands, checked by the guards. Pure.

Everything of a goal is in it but the content of the files, which is rendered afterwards. What the guards refuse, what a
template set does not take, and what does not fit becomes a problem of the service.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from hashlib import sha256
from typing import Final, TypeVar

from relocd.errors import Invalid
from relocd.model.entries import ServiceAddress
from relocd.model.host import Interface, NewFile
from relocd.model.template_set import Command, FileSpec, First, Role, TemplateSet, UnitAction, UnitSpec
from relocd.reconcile.addresses import interface_for
from relocd.reconcile.desired import Desired, DesiredUnit, Footprint, Placed
from relocd.reconcile.goals import Goal, service_of
from relocd.reconcile.guards import Guards

__all__ = [
    "PLACEHOLDER",
    "PlannedFile",
    "Spec",
    "desired",
    "expanded",
    "fallback",
    "misnamed",
    "rendered_file",
    "spec_of",
]

PLACEHOLDER: Final = "{name}"
"""The name of the service, in a manifest. So one set serves many services, each with its own files and units."""

# The name comes from the directory and becomes part of a path, a unit's name or an argument: only harmless characters
# pass. The name of a file or a unit has at most 255 bytes, with the text around this one.
_HARMLESS: Final = re.compile(r"(?=.{1,128}\Z)[A-Za-z0-9](?:\.?[A-Za-z0-9_-])*")
_T = TypeVar("_T")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file to render, and the set whose template it is."""

    template_set: TemplateSet
    spec: FileSpec


@dataclass(frozen=True, slots=True)
class Spec:
    """What a goal takes: `files` to render, and what else is `desired`; `problems` are why it cannot be fulfilled."""

    files: tuple[PlannedFile, ...]
    desired: Desired
    problems: tuple[str, ...]


def spec_of(goal: Goal, sets: Sequence[TemplateSet], guards: Guards, interfaces: Sequence[Interface]) -> Spec:
    """The spec of a goal by its template sets, on a host with these interfaces."""
    problems: list[str] = []

    def valid(convert: Callable[[_V], _T], values: Iterable[_V]) -> tuple[_T, ...]:
        return tuple(_valid(convert, values, problems))

    named = valid(lambda each: expanded(each, goal.name), sets)
    acting = () if goal.files_only else named
    addresses = goal.addresses if goal.role is Role.ACTIVE and not goal.files_only else ()
    besides = Desired(
        role=goal.role,
        addresses=valid(lambda address: _placed(goal, address, guards, interfaces), addresses),
        units=_early_first(valid(lambda unit: _unit(goal, unit, guards), (unit for s in acting for unit in s.units))),
        commands=tuple(command for each in acting for command in each.commands),
        first=First.ADDRESSES if any(each.first is First.ADDRESSES for each in sets) else First.UNITS,
        probe=goal.probe,
    )
    files = valid(lambda file: _file(*file, guards), _file_specs(goal, named))
    problems += _twice([file.spec.target for file in files]) + _twice([unit.name for unit in besides.units])
    return Spec(files, besides, tuple(problems))


def desired(spec: Spec, files: tuple[NewFile, ...] | None) -> Desired:
    """What should be here, once the files of a spec are rendered; with None those that are installed stay."""
    return replace(spec.desired, files=files)


def fallback(goal: Goal, footprint: Footprint) -> Desired | None:
    """What to do while a goal has a problem: keep what serves, release what should not serve, begin nothing."""
    if footprint.role is goal.role:
        kept = tuple(sorted(footprint.addresses, key=str))
        return Desired(goal.role, None, kept, footprint.units, (), footprint.first, goal.probe)
    if goal.role is Role.ACTIVE or not (footprint.addresses or footprint.units):
        return None
    units = tuple(replace(unit, enter=_release(unit), change=UnitAction.NONE) for unit in footprint.units)
    return Desired(goal.role, None, (), units, (), footprint.first)


def rendered_file(file: PlannedFile, text: str, *, secret: bool) -> NewFile:
    """A file with its content; raises `Invalid` for one with a line that its reader would cut."""
    spec, content = file.spec, text.encode()
    for number, line in enumerate(content.split(b"\n") if spec.max_line else (), start=1):
        if spec.max_line and len(line) > spec.max_line:
            raise Invalid(
                f"{spec.target} line {number} would have {len(line)} bytes, and the program that reads it takes "
                f"{spec.max_line}; shorten the parameter in that line"
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


def expanded(template_set: TemplateSet, name: str) -> TemplateSet:
    """The set for the service of that name: targets, checks, unit names and commands without the placeholder.

    Raises `Invalid` when the name is needed and could stand for another path or unit.
    """
    return replace(
        template_set,
        files=tuple(_expanded_file(spec, name) for spec in template_set.files),
        units=tuple(replace(spec, name=_filled(spec.name, name)) for spec in template_set.units),
        commands=tuple(_expanded_command(spec, name) for spec in template_set.commands),
    )


def misnamed(goal: Goal, own: Sequence[TemplateSet], others: Sequence[TemplateSet | None]) -> tuple[str, ...]:
    """The parameters and secrets of a service that no template set declares, and those that a set of its own lacks.

    `others` are the sets of scope `server`, which see every service; None for one that cannot be read. Where a set
    declares nothing, any name may be meant for it. The values are checked when the templates are rendered.
    """
    if service_of(goal.id) is None:
        return ()  # a set of scope `server` takes what the services have
    known = [each for each in (*own, *others) if each is not None and each.closed]
    closed = bool(known) and len(known) == len(own) + len(others)
    problems: list[str] = []
    for kind in ("parameters", "secrets"):
        given: Collection[str] = getattr(goal.context, kind)
        declared = sorted({each.name for template_set in known for each in getattr(template_set, kind)})
        if closed:
            problems += _undeclared(kind, given, declared, known)
        problems += _missing(kind, given, own)
    return tuple(problems)


def _release(unit: DesiredUnit) -> UnitAction:
    return UnitAction.STOP if unit.removed is UnitAction.STOP else UnitAction.NONE


def _valid(convert: Callable[[_V], _T], values: Iterable[_V], problems: list[str]) -> Iterator[_T]:
    for value in values:
        try:
            yield convert(value)
        except Invalid as error:
            problems.append(str(error))


def _twice(names: list[str]) -> list[str]:
    return [
        f"{name} is claimed twice by the template sets of one service" for name in {*names} if names.count(name) > 1
    ]


def _file_specs(goal: Goal, sets: Iterable[TemplateSet]) -> Iterator[tuple[TemplateSet, FileSpec]]:
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


def _expanded_file(spec: FileSpec, name: str) -> FileSpec:
    checks = tuple(_arguments(check, name) for check in spec.checks)
    return replace(spec, target=_filled(spec.target, name), checks=checks)


def _expanded_command(spec: Command, name: str) -> Command:
    return replace(spec, run=_arguments(spec.run, name))


def _arguments(arguments: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(_filled(argument, name) for argument in arguments)


def _filled(text: str, name: str) -> str:
    if PLACEHOLDER not in text:
        return text
    if not _HARMLESS.fullmatch(name):
        raise Invalid(
            f"the service name {name[:200]!r} cannot stand in {text!r}; name the service with at most 128 letters, "
            "digits, _, - and single dots, beginning with a letter or digit"
        )
    return text.replace(PLACEHOLDER, name)


def _undeclared(
    kind: str, given: Collection[str], declared: Sequence[str], sets: Sequence[TemplateSet]
) -> Iterator[str]:
    """Every name that none of the sets declares."""
    for name in given:
        if name not in declared:
            close = get_close_matches(name, declared, n=1)
            advice = f"did you mean {close[0]}?" if close else f"known are: {', '.join(declared) or 'none'}"
            names = " and ".join(each.name for each in sets)
            yield f"{kind}.{name} is not declared by the template set {names}; {advice}"


def _missing(kind: str, given: Collection[str], sets: Sequence[TemplateSet]) -> Iterator[str]:
    for each in sets:
        for declared in getattr(each, kind):
            if declared.required and declared.name not in given:
                yield f"{kind}.{declared.name} is missing, and the template set {each.name} needs it: {declared.help}"
