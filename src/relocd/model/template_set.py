"""A template set: what its manifest says about files, units and commands, as values.

The manifest is read by `relocd.adapters.templates.template_sets`; what the values mean in order is decided in
`relocd.reconcile`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from relocd.model.declared import Declared

__all__ = ["Command", "FileSpec", "First", "Moment", "Role", "Scope", "TemplateSet", "UnitAction", "UnitSpec"]


class Role(StrEnum):
    """What a server is to a service."""

    ACTIVE = "active"
    STANDBY = "standby"


class Scope(StrEnum):
    """How often a set is rendered: once for each linked service, or once for the server with all links."""

    SERVICE = "service"
    SERVER = "server"


class UnitAction(StrEnum):
    """What is done to a unit when the service becomes active, leaves, or has changed files."""

    START = "start"
    STOP = "stop"
    RELOAD = "reload"
    RESTART = "restart"
    NONE = "none"


class Moment(StrEnum):
    """When a command of a manifest runs."""

    ACTIVATE = "activate"
    STANDBY = "standby"
    CHANGE = "change"


class First(StrEnum):
    """What goes first when a service leaves."""

    UNITS = "units"
    ADDRESSES = "addresses"


@dataclass(frozen=True, slots=True)
class FileSpec:
    """One file: `source` below the set's folder, `target` absolute and possibly with `{name}` in it.

    `checks` are argument lists in which `{file}` stands for the new file before it replaces the old one. No line may
    have more than `max_line` bytes: what a program cuts off may be read as a line of its own.
    """

    source: str
    target: str
    owner: str = "root"
    group: str = "root"
    mode: int = 0o640
    roles: frozenset[Role] = frozenset({Role.ACTIVE})
    checks: tuple[tuple[str, ...], ...] = ()
    max_line: int | None = None


@dataclass(frozen=True, slots=True)
class UnitSpec:
    """One unit, its name possibly with `{name}` in it, and what happens to it in each role.

    An `early` one is started before the addresses are raised and stopped after they are dropped.
    """

    name: str
    active: UnitAction = UnitAction.START
    standby: UnitAction = UnitAction.STOP
    removed: UnitAction = UnitAction.STOP
    change: UnitAction = UnitAction.RESTART
    early: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """An argument list run at one moment; never a shell."""

    when: Moment
    run: tuple[str, ...]
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class TemplateSet:
    """One folder of templates with its manifest; `digest` changes with any file of the folder.

    A `closed` one takes the parameters and secrets that it declares and no others.
    """

    name: str
    folder: Path
    digest: str
    description: str = ""
    scope: Scope = Scope.SERVICE
    first: First = First.UNITS
    files: tuple[FileSpec, ...] = ()
    units: tuple[UnitSpec, ...] = ()
    commands: tuple[Command, ...] = ()
    check_timeout_s: float = 10.0
    parameters: tuple[Declared, ...] = ()
    secrets: tuple[Declared, ...] = ()
    closed: bool = False
