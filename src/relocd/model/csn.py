"""A change sequence number (OpenLDAP's entryCSN): when the provider that took the change stamped it, and which one."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

__all__ = ["csn_server_id", "csn_time_s"]

_TIME: Final = re.compile(r"([0-9]{8})([0-9]{6}\.[0-9]{1,6}Z)")


def csn_time_s(csn: str) -> float | None:
    """Seconds since 1970 by the provider's clock, None for what is no change sequence number."""
    found = _TIME.fullmatch(csn.partition("#")[0])
    try:
        return datetime.fromisoformat("T".join(found.groups())).timestamp() if found else None
    except ValueError:
        return None


def csn_server_id(csn: str) -> int:
    """The provider's server ID; 0 where it has none, and for what is no change sequence number.

    A provider has one where it is one of several (slapd.conf(5), `serverID`), seldom else.
    """
    parts = csn.split("#")
    try:
        return int(parts[2], 16)
    except (IndexError, ValueError):
        return 0
