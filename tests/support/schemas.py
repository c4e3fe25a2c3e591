"""The schema of relocd 0.1, its version 1, as it was shipped: directories were made with it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["FIRST_FOLDER", "first_definitions"]

FIRST_FOLDER: Final = Path(__file__).parents[1] / "data" / "schema-1"


def first_definitions() -> tuple[str, ...]:
    """Its attribute types and object classes, as a directory publishes them."""
    text = (FIRST_FOLDER / "relocd.schema").read_text().replace("objectclass (", "attributetype (")
    return tuple(" ".join(f"( {each}".split()) for each in text.split("attributetype (")[1:])
