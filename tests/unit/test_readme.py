"""What the pages say of settings and commands is what the code has."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import get_type_hints

import pytest

from relocd.cli.main import app
from relocd.model.settings import ScriptUnit, Settings, UnitSettings

DOCS = Path(__file__).parents[2] / "docs"
CONFIGURATION = (DOCS / "configuration.md").read_text()
COMMANDS = (DOCS / "commands.md").read_text()


def documented(table: str, cell: int = 1) -> dict[str, str]:
    """The keys of one table of the configuration, and the cell with their defaults or, the next one, their meaning."""
    start = CONFIGURATION.index(f"| **`[[{table}]]`**" if table == "health" else f"| **`[{table}]`**")
    rows = CONFIGURATION[start:].split("\n\n")[0].splitlines()[1:]
    found: dict[str, str] = {}
    for row in rows:
        if "**" in row:
            break
        cells = [text.strip() for text in row.split("|")[1:4]]
        values = (re.findall(r"`([^`]*)`", cells[1]) if cell == 1 else []) or [cells[cell]]
        keys = re.findall(r"`\.?([^`]*)`", cells[0])
        found |= dict(zip(keys, values if len(values) == len(keys) else values * len(keys), strict=True))
    return found


@pytest.mark.parametrize("table", [field.name for field in dataclasses.fields(Settings)])
def test_every_setting_stands_there_with_its_default(table: str) -> None:
    known = {field.name: field for field in dataclasses.fields(_table(table))}
    told = documented(table)
    if table == "units":
        known.pop("script")
        script = [field.name for field in dataclasses.fields(ScriptUnit)]
        assert [told.pop(key, None) is not None for key in ('script."NAME".start', *script[1:])] == [True] * len(script)
    assert told.keys() == known.keys()
    for name, field in known.items():
        if field.default is not dataclasses.MISSING:
            assert told[name] == _as_toml(field.default), name


@pytest.mark.parametrize("table", [field.name for field in dataclasses.fields(Settings)])
def test_the_page_says_of_a_setting_what_the_code_says(table: str) -> None:
    told = documented(table, cell=2)
    for name, kind in get_type_hints(_table(table), include_extras=True).items():
        (meaning,) = kind.__metadata__
        assert told['script."NAME".start' if name == "script" else name] == meaning


def test_every_command_stands_there() -> None:
    commands = app.commands
    for name in commands.keys() - {"version"}:
        assert f"| `relocd {name}" in COMMANDS


def _table(name: str) -> type:
    kinds = {field.name: field.type for field in dataclasses.fields(Settings)}
    module = __import__(UnitSettings.__module__, fromlist=["x"])
    return getattr(module, str(kinds[name]).removeprefix("tuple[").removesuffix(", ...]"))


def _as_toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
