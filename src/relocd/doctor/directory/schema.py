"""Whether a directory has relocd's schema, of this version; definitions are compared by their meaning. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from relocd.doctor.finding import Finding, error, ok, warning
from relocd.schema.definitions import ARC, definitions

__all__ = ["schema_findings"]

_CHECK: Final = "schema"
_TOKEN: Final = re.compile(r"'[^']*'|[^\s()$']+")
_LOAD: Final = "load it: relocd schema --format ldif | ldapadd -Y EXTERNAL -H ldapi:/// (in slapd.conf: relocd schema)"
_RENEW: Final = (
    "replace the definitions by those of `relocd schema --format ldif` on every provider (in cn=config by a modify of "
    "cn=relocd,cn=schema,cn=config, in slapd.conf by the new file and a restart)"
)

Definition = tuple[str, ...]


def schema_findings(served: Iterable[str]) -> Iterator[Finding]:
    """The findings about the attribute types and object classes that a directory publishes."""
    there = _by_oid(served)
    types, classes = definitions()
    ours = _by_oid((*types, *classes))
    missing = [_name(ours[oid]) for oid in ours if oid not in there]
    other = [_name(ours[oid]) for oid in ours if oid in there and there[oid] != ours[oid]]
    newer = [_name(there[oid]) for oid in there if oid not in ours]
    if len(missing) == len(ours):
        yield error(_CHECK, "none of relocd's definitions is loaded", _LOAD)
    elif missing or other:
        parts = [
            f"{word} {', '.join(names)}" for word, names in (("lacks", missing), ("defines otherwise", other)) if names
        ]
        yield error(_CHECK, f"the schema is of another version of relocd: it {' and '.join(parts)}", _RENEW)
    elif newer:
        yield warning(
            _CHECK,
            f"the schema is newer than this relocd, which does not know {', '.join(newer)}",
            "update relocd here",
        )
    else:
        yield ok(_CHECK, f"{len(types)} attribute types and {len(classes)} object classes, of this version")


def _by_oid(served: Iterable[str]) -> dict[str, Definition]:
    """The definitions of relocd among these."""
    read = (_meaning(each) for each in served if f"{ARC}." in each)
    return {definition[0]: definition for definition in read}


def _meaning(text: str) -> Definition:
    """The words of a definition without its description; brackets around a single name are optional (RFC 4512)."""
    words = _TOKEN.findall(text)
    described = words.index("DESC") if "DESC" in words else len(words)
    return tuple(words[:described] + words[described + 2 :])


def _name(definition: Definition) -> str:
    return definition[2].strip("'")
