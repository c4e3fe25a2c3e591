"""`[parameters]` and `[secrets]` of a manifest to `Declared` values, and what must not be said there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Final

from relocd.config.toml_values import TomlText
from relocd.model.template_set import WORDS, Declared, compiled, refusal

__all__ = ["DeclaredTable", "declared"]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)\}")
_LARGEST: Final = 65536


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


def declared(toml: TomlText, kind: str, tables: Mapping[str, DeclaredTable] | None) -> tuple[Declared, ...]:
    """What is declared in the tables of one kind, by name; raises `Invalid` with file, line and key."""
    found = []
    for name, table in sorted((tables or {}).items()):
        value = Declared(name, **{each.name: getattr(table, each.name) for each in fields(table)})
        for key, message in _faults(kind, value):
            raise toml.error((kind, name, key) if key else (kind, name), message)
        found.append(value)
    return tuple(found)


def _faults(kind: str, value: Declared) -> Iterator[tuple[str, str]]:
    """Every key that is wrong, and how."""
    if not _NAME.fullmatch(value.name):
        yield "", "is no name of a parameter; write letters, digits, _ and -"
    if not 1 <= value.max_length <= _LARGEST:
        yield "max_length", f"is {value.max_length}; write a number of bytes from 1 to {_LARGEST}"
    why = _why_no_pattern(value.pattern)
    if why:
        yield "pattern", why
    if not value.help.strip() or not value.help.isprintable():
        yield "help", "is empty or has more than one line; write one line that says what the value is for"
    if value.default is not None:
        yield from (("default", message) for message in _wrong_default(kind, value))


def _why_no_pattern(pattern: str) -> str:
    unknown = [word for word in _PLACEHOLDER.findall(pattern) if word not in WORDS]
    if unknown:
        return f"has {{{unknown[0]}}}; what can stand there is {', '.join(f'{{{word}}}' for word in WORDS)}"
    if not pattern:
        return 'is empty, which matches nothing; write ".+" for any text'
    try:
        compiled(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"is no regular expression: {error}; correct it"
    return ""


def _wrong_default(kind: str, value: Declared) -> Iterator[str]:
    if kind == "secrets":
        yield "is given; a secret has none, since this file is no secret"
    if value.required:
        yield 'is given, but "required" says that there is none; leave one of them'
    refused = refusal(value.default or "", replace(value, default=None))
    if refused and value.default:  # an empty one says that there is none, whatever the pattern
        yield f"is {value.default!r}, which {refused}"
