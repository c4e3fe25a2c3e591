"""Why a server is not trusted, in few words: ldap3 and OpenSSL print the whole certificate. Pure."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["UNRESOLVED", "distrust", "is_unresolved"]

UNRESOLVED: Final = "its host name does not resolve; check the name, and the resolver of this machine"

_OTHER_NAME: Final = re.compile(r"doesn't match any name in \[(?P<asked>.*)\]")
_NAME: Final = re.compile(r"\('(?:DNS|IP Address)', '([^']+)'\)")
_NOT_VERIFIED: Final = re.compile(r"certificate verify failed: (?P<why>[^(]+)")
_SHOWN: Final = 8


def distrust(error: Exception) -> str:
    """What is wrong with a server's certificate; empty when the error is about something else."""
    text = str(error)
    if found := _OTHER_NAME.search(text):
        names = _NAME.findall(text)
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return f"its certificate is for {', '.join(names[:_SHOWN]) or 'no name'}{more}, not for {found['asked']}"
    if found := _NOT_VERIFIED.search(text):
        return f"its certificate cannot be verified: {found['why'].strip()}"
    return text if "certificate" in text else ""


def is_unresolved(error: Exception) -> bool:
    """Whether ldap3 found no address of the host; it does not say so."""
    return "invalid server address" in str(error)
