"""Which libraries of the agent's side are missing from this installation."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

__all__ = ["missing_libraries"]

_LIBRARIES: Final = (
    "dbus_fast",
    "jinja2",
    "ldap",
    "logging_journald",
    "msgspec",
    "prometheus_client",
    "pyroute2",
    "watchdog",
)


def missing_libraries() -> tuple[str, ...]:
    """Their names; none where `relocd[agent]` is installed."""
    return tuple(name for name in _LIBRARIES if not find_spec(name))
