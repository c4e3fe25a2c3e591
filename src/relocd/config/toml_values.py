"""TOML texts to frozen dataclasses, with messages that name file, line, key and what to write instead.

The manifests of template sets and the agent's configuration are read this way. A class describes a table: its fields
are the keys, those without a default must be given, and an unknown key is refused. Fields may be dataclasses (a table),
tuples of them (an array of tables), mappings to them (tables with free names), or plain types that msgspec converts.
The caller checks ranges and relations between keys and raises `error` for them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Final, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

import msgspec

from relocd.config.toml_lines import KeyPath, line_of
from relocd.errors import Invalid

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["TomlText"]

_T = TypeVar("_T")

_LONGEST: Final = 256 * 1024
# Parsing a dotted name takes time by the square of the number of its parts.
_DOTTED_ON: Final = re.compile(r"""(?<!["'\w-])(?:["'\w-]++\s*+\.\s*+){64}""")
_PLACE: Final = re.compile(r" \(at line (\d+), column \d+\)$")
_PLAIN: Final[Mapping[object, str]] = {
    str: "a string in quotes",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}


@dataclass(frozen=True, slots=True)
class TomlText:
    """A TOML text; `name` is the file's name for messages."""

    name: str
    text: str

    def decoded(self, kind: type[_T]) -> _T:
        """The value that the text describes; raises `Invalid` for the first problem."""
        if len(self.text) > _LONGEST or _DOTTED_ON.search(self.text):
            raise Invalid(f"{self.name}: is longer, or nested deeper, than such a file may be; shorten it")
        try:
            document = tomllib.loads(self.text)
        except ValueError as error:  # TOMLDecodeError, or what Python says of a number of thousands of digits
            raise self._syntax_error(str(error)) from error
        except RecursionError as error:
            raise Invalid(f"{self.name}: has lists or tables nested too deeply to be read; write it flat") from error
        return cast(_T, self._value(document, kind, ()))

    def error(self, path: KeyPath, message: str) -> Invalid:
        """An error about the key at `path`, with its line; `message` continues after the key, as in `is relative`."""
        table, key = (path[:-1], f"{path[-1]} ") if path and isinstance(path[-1], str) else (path, "")
        separator = " " if key and table and isinstance(table[-1], str) else ": "
        where = _shown(table) + separator if table else ""
        return self._at(path, f"{where}{key}{message}")

    def _at(self, path: KeyPath, message: str) -> Invalid:
        return Invalid(f"{self.name} line {line_of(self.text, path)}: {message}")

    def _syntax_error(self, reason: str) -> Invalid:
        place = _PLACE.search(reason)
        line = int(place[1]) if place else self.text.count("\n") + 1
        return Invalid(f"{self.name} line {line}: this is not TOML: {_PLACE.sub('', reason)}")

    def _value(self, value: object, kind: object, path: KeyPath) -> object:
        """`value` as a `kind`; tables are converted here, so that errors know their path."""
        kind = _given(kind)
        if isinstance(kind, type) and is_dataclass(kind):
            return self._table(value, kind, path)
        inner = [argument for argument in get_args(kind) if isinstance(argument, type) and is_dataclass(argument)]
        if inner and get_origin(kind) is tuple and isinstance(value, list):
            return tuple(self._table(item, inner[0], (*path, number)) for number, item in enumerate(value))
        if inner and get_origin(kind) is Mapping and isinstance(value, dict):
            return {key: self._table(item, inner[0], (*path, key)) for key, item in value.items()}
        try:
            return msgspec.convert(value, kind)
        except (msgspec.ValidationError, OverflowError) as error:
            raise self.error(path, f"is {_brief(value)}; write {_expected(kind)}") from error

    def _table(self, value: object, kind: type[DataclassInstance], path: KeyPath) -> object:
        if not isinstance(value, dict):
            raise self.error(path, f"is {_brief(value)}; write a table")
        self._check_keys(value, {field.name: field for field in fields(kind)}, path)
        types = get_type_hints(kind)
        return kind(**{key: self._value(item, types[key], (*path, key)) for key, item in value.items()})

    def _check_keys(self, table: Mapping[str, object], known: Mapping[str, Field[object]], path: KeyPath) -> None:
        where = f"{_shown(path)}: " if path else ""
        for key in table:
            if key not in known:
                raise self._at((*path, key), f"{where}unknown key {key!r}; known are {', '.join(sorted(known))}")
        for name, field in known.items():
            if name not in table and field.default is MISSING and field.default_factory is MISSING:
                raise self._at(path, f"{where}{name!r} is missing and has no default")


def _given(kind: object) -> object:
    """The type of an optional key (`X | None`) that is given: TOML has no null."""
    kinds = [each for each in get_args(kind) if each is not NoneType]
    return kinds[0] if get_origin(kind) is UnionType and len(kinds) == 1 else kind


def _shown(path: KeyPath) -> str:
    """A table as it is written in the file: `[units.script.web]`, or `[[file]] 2` for the second of several."""
    *names, last = path
    if isinstance(last, int):
        return f"[[{'.'.join(map(str, names))}]] {last + 1}"
    return f"[{'.'.join(map(str, path))}]"


def _brief(value: object) -> str:
    try:
        shown = "a table" if isinstance(value, dict) else repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, lists within lists
        return "a very long value"
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _expected(kind: object) -> str:
    """What to write for a field of that type."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "one of " + ", ".join(f'"{word.value}"' for word in kind)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(f'"{word}"' for word in get_args(kind))
    if get_origin(kind) in {tuple, frozenset}:
        return f"a list, each item {_expected(get_args(kind)[0])}"
    return _PLAIN.get(kind, "a table")
