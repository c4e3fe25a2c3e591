"""The status of the whole directory, with the level of every problem: entries in, one value out.

Links say which servers are chosen for a service, its state says which one holds it, and the status of each server what
its agent reports and when. The rules of handover are in `relocd.election.rules`; this module only judges. Pure but for
`read_view`. Names in `Links` are `DN.key`. What one server concludes from its own links is in
`relocd.election.eligibility`; a test compares the two.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Cluster, Entry, Failover, Problem, Server, Service, ServiceState
from relocd.model.history import HistoryRecord, last_change
from relocd.model.names import STATE_RDN
from relocd.model.parse import CLASSES, Model, parsed
from relocd.model.status import ATTRIBUTES, ServerStatus, is_status, status_of
from relocd.operator.access import Access
from relocd.operator.directory import on_directory
from relocd.operator.status.health import ServerRow, ServiceRow, StatusView, server_findings, service_findings
from relocd.operator.who import short_names

__all__ = ["now_of", "read_view", "server_view", "view"]

_FILTER: Final = (
    "(|" + "".join(f"(objectClass={name})" for name in (*CLASSES, names.STATUS_CLASS, names.HISTORY_CLASS)) + ")"
)
# Parameters may be most of a directory, and decide nothing here.
_ATTRIBUTES: Final = (
    "objectClass",
    names.SERVICE_LINK,
    names.CLUSTER_LINK,
    names.FENCED,
    names.ACTIVE,
    names.FAILOVER,
    names.ADDRESS,
    names.EXCLUSIVE,
    names.DISPLACES,
    names.HOLDER,
    names.CANDIDATE,
    names.PREVIOUS,
    names.GENERATION,
    names.LAST_CHANGE,
    *ATTRIBUTES,
)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What every service is looked up in, by names (`DN.key`); `names` are those of servers as they are shown."""

    known: Mapping[str, Model]
    servers: Mapping[str, ServerRow]
    links: Links
    names: Mapping[str, str]
    changes: Mapping[str, HistoryRecord]
    people: Mapping[str, str]


def read_view(access: Access) -> StatusView:
    """The status now, by one search.

    Raises `Unavailable` when no directory answers, `Failed` when one refuses, `Invalid` for a wrong option.
    """
    return view(on_directory(access, lambda directory: directory.entries(_FILTER, _ATTRIBUTES)), time.time())


def view(entries: Iterable[Entry], now_s: float) -> StatusView:
    """The status at `now_s`, seconds since 1970, or at the time of the providers' clocks: see `now_of`."""
    read = tuple(entries)
    changes = _last_changes(read)
    found = tuple(entry for entry in read if not _is_history(entry))
    values, statuses, problems = _understood(found)
    known = {value.dn.key: value for value in values}
    now_s = now_of(found, now_s)
    servers = {
        key: server_view(each, statuses.get(key), now_s) for key, each in known.items() if isinstance(each, Server)
    }
    people = short_names(each.by for each in changes.values())
    facts = _Facts(known, servers, links(known), _shown(each.server.dn for each in servers.values()), changes, people)
    services = [_service(each, facts) for each in known.values() if isinstance(each, Service)]
    return StatusView(tuple(servers.values()), tuple(services), (*problems, *facts.links.problems))


def _is_history(entry: Entry) -> bool:
    return names.HISTORY_CLASS.lower().encode() in {each.lower() for each in entry.attributes.get("objectclass", ())}


def _last_changes(entries: Iterable[Entry]) -> dict[str, HistoryRecord]:
    """The last change of holder by service, as far as there is a history."""
    found = {entry.dn.parent.key: last_change(entry) for entry in entries if _is_history(entry)}
    return {key: record for key, record in found.items() if record is not None}


def now_of(entries: Iterable[Entry], now_s: float) -> float:
    """The time by the clocks of the providers: the later one of `now_s` and the newest heartbeat that fits it.

    Where none fits, not even within its lease, it is the clock here that is behind. A single heartbeat of the future
    was stamped by a clock that was wrong, and other entries may have been, at any time.
    """
    statuses = [status_of(entry) for entry in entries if is_status(entry)]
    times = [(each.provider_s, each.lease_s) for each in statuses if each.provider_s is not None]
    fitting = [time_s for time_s, lease_s in times if abs(time_s - now_s) <= lease_s]
    return max([now_s, *(fitting or [time_s for time_s, _ in times])])


def _shown(names: Iterable[DN]) -> dict[str, str]:
    """What each server is called: its cn, or its DN where that would be two."""
    listed = tuple(names)
    count = Counter(dn.name for dn in listed)
    return {dn.key: dn.name if count[dn.name] == 1 else str(dn) for dn in listed}


def _understood(entries: Iterable[Entry]) -> tuple[list[Model], dict[str, ServerStatus], list[Problem]]:
    """The values in order of their names, signs of life by server, and problems of entries."""
    values: list[Model] = []
    statuses: dict[str, ServerStatus] = {}
    problems: list[Problem] = []
    for entry in sorted(entries, key=lambda entry: entry.dn.key):
        if is_status(entry):
            statuses[entry.dn.parent.key] = status_of(entry)
            continue
        value, found = parsed(entry)
        problems += found
        if value is not None:
            values.append(value)
    return values, statuses, problems


def server_view(server: Server, last: ServerStatus | None, now_s: float) -> ServerRow:
    """The row of one server at a time, by its last status."""
    age_s = None if last is None or last.provider_s is None else now_s - last.provider_s
    row = ServerRow(server, last, age_s)
    return replace(row, findings=tuple(server_findings(row)))


