"""The schema that a directory publishes, compared with the schema of this relocd. Pure.

Definitions are compared by their meaning: not by their descriptions, and brackets around a single name are optional
(RFC 4512). An extension changes no meaning either; the one of the version is read by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from relocd.schema.definitions import ARC, MARK, VERSION, definitions

__all__ = ["Definition", "SchemaDifference", "by_oid", "difference"]

_TOKEN: Final = re.compile(r"'[^']*'|[^\s()$']+")
_FIRST: Final = 1
"""The version of a schema without a mark, as relocd 0.1 had it."""


@dataclass(frozen=True, slots=True)
class Definition:
    """An attribute type or an object class: its words without description and extensions, and its version if marked."""

    oid: str
    name: str
    words: tuple[str, ...]
    version: int | None
    text: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class SchemaDifference:
    """Names of definitions that a directory lacks, defines otherwise, or has beyond those of this relocd.

    `version` is the directory's, None where it has none of our definitions.
    """

    version: int | None
    missing: tuple[str, ...]
    other: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def is_newer(self) -> bool:
        """Whether the directory's schema is made by a newer relocd."""
        return self.version is not None and (self.version > VERSION or bool(self.unknown))

    @property
    def is_older(self) -> bool:
        """Whether the directory's schema is made by an older relocd."""
        return self.version is not None and self.version < VERSION and not self.unknown


def difference(served: Iterable[str]) -> SchemaDifference:
    """How the definitions of a directory, or of entries in its cn=config, differ from ours."""
    there = by_oid(served)
    ours = by_oid(each for some in definitions() for each in some)
    marked = (each.version for each in there.values() if each.version is not None)
    return SchemaDifference(
        version=max(marked, default=_FIRST) if there else None,
        missing=tuple(each.name for oid, each in ours.items() if oid not in there),
        other=tuple(each.name for oid, each in ours.items() if oid in there and there[oid].words != each.words),
        unknown=tuple(each.name for oid, each in there.items() if oid not in ours),
    )


def by_oid(texts: Iterable[str]) -> dict[str, Definition]:
    """The definitions of relocd among these."""
    found = filter(None, map(_definition, texts))
    return {each.oid: each for each in found}


def _definition(text: str) -> Definition | None:
    words = _TOKEN.findall(text)
    if not words or not words[0].startswith(f"{ARC}."):
        return None
    described = words.index("DESC") if "DESC" in words else len(words)
    extended = next((at for at, word in enumerate(words) if word.startswith("X-")), len(words))
    meaning = (*words[:described], *words[described + 2 : extended])
    return Definition(words[0], meaning[2].strip("'"), meaning, _version(words[extended:]), text)


def _version(extensions: list[str]) -> int | None:
    try:
        return int(extensions[extensions.index(MARK) + 1].strip("'"))
    except (ValueError, IndexError):
        return None
