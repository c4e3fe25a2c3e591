"""Whether a password is protected on its way to a directory. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

__all__ = ["PLAIN_TEXT", "PROTECT", "in_plain_text"]

PLAIN_TEXT: Final = "the password crosses the network in plain text"
PROTECT: Final = "use ldaps:// or StartTLS"


def in_plain_text(uris: Iterable[str], *, password: bool, starttls: bool) -> tuple[str, ...]:
    """Those of the URIs to which a password would go so that everybody on the way can read it."""
    if not password or starttls:
        return ()
    return tuple(uri for uri in uris if uri.lower().startswith("ldap://") and not _is_here(uri))


def _is_here(uri: str) -> bool:
    """Whether it is this machine, which is also meant where no host is named (ldap_initialize(3))."""
    try:
        host = urlsplit(uri).hostname or "localhost"
    except ValueError:
        return True  # it leads nowhere; who connects says so
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
