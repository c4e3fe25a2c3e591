"""relocd.toml(5), generated from `relocd.model.settings`: tables by docstring, keys by type, default and meaning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields
from itertools import groupby
from pathlib import Path
from typing import Final, Literal, get_args, get_origin, get_type_hints

from relocd.install.manual.roff import Page, bold
from relocd.model import settings
from relocd.model.settings import DEFAULT_CONFIG, ScriptUnit, Settings

__all__ = ["EXAMPLE", "settings_page"]

EXAMPLE: Final = Path(__file__).with_name("relocd.toml").read_text(encoding="utf-8")
"""An example that is valid once names and networks are adapted."""

_ABOUT: Final = "configuration of the agent of relocd"
_DESCRIPTION: Final = f"""\
`relocd agent`, `relocd apply` and `relocd check` read `{DEFAULT_CONFIG}`, or what their option `--config` names: a
file in TOML. An unknown key, a wrong type or a missing value is refused with its line. Keys that end in `_s` are
seconds, in `_ms` milliseconds, in `_mib` mebibytes.

On SIGHUP the agent reads the file again; an invalid one is reported, and the old one stays in force."""
_PLAIN: Final[Mapping[object, str]] = {str: "string", bool: "true or false", int: "whole number", float: "number"}


def settings_page() -> Page:
    """The whole page."""
    page = Page("relocd.toml", 5, _ABOUT)
    page.section("DESCRIPTION")
    page.prose(_DESCRIPTION)
    page.section("TABLES")
    for table in fields(Settings):
        _describe(page, getattr(settings, str(table.type)))
    page.section("EXAMPLE")
    page.verbatim(EXAMPLE)
    page.section("SEE ALSO")
    page.prose("`relocd`(1), `relocd-agent`(8)")
    return page


def _describe(page: Page, table: type) -> None:
    title, _, purpose = (table.__doc__ or "").partition(": ")
    page.subsection(title)
    page.prose(purpose[:1].upper() + purpose[1:])
    for meaning, keys in groupby(_keys(table), key=lambda key: key[1]):
        page.item(", ".join(tag for tag, _ in keys), f"{meaning[:1].upper()}{meaning[1:]}.")


def _keys(table: type) -> Iterator[tuple[str, str]]:
    """Each key with its type and default, and its meaning."""
    types = get_type_hints(table, include_extras=True)
    for field in fields(table):
        kind, meaning = get_args(types[field.name])
        if get_origin(kind) is Mapping:
            yield _script_keys(field.name), meaning
        else:
            yield f"{bold(field.name)} ({_type(kind)}; {_default(field)})", meaning


def _script_keys(name: str) -> str:
    """Tables with free names, each of which has these keys."""
    first, *others = (field.name for field in fields(ScriptUnit))
    return ", ".join([bold(f'{name}."NAME".{first}'), *(bold(f".{other}") for other in others)]) + " (lists of strings)"


def _type(kind: object) -> str:
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(f'"{word}"' for word in get_args(kind))
    return "list of strings" if get_origin(kind) is tuple else _PLAIN[kind]


def _default(field: Field[object]) -> str:
    return "required" if field.default is MISSING else f"default {_as_toml(field.default)}"


def _as_toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_as_toml(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
