"""LDIF (RFC 2849) by lines: the one place that writes it. Pure.

A value that is not plain, printable ASCII is written in base64, also where the RFC does not require it: the text must
be harmless in a terminal and for `ldapmodify`.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from typing import Final

from relocd.model.writes import Change, Increment, Modification
from relocd.printable import one_line

__all__ = ["attribute", "remark", "ldif"]

# Printable characters of SAFE-STRING, and no space at the end.
_PLAIN: Final = re.compile(rb"(?![ :<])[\x20-\x7e]*(?<! )")


def attribute(name: str, value: bytes) -> str:
    """One value of an attribute, or the name of an entry (`dn`), as one line."""
    return f"{name}: {value.decode()}" if _PLAIN.fullmatch(value) else f"{name}:: {b64encode(value).decode()}"


def remark(text: str) -> str:
    """A comment on one line, whatever the text."""
    return f"# {one_line(text)}"


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
