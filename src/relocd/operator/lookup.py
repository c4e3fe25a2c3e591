"""Finding the entry that a name means, and all entries that concern a service, for orders and explanations.

A few entries are read, each by its own search, and never the whole directory: it may hold thousands of services.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches
from typing import TypeVar

from relocd.errors import Failed, Invalid
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Cluster, Entry, Server, Service, ServiceState
from relocd.model.parse import kinds, parsed
from relocd.model.status import status_of
from relocd.operator.directory import Directory, equals
from relocd.operator.service_view import GIVEN_BACK, ServiceView, service_view
from relocd.operator.status.health import ServerRow
from relocd.operator.status.view import now_of, server_view

__all__ = [
    "matching",
    "one",
    "service_view_around",
    "service_view_with_past",
    "server_named",
    "state_of",
    "states",
    "understood",
    "viewed",
]

_T = TypeVar("_T", Server, Cluster, Service)


def one(directory: Directory, kind: str, text: str) -> Entry:
    """The one entry of a class with this name or DN; raises `Invalid` where there is none, or several."""
    found = _found(directory, kind, text)
    if len(found) == 1:
        return found[0]
    if not found:
        near = _nearest(directory, kind, text)
        hint = f"; did you mean {near!r}?" if near else ""
        raise Invalid(f"there is no {kind} {text!r} below {directory.base}, or this identity may not read it{hint}")
    raise Invalid(f"{text!r} is the name of several entries: {_listed(found)}; give the DN of one")


def server_named(directory: Directory, text: str) -> Server:
    """The one server with this name or DN; raises as `one`."""
    return understood(one(directory, names.SERVER_CLASS, text), Server)


def understood(entry: Entry, kind: type[_T]) -> _T:
    """The entry as a value; raises `Invalid` with every problem of the entry."""
    value, problems = parsed(entry)
    if not isinstance(value, kind):
        raise Invalid(
            "; ".join(map(str, problems)) or f"{entry.dn} has no class of relocd, or another one than is needed here"
        )
    return value


def matching(kind: str, *more: str) -> str:
    """The filter for entries of a class that match all of some filters."""
    return f"(&(objectClass={kind}){''.join(more)})"


def states(directory: Directory, filter_: str) -> tuple[ServiceState, ...]:
    """The states that match a filter and can be understood."""
    found = (parsed(each)[0] for each in directory.entries(matching(names.STATE_CLASS, filter_)))
    return tuple(each for each in found if isinstance(each, ServiceState))


def state_of(directory: Directory, service: DN) -> ServiceState | None:
    """The state of a service, where there is one that can be understood."""
    found = _state(directory, service)
    value = parsed(found)[0] if found else None
    return value if isinstance(value, ServiceState) else None


def viewed(directory: Directory, known: Server) -> ServerRow:
    """The server and its status now."""
    status = _status(directory, known.dn)
    now_s = now_of([status] if status else [], time.time())
    return server_view(known, status_of(status) if status else None, now_s)


def _around(directory: Directory, service: Entry, more: Iterable[Entry] = ()) -> tuple[Entry, ...]:
    """The service and every entry that concerns it.

    These are its state, linked servers, clusters with their members, displacing services, and all servers' statuses.
    `more` are servers that are included in any case.
    """
    state = _state(directory, service.dn)
    to_it = equals(names.SERVICE_LINK, service.dn.text)
    linking = directory.entries(f"(|{matching(names.SERVER_CLASS, to_it)}{matching(names.CLUSTER_CLASS, to_it)})")
    members = _members(directory, [each for each in linking if names.CLUSTER_CLASS.lower() in kinds(each.attributes)])
    displacing = directory.entries(matching(names.SERVICE_CLASS, equals(names.DISPLACES, service.dn.text)))
    states = [state, *(_state(directory, each.dn) for each in displacing)]
    found = [service, *linking, *members, *displacing, *more, *filter(None, states)]
    found += _named_in(directory, state, found)
    known = {each.uuid: each for each in found}
    servers = [each for each in known.values() if names.SERVER_CLASS.lower() in kinds(each.attributes)]
    statuses = (_status(directory, each.dn) for each in servers)
    return (*known.values(), *filter(None, statuses))


def service_view_around(directory: Directory, service: str, *servers: Entry) -> ServiceView:
    """The view of the one service with this name or DN, with `servers` included in any case; raises as `one`."""
    about = one(directory, names.SERVICE_CLASS, service)
    return service_view(about.dn, _around(directory, about, servers), time.time())


def service_view_with_past(directory: Directory, service: str) -> ServiceView:
    """The same, with the servers that gave the service back and so are no longer linked to it."""
    name = one(directory, names.SERVICE_CLASS, service).dn.name
    given_back = equals(names.PROBLEM, f"{name}: {GIVEN_BACK}").replace(")", "*)")
    statuses = directory.entries(matching(names.STATUS_CLASS, given_back), ("1.1",))
    found = (directory.named(each.dn.parent, matching(names.SERVER_CLASS)) for each in statuses)
    return service_view_around(directory, service, *filter(None, found))


def _members(directory: Directory, clusters: Iterable[Entry]) -> tuple[Entry, ...]:
    links = "".join(equals(names.CLUSTER_LINK, each.dn.text) for each in clusters)
    return directory.entries(matching(names.SERVER_CLASS, f"(|{links})")) if links else ()


def _named_in(directory: Directory, state: Entry | None, known: Iterable[Entry]) -> list[Entry]:
    """The servers that a state names and that were not read yet."""
    if state is None:
        return []
    keys = {each.dn.key for each in known}
    value, _ = parsed(state)
    named = (value.holder, value.candidate, value.previous) if isinstance(value, ServiceState) else ()
    found = (directory.named(dn, matching(names.SERVER_CLASS)) for dn in named if dn is not None and dn.key not in keys)
    return [each for each in found if each is not None]


def _state(directory: Directory, service: DN) -> Entry | None:
    return directory.named(service.below(names.STATE_RDN), matching(names.STATE_CLASS))


def _status(directory: Directory, known: DN) -> Entry | None:
    return directory.named(known.below(names.STATUS_RDN), matching(names.STATUS_CLASS))


def _found(directory: Directory, kind: str, text: str) -> tuple[Entry, ...]:
    if "=" not in text:
        return directory.entries(matching(kind, equals("cn", text)))
    dn = DN.parse(text)
    found = directory.named(dn, matching(kind)) if dn.is_within(directory.base) else None
    return (found,) if found else ()


def _nearest(directory: Directory, kind: str, text: str) -> str:
    """The most similar name of an entry of that class, empty where none is similar."""
    with suppress(Failed):
        names = {each.dn.name for each in directory.entries(matching(kind), ("cn",))}
        meant = DN.parse(text).name if "=" in text else text
        close = get_close_matches(meant.lower(), sorted(each.lower() for each in names), n=1)
        return next((each for each in sorted(names) if [each.lower()] == close), "")
    return ""


def _listed(entries: Iterable[Entry]) -> str:
    return ", ".join(sorted(str(entry.dn) for entry in entries))