def _service(service: Service, facts: _Facts) -> ServiceRow:
    key = service.dn.key
    chosen, standby, external = (
        by.get(key, set()) for by in (facts.links.chosen, facts.links.standby, facts.links.external)
    )
    state = facts.known.get(f"{STATE_RDN},{key}")
    state = state if isinstance(state, ServiceState) else None
    named = (None, None, None) if state is None else (state.holder, state.asking, state.previous)
    names = {dn.key: facts.names.get(dn.key, str(dn)) for dn in named if dn is not None}
    names |= {each: facts.names[each] for each in chosen | standby | external}
    holder, candidate, previous = ("" if dn is None else names[dn.key] for dn in named)
    row = ServiceRow(
        service,
        chosen=tuple(sorted(names[each] for each in chosen)),
        standby=tuple(sorted(names[each] for each in standby)),
        external=tuple(sorted(names[each] for each in external)),
        holder=holder,
        candidate=candidate,
        previous=previous,
        generation=None if state is None else state.generation,
        reports={names[each]: _report(facts.servers.get(each), key) for each in sorted(names)},
    )
    since = facts.changes.get(key)
    if since is not None and (since.generation != row.generation or not holder):
        since = None  # the holder has changed since; its record is still being written
    by = "" if since is None else facts.people[since.by]
    row = replace(row, takers=_takers(row, [names[each] for each in facts.links.automatic.get(key, ())]))
    return replace(row, findings=tuple(service_findings(row)), since=since, by=by)


def _takers(row: ServiceRow, automatic: Iterable[str]) -> tuple[str, ...]:
    """Who could take a service from its holder: a candidate, or a member of an automatic cluster that stands by."""
    found = {each for each in automatic if row.reports.get(each) == "standby"}
    if row.candidate and row.reports.get(row.candidate) in {"standby", "nothing"}:
        found.add(row.candidate)
    return tuple(sorted(found - {row.holder}))


def _report(server: ServerRow | None, service: str) -> str:
    """What a server reports of a service; what a silent or fenced server reported before does not count."""
    if server is None:
        return "has no entry"
    if server.server.fenced:
        return "fenced"
    if server.is_silent or server.status is None:
        return "silent"
    return server.status.report_of(service)


@dataclass(slots=True)
class Links:
    """By service: the servers that should run it, those on standby, and those where only files are written.

    A server on which another service displaces this one is on standby. `automatic` are those on standby that become the
    active member of their cluster by themselves.
    """

    chosen: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    standby: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    external: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    automatic: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    problems: list[Problem] = field(default_factory=list)


def links(known: Mapping[str, Model]) -> Links:
    """The links of a whole directory; a link to a missing entry is a problem."""
    found = Links()
    found.problems += _dangling(known)
    members: dict[str, set[str]] = defaultdict(set)
    for key, each in known.items():
        if isinstance(each, Server):
            for link in each.service_links:
                found.chosen[link.key].add(key)
            for link in each.cluster_links:
                members[link.key].add(key)
    for key, each in known.items():
        if isinstance(each, Cluster):
            found.problems += _strangers(each, known)
            for link in each.service_links:
                _through(found, each, known.get(link.key), members[key])
    for key in found.chosen:
        found.standby[key] -= found.chosen[key]
        found.external[key] -= found.chosen[key] | found.standby[key]
    _rest(found, known)
    return found


def _through(found: Links, cluster: Cluster, service: Model | None, members: set[str]) -> None:
    """Add the members of a cluster to one of its services."""
    if not isinstance(service, Service):
        return
    key = service.dn.key
    active = {cluster.active.key} & members if cluster.active is not None else set()
    if cluster.failover is Failover.EXTERNAL:
        found.external[key] |= members
    elif service.exclusive:
        found.chosen[key] |= active
        found.standby[key] |= members - active
        found.automatic[key] |= members - active if cluster.failover is Failover.AUTOMATIC else set()
    else:
        found.chosen[key] |= members


def _rest(found: Links, known: Mapping[str, Model]) -> None:
    """Put displaced services on standby; of two that displace each other on a server the first by name stays."""
    for key, each in sorted(known.items()):
        if isinstance(each, Service) and each.displaces:
            runs_on = _runs_on(found, known, each) - found.standby[key]
            for other in {link.key for link in each.displaces} - {key}:
                found.standby[other] |= runs_on & found.chosen[other]
                found.chosen[other] -= runs_on


def _runs_on(found: Links, known: Mapping[str, Model], service: Service) -> set[str]:
    if not service.exclusive:
        return set(found.chosen[service.dn.key])
    state = known.get(f"{STATE_RDN},{service.dn.key}")
    return {state.holder.key} if isinstance(state, ServiceState) and state.holder is not None else set()


def _dangling(known: Mapping[str, Model]) -> Iterator[Problem]:
    for each in known.values():
        if isinstance(each, Server | Cluster):
            for link in sorted(_all(each), key=lambda link: link.key):
                if link.key not in known:
                    yield Problem(str(each.dn), f"links to {link}, which is not there or not understood")


def _all(value: Server | Cluster) -> Iterable[DN]:
    if isinstance(value, Server):
        return value.service_links | value.cluster_links
    active = frozenset() if value.active is None else frozenset({value.active})
    return value.service_links | value.preferred | active


def _strangers(cluster: Cluster, known: Mapping[str, Model]) -> Iterator[Problem]:
    """The servers that a cluster prefers and that are no members of it."""
    for dn in sorted(cluster.preferred, key=lambda dn: dn.key):
        server = known.get(dn.key)
        if isinstance(server, Server) and cluster.dn not in server.cluster_links:
            yield Problem(str(cluster.dn), f"prefers {dn}, which is not a member of it")
