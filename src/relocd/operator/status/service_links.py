"""The servers that the links choose for each service, for the whole directory at once. Pure; names are `DN.key`.

What one server concludes from its own links is in `relocd.election.eligibility`; a test compares the two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from relocd.model.dn import DN
from relocd.model.entries import Cluster, Failover, Problem, Server, Service, ServiceState
from relocd.model.names import STATE_RDN
from relocd.model.parse import Model

__all__ = ["Links", "links"]


@dataclass(slots=True)
class Links:
    """By service: the servers that should run it, those on standby, and those where only files are written.

    A server on which another service displaces this one is on standby.
    """

    chosen: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    standby: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    external: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
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
    return value.service_links | ({value.active} if value.active is not None else frozenset())
