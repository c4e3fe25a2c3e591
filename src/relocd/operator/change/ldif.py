"""Modifications as LDIF (RFC 2849), exactly as the plain `ldapmodify` command takes them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from relocd.model.ldif import attribute
from relocd.model.writes import Change, Increment, Modification

__all__ = ["ldif"]


def ldif(modifications: Iterable[Modification]) -> str:
    """One record for each modification, each ended by an empty line."""
    return "".join(map(_record, modifications))


def _record(modification: Modification) -> str:
    if modification.assertion is not None:
        raise ValueError(f"LDIF has no place for a condition: {modification}")
    lines = [attribute("dn", modification.dn.text.encode()), "changetype: modify"]
    for change in modification.changes:
        lines += [
            str(change).replace(" ", ": "),
            *(attribute(change.attribute, value) for value in _values(change)),
            "-",
        ]
    return "\n".join(lines) + "\n\n"


def _values(change: Change) -> tuple[bytes, ...]:
    return (str(change.by).encode(),) if isinstance(change, Increment) else change.values
