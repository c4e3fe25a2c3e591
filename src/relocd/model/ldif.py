"""LDIF (RFC 2849) by lines: the one place that writes it. Pure.

A value that is not plain, printable ASCII is written in base64, also where the RFC does not require it: the text must
be harmless in a terminal and for `ldapmodify`.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Final

from relocd.printable import one_line

__all__ = ["attribute", "remark"]

# Printable characters of SAFE-STRING, and no space at the end.
_PLAIN: Final = re.compile(rb"(?![ :<])[\x20-\x7e]*(?<! )")


def attribute(name: str, value: bytes) -> str:
    """One value of an attribute, or the name of an entry (`dn`), as one line."""
    return f"{name}: {value.decode()}" if _PLAIN.fullmatch(value) else f"{name}:: {b64encode(value).decode()}"


def remark(text: str) -> str:
    """A comment on one line, whatever the text."""
    return f"# {one_line(text)}"
