"""Whether a password is protected on its way to a directory. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from relocd.errors import Invalid
from relocd.model.uri import DirectoryUri

__all__ = ["PLAIN_TEXT", "PROTECT", "in_plain_text"]

PLAIN_TEXT: Final = "the password crosses the network in plain text"
PROTECT: Final = "use ldaps:// or StartTLS"


def in_plain_text(uris: Iterable[str], *, password: bool, starttls: bool) -> tuple[str, ...]:
    """Those of the URIs to which a password would go so that everybody on the way can read it."""
    if not password or starttls:
        return ()
    return tuple(uri for uri in uris if _is_open(uri))


def _is_open(uri: str) -> bool:
    try:
        found = DirectoryUri.parse(uri)
    except Invalid:
        return False  # it leads nowhere; who connects says so
    return found.scheme == "ldap" and not found.is_local
