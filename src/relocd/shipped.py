"""Where the files that come with relocd are: its template sets and its schema, in a wheel and in a source tree.

A wheel holds them inside the package (see force-include in pyproject.toml). In a source tree, which an editable
installation runs from, they are the folders `templates` and `schema` at its top.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from relocd.errors import Fatal

__all__ = ["shipped_schema", "shipped_template_sets"]


_PACKAGE: Final = Path(__file__).parent
_SOURCE_TREE: Final = _PACKAGE.parent.parent


def shipped_template_sets() -> Path:
    """The folder of the shipped template sets; raises `Fatal` when the installation has none."""
    return _first(_PACKAGE / "template_sets", _SOURCE_TREE / "templates")


def shipped_schema() -> Path:
    """The folder of the schema files; raises `Fatal` when the installation has none."""
    return _first(_PACKAGE / "schema_files", _SOURCE_TREE / "schema")


def _first(*folders: Path) -> Path:
    for folder in folders:
        if folder.is_dir():
            return folder
    raise Fatal(f"{' and '.join(map(str, folders))} are missing; install relocd again")
