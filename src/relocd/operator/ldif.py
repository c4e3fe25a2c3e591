"""Modifications as LDIF (RFC 2849), exactly as the plain `ldapmodify` command takes them. Pure."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from typing import Final

from relocd.model.writes import Change, Increment, Modification

__all__ = ["ldif"]

# SAFE-STRING of RFC 2849, and no space at the end.
_SAFE: Final = re.compile(rb"(?![ :<])[\x01-\x09\x0b\x0c\x0e-\x7f]*(?<! )")


def ldif(modifications: Iterable[Modification]) -> str:
    """One record for each modification, each ended by an empty line."""
    return "".join(map(_record, modifications))


def _record(modification: Modification) -> str:
    if modification.assertion is not None:
        raise ValueError(f"LDIF has no place for a condition: {modification}")
    lines = [_line("dn", modification.dn.text.encode()), "changetype: modify"]
    for change in modification.changes:
        lines += [str(change).replace(" ", ": "), *(_line(change.attribute, value) for value in _values(change)), "-"]
    return "\n".join(lines) + "\n\n"


def _values(change: Change) -> tuple[bytes, ...]:
    return (str(change.by).encode(),) if isinstance(change, Increment) else change.values


def _line(name: str, value: bytes) -> str:
    return f"{name}: {value.decode()}" if _SAFE.fullmatch(value) else f"{name}:: {b64encode(value).decode()}"
