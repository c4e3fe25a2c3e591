"""A change sequence number (OpenLDAP's entryCSN): when the provider that took the change stamped it, and which one."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["csn_server_id", "csn_time_s"]


def csn_time_s(csn: str) -> float | None:
    """Seconds since 1970 by the provider's clock, None for what is no change sequence number."""
    try:
        return datetime.strptime(csn.partition("#")[0], "%Y%m%d%H%M%S.%fZ").replace(tzinfo=UTC).timestamp()
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
