"""`manifest.toml` to a `TemplateSet`: its tables and keys, their defaults, and the values that are refused.

`templates/README.md` describes every key for those who write sets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import PurePosixPath
from typing import Final

from relocd.adapters.templates.health_tables import HealthTable, health_spec
from relocd.adapters.templates.set_folder import MANIFEST, SetFolder
from relocd.config.toml_lines import KeyPath
from relocd.config.toml_values import TomlText
from relocd.model.health import HealthSpec
from relocd.model.settings import LONGEST_S
from relocd.model.template_set import (
    WORDS,
    Command,
    Declared,
    FileSpec,
    First,
    Role,
    Scope,
    TemplateSet,
    UnitAction,
    UnitSpec,
    compiled,
    refusal,
)

__all__ = ["DeclaredTable", "template_set"]

_MODE: Final = re.compile(r"0?[0-7]{3}")
_UNIT: Final = re.compile(r"[A-Za-z0-9:_.@\\{}-]+")
_PLACEHOLDER: Final = re.compile(r"\{[^}]*\}?|\}")
_PARAMETER_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_PATTERN_WORD: Final = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)\}")
_LARGEST_MAX_LENGTH: Final = 65536
_NO_SERVICE: Final = 'is given, but a set of scope "server" has no service; write [[health]] in relocd.toml'
_NO_NAME: Final = 'has {name}, but a set of scope "server" belongs to no single service; leave it out'

# The actions of each key: a unit is not stopped when its service becomes active here, nor started when it is removed.
_UNIT_ACTIONS: Final[Mapping[str, frozenset[UnitAction]]] = {
    "active": frozenset(UnitAction) - {UnitAction.STOP},
    "standby": frozenset(UnitAction),
    "removed": frozenset(UnitAction) - {UnitAction.START},
    "change": frozenset({UnitAction.RELOAD, UnitAction.RESTART, UnitAction.NONE}),
}


@dataclass(frozen=True, slots=True)
class _File:
    """`[[file]]`: as `FileSpec`, with the mode as text."""

    source: str
    target: str
    owner: str = "root"
    group: str = "root"
    mode: str = "0640"
    roles: frozenset[Role] = frozenset({Role.ACTIVE})
    checks: tuple[tuple[str, ...], ...] = ()
    max_line: int | None = None


@dataclass(frozen=True, slots=True)
class DeclaredTable:
    """`[parameters.NAME]` or `[secrets.NAME]`, as it is written."""

    pattern: str
    max_length: int
    help: str
    default: str | None = None
    required: bool = False
    several: bool = False
    multiline: bool = False


@dataclass(frozen=True, slots=True)
class _Manifest:
    """The whole file; the tables are named as they are written, in the singular."""

    description: str = ""
    scope: Scope = Scope.SERVICE
    first: First = First.UNITS
    check_timeout_s: float = 10.0
    file: tuple[_File, ...] = ()
    unit: tuple[UnitSpec, ...] = ()
    command: tuple[Command, ...] = ()
    health: tuple[HealthTable, ...] = ()
    parameters: Mapping[str, DeclaredTable] | None = None
    secrets: Mapping[str, DeclaredTable] | None = None


def template_set(folder: SetFolder) -> TemplateSet:
    """The set that a folder holds; raises `Invalid` with file, line and key for the first error."""
    reader = _ManifestReader(folder)
    return reader.template_set()


class _ManifestReader:
    """Checks one manifest, with one method for each kind of table."""

    def __init__(self, folder: SetFolder) -> None:
        self._folder = folder
        self._toml = TomlText(str(folder.path / MANIFEST), folder.manifest)
        self._manifest = self._toml.decoded(_Manifest)

    def template_set(self) -> TemplateSet:
        manifest = self._manifest
        self._check_seconds(manifest.check_timeout_s, ("check_timeout_s",))
        self._check_targets_differ()
        return TemplateSet(
            name=self._folder.path.name,
            folder=self._folder.path,
            digest=self._folder.digest,
            description=manifest.description,
            scope=manifest.scope,
            first=manifest.first,
            files=tuple(self._file(file, ("file", number)) for number, file in enumerate(manifest.file)),
            units=self._units(),
            commands=tuple(self._command(item, ("command", number)) for number, item in enumerate(manifest.command)),
            health=self._health(),
            check_timeout_s=manifest.check_timeout_s,
            parameters=_declared(self._toml, "parameters", manifest.parameters),
            secrets=_declared(self._toml, "secrets", manifest.secrets),
            closed=manifest.parameters is not None or manifest.secrets is not None,
            reads_services=self._folder.reads_services,
        )

    def _file(self, file: _File, at: KeyPath) -> FileSpec:
        self._check_source(file.source, (*at, "source"))
        self._check_target(file.target, (*at, "target"))
        if not _MODE.fullmatch(file.mode):
            raise self._toml.error((*at, "mode"), f'is {file.mode!r}; write the octal digits as a string, as in "0640"')
        if not file.roles:
            raise self._toml.error((*at, "roles"), 'is empty; write "active", "standby" or both')
        if file.max_line is not None and file.max_line < 1:
            raise self._toml.error((*at, "max_line"), f"is {file.max_line}; write a number of bytes above 0")
        for check in file.checks:
            self._check_arguments(check, (*at, "checks"))
            if not any("{file}" in argument for argument in check):
                raise self._toml.error((*at, "checks"), "has a check without {file}, the path of the new file; add it")
        return FileSpec(
            source=file.source,
            target=file.target,
            owner=file.owner,
            group=file.group,
            mode=int(file.mode, 8),
            roles=file.roles,
            checks=file.checks,
            max_line=file.max_line,
        )

    def _check_source(self, source: str, at: KeyPath) -> None:
        if source not in self._folder.files:
            files = ", ".join(sorted(self._folder.files - {MANIFEST})) or "none"
            raise self._toml.error(at, f"{source!r} is not a file of this folder; its files are {files}")

    def _check_target(self, target: str, at: KeyPath) -> None:
        path = PurePosixPath(target)
        if not path.is_absolute() or ".." in path.parts or str(path) != target or not path.name:
            raise self._toml.error(at, f"is {target!r}; write the absolute path of a file, without '..' and '//'")
        if not target.isprintable():
            raise self._toml.error(at, "has characters that cannot be printed; remove them")
        self._check_placeholders(target, at)

    def _check_targets_differ(self) -> None:
        """No role has two files with one target; a target may have another source in each role."""
        taken: dict[tuple[str, Role], int] = {}
        for number, file in enumerate(self._manifest.file):
            for role in sorted(file.roles):
                first = taken.setdefault((file.target, role), number)
                if first != number:
                    message = f"is also the target of [[file]] {first + 1} in the role {role}; keep one of them"
                    raise self._toml.error(("file", number, "target"), message)

    def _units(self) -> tuple[UnitSpec, ...]:
        names: set[str] = set()
        for number, unit in enumerate(self._manifest.unit):
            at: KeyPath = ("unit", number)
            if not _UNIT.fullmatch(unit.name):
                raise self._toml.error((*at, "name"), f"is {unit.name!r}; write a unit's name, not a path")
            if unit.name in names:
                raise self._toml.error((*at, "name"), f"{unit.name!r} has a table already; keep one")
            self._check_placeholders(unit.name, (*at, "name"))
            self._check_actions(unit, at)
            names.add(unit.name)
        return self._manifest.unit

    def _check_actions(self, unit: UnitSpec, at: KeyPath) -> None:
        for key, allowed in _UNIT_ACTIONS.items():
            action: UnitAction = getattr(unit, key)
            if action not in allowed:
                actions = ", ".join(f'"{each}"' for each in UnitAction if each in allowed)
                raise self._toml.error((*at, key), f'is "{action}"; write one of {actions}')

    def _command(self, command: Command, at: KeyPath) -> Command:
        self._check_arguments(command.run, (*at, "run"))
        self._check_seconds(command.timeout_s, (*at, "timeout_s"))
        return command

    def _health(self) -> tuple[HealthSpec, ...]:
        if self._manifest.scope is Scope.SERVER and self._manifest.health:
            raise self._toml.error(("health",), _NO_SERVICE)
        return tuple(
            health_spec(self._toml, table, ("health", number)) for number, table in enumerate(self._manifest.health)
        )

    def _check_arguments(self, arguments: tuple[str, ...], at: KeyPath) -> None:
        if not arguments or not arguments[0]:
            raise self._toml.error(at, "names no program; write a list of arguments with the program first")
        for argument in arguments:
            if "\0" in argument:
                raise self._toml.error(at, f"has {argument!r}, with a NUL, which no program accepts; remove it")
            if self._manifest.scope is Scope.SERVER and "{name}" in argument:
                raise self._toml.error(at, _NO_NAME)

    def _check_placeholders(self, text: str, at: KeyPath) -> None:
        for found in _PLACEHOLDER.findall(text):
            if found != "{name}":
                raise self._toml.error(at, f"has {found!r}; the only placeholder is {{name}}, the service's name")
            if self._manifest.scope is Scope.SERVER:
                raise self._toml.error(at, _NO_NAME)

    def _check_seconds(self, value: float, at: KeyPath) -> None:
        if not 0 < value <= LONGEST_S:
            raise self._toml.error(at, f"is {value}; write a number of seconds above 0, and {LONGEST_S} at most")


def _declared(toml: TomlText, kind: str, tables: Mapping[str, DeclaredTable] | None) -> tuple[Declared, ...]:
    """The declarations in the tables of one kind, by name; raises `Invalid` with file, line and key."""
    found = []
    for name, table in sorted((tables or {}).items()):
        value = Declared(name, **{each.name: getattr(table, each.name) for each in fields(table)})
        for key, message in _errors(kind, value):
            raise toml.error((kind, name, key) if key else (kind, name), message)
        found.append(value)
    return tuple(found)


def _errors(kind: str, value: Declared) -> Iterator[tuple[str, str]]:
    """Every wrong key, with its error; an empty key for the name itself."""
    if not _PARAMETER_NAME.fullmatch(value.name):
        yield "", "is not a name of a parameter; write letters, digits, _ and -"
    if not 1 <= value.max_length <= _LARGEST_MAX_LENGTH:
        yield "max_length", f"is {value.max_length}; write a number of bytes from 1 to {_LARGEST_MAX_LENGTH}"
    why = _pattern_error(value.pattern)
    if why:
        yield "pattern", why
    if not value.help.strip() or not value.help.isprintable():
        yield "help", "is empty or has more than one line; write one line that says what the value is for"
    if value.default is not None:
        yield from (("default", message) for message in _wrong_default(kind, value))


def _pattern_error(pattern: str) -> str:
    unknown = [word for word in _PATTERN_WORD.findall(pattern) if word not in WORDS]
    if unknown:
        return f"has {{{unknown[0]}}}; the words in braces are {', '.join(f'{{{word}}}' for word in WORDS)}"
    if not pattern:
        return 'is empty, which matches nothing; write ".+" for any text'
    try:
        compiled(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"is not a regular expression: {error}; correct it"
    return ""


def _wrong_default(kind: str, value: Declared) -> Iterator[str]:
    if kind == "secrets":
        yield "is given; a secret has no default, since this file is not secret"
    if value.required:
        yield 'is given, but "required" means that there is none; keep one of them'
    refused = refusal(value.default or "", replace(value, default=None))
    if refused and value.default:  # an empty default means none, whatever the pattern
        yield f"is {value.default!r}, which {refused}"
