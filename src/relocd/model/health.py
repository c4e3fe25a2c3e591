"""Health checks as values: what is asked, how often, and how many answers count.

`[[health]]` of a manifest gives a `HealthSpec`, whose texts are templates. Rendered for one service it becomes a
`Check` (`relocd.reconcile.health`). Only Python's own modules are imported here, as in `relocd.model.template_set`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final

__all__ = ["ANY_GOOD", "Check", "CheckKind", "Endpoint", "HealthLimits", "HealthSpec", "HttpRequest", "StatusRange"]

StatusRange = tuple[int, int]
"""The first and the last status of HTTP that count as well."""
ANY_GOOD: Final[tuple[StatusRange, ...]] = ((200, 399),)


class CheckKind(StrEnum):
    """What a check asks; `UNITS` asks systemd only, and `CARRIER` the kernel."""

    HTTP = "http"
    TCP = "tcp"
    DNS = "dns"
    NTP = "ntp"
    COMMAND = "command"
    UNITS = "units"
    CARRIER = "carrier"
    PING = "ping"


@dataclass(frozen=True, slots=True)
class HealthLimits:
    """How often a check is made, and how many results in a row count.

    `fall` failures make it fail, `rise` successes make it well again. From the start of the service failures do not
    count for `start_s`, or until the first success. The service is restarted here `restarts` times before it counts as
    failed here.
    """

    interval_s: float = 2.0
    timeout_s: float = 1.0
    fall: int = 3
    rise: int = 2
    start_s: float = 10.0
    restarts: int = 1


@dataclass(frozen=True, slots=True)
class HealthSpec:
    """One `[[health]]` of a manifest: `texts` are templates, several for a command only, none for the units alone.

    `host` is the name that an HTTP request asks for, and `statuses` are the answers that count as well.
    """

    kind: CheckKind
    texts: tuple[str, ...] = ()
    limits: HealthLimits = HealthLimits()
    host: str = ""
    statuses: tuple[StatusRange, ...] = ANY_GOOD


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and a port to ask."""

    ip: IPv4Address | IPv6Address
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if self.ip.version == 6 else f"{self.ip}:{self.port}"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What is asked over HTTP: path and query, the name of the host, over TLS or not."""

    target: str
    host: str
    tls: bool
    statuses: tuple[StatusRange, ...] = ANY_GOOD


@dataclass(frozen=True, slots=True)
class Check:
    """A check that can be made. `name` is what it is called in status and metrics.

    Each kind has its own part: an endpoint and perhaps a request, the arguments of a command, or an interface.
    """

    kind: CheckKind
    name: str
    limits: HealthLimits
    endpoint: Endpoint | None = None
    request: HttpRequest | None = None
    arguments: tuple[str, ...] = ()
    interface: str = ""
