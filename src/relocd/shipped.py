"""What this installation of relocd has: template sets, schema, and the libraries of the agent's side.

A wheel holds them inside the package (see force-include in pyproject.toml). In a source tree, which an editable
installation runs from, they are the folders `templates` and `schema` at its top.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from relocd.errors import Fatal

__all__ = ["missing_libraries", "shipped_schema", "shipped_template_sets"]


_PACKAGE: Final = Path(__file__).parent
_SOURCE_TREE: Final = _PACKAGE.parent.parent
_LIBRARIES: Final = (
    "dbus_fast",
    "jinja2",
    "ldap",
    "logging_journald",
    "msgspec",
    "prometheus_client",
    "pyroute2",
    "watchdog",
)


def shipped_template_sets() -> Path:
    """The folder of the shipped template sets; raises `Fatal` when the installation has none."""
    return _first(_PACKAGE / "template_sets", _SOURCE_TREE / "templates")


def shipped_schema() -> Path:
    """The folder of the schema files; raises `Fatal` when the installation has none."""
    return _first(_PACKAGE / "schema_files", _SOURCE_TREE / "schema")


def missing_libraries() -> tuple[str, ...]:
    """Their names; none where `relocd[agent]` is installed."""
    return tuple(name for name in _LIBRARIES if not find_spec(name))


def _first(*folders: Path) -> Path:
    for folder in folders:
        if folder.is_dir():
            return folder
    raise Fatal(f"{' and '.join(map(str, folders))} are missing; install relocd again")
