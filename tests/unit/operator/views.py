"""Views of a service and of the status, made of entries: what the tests of orders, status and explain begin with."""

from __future__ import annotations

from relocd.model.entries import Entry, csn_time_s
from relocd.operator.service_view import ServiceView, service_view
from relocd.operator.status.health import ServiceRow, StatusView
from relocd.operator.status.view import view
from tests.support import entries

START = csn_time_s(entries.csn(0)) or 0.0
WEB = {"relocAddress": "192.0.2.10/24"}
_STATES = {"active": "relocActiveService", "standby": "relocStandbyService", "failed": "relocFailedService"}


def heard(name: str, lease: str = "10", at: int = 0, **more: str) -> Entry:
    """The status of a server with the state of services, as in `active="web"`, or with attributes."""
    values = {_STATES.get(key, key): entries.dn(value) if key in _STATES else value for key, value in more.items()}
    return entries.status(name, at=at, relocLease=lease, relocAgentVersion="0.1", **values)


def status_view(*found: Entry, age_s: float = 1.0) -> StatusView:
    """The status so long after the heartbeats."""
    return view(found, START + age_s)


def web_row(*found: Entry, age_s: float = 1.0, **more: str) -> ServiceRow:
    """The row of the exclusive service `web`."""
    services = status_view(entries.service("web", **WEB | more), *found, age_s=age_s).services
    return next(each for each in services if each.service.name == "web")


def web_view(*found: Entry, age_s: float = 1.0, **more: str) -> ServiceView:
    """The exclusive service `web` with every server that it concerns."""
    web = entries.service("web", **WEB | more)
    return service_view(web.dn, [web, *found], START + age_s)


A, B = entries.server("a", services=["web"]), entries.server("b")
LINKED = entries.server("b", services=["web"])
HELD = (A, heard("a", active="web"), entries.state("web", holder="a"))
PAIR = [entries.server(name, clusters=["pair"]) for name in "ab"]
