"""The time in a change sequence number, as the provider that took the change stamped it (OpenLDAP's entryCSN)."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["csn_time_s"]


def csn_time_s(csn: str) -> float | None:
    """Seconds since 1970 by the provider's clock, None for what is no change sequence number."""
    try:
        return datetime.strptime(csn.partition("#")[0], "%Y%m%d%H%M%S.%fZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
