"""Entries of the directory as values: servers, clusters, services, their states, and problems found in an entry.

`relocd.model.parse` makes them of the attributes that the directory sends. A `Snapshot` holds those that concern one
server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Interface, IPv6Interface
from typing import Final, NewType

from relocd.model.dn import DN

__all__ = [
    "Attributes",
    "Cluster",
    "Entry",
    "EntryUUID",
    "Failover",
    "Isolation",
    "LastChange",
    "Problem",
    "Secret",
    "Server",
    "Service",
    "ServiceAddress",
    "ServiceState",
    "Snapshot",
    "csn_server_id",
    "csn_time_s",
]

_CSN_TIME: Final = re.compile(r"([0-9]{8})([0-9]{6}\.[0-9]{1,6}Z)")
EntryUUID = NewType("EntryUUID", str)
"""The identity of an entry (RFC 4530), in the canonical lower-case form with hyphens."""
Attributes = Mapping[str, tuple[bytes, ...]]
"""Attribute values by lower-case attribute name."""
ServiceAddress = IPv4Interface | IPv6Interface
"""An address with its prefix length."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as the directory sent it; `csn` is its entryCSN, empty where the server sends none.

    Its representation leaves out the attributes, since secrets are among them.
    """

    uuid: EntryUUID
    dn: DN
    csn: str
    attributes: Attributes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem to show: `subject` names the entry, file or key, `message` says what is wrong and what to do."""

    subject: str
    message: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.message}"


class Secret:
    """A value that is shown only by `reveal`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself, for rendering."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(********)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


class Failover(StrEnum):
    """`relocFailover`: who sets the active member of a cluster."""

    MANUAL = "manual"
    AUTOMATIC = "automatic"
    EXTERNAL = "external"


class Isolation(StrEnum):
    """`relocIsolation`: what a holder does while it cannot reach the directory."""

    KEEP = "keep"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class LastChange:
    """Who made the last change of an entry (`modifiersName`), and its CSN; empty where the directory shows neither."""

    by: str = ""
    csn: str = ""


@dataclass(frozen=True, slots=True)
class Server:
    """An entry of class `relocServer`."""

    uuid: EntryUUID
    dn: DN
    name: str
    service_links: frozenset[DN]
    cluster_links: frozenset[DN]
    fenced: bool
    attributes: Attributes
    changed: LastChange = field(default=LastChange(), compare=False)


@dataclass(frozen=True, slots=True)
class Cluster:
    """An entry of class `relocCluster`; `failback_s` is None where no member becomes active again by itself."""

    uuid: EntryUUID
    dn: DN
    name: str
    service_links: frozenset[DN]
    active: DN | None
    failover: Failover
    preferred: frozenset[DN]
    failback_s: int | None
    attributes: Attributes
    changed: LastChange = field(default=LastChange(), compare=False)


@dataclass(frozen=True, slots=True)
class Service:
    """An entry of class `relocService`."""

    uuid: EntryUUID
    dn: DN
    name: str
    addresses: tuple[ServiceAddress, ...]
    interface: str | None
    template_sets: tuple[str, ...]
    parameters: Mapping[str, str]
    secrets: Mapping[str, Secret]
    exclusive: bool
    isolation: Isolation
    displaces: frozenset[DN]
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class ServiceState:
    """An entry of class `relocServiceState`, `cn=state` below its service; servers are given by their DNs.

    `generation` is None before the first change of holder.
    """

    uuid: EntryUUID
    dn: DN
    csn: str
    service: DN
    holder: DN | None
    candidate: DN | None
    previous: DN | None
    generation: int | None

    @property
    def asking(self) -> DN | None:
        """The candidate, unless it is the holder already: see `relocd.election.observation.State.asking`."""
        return None if self.candidate == self.holder else self.candidate


def csn_time_s(csn: str) -> float | None:
    """When a provider stamped a change, in seconds since 1970 by its clock; None for text that is no CSN.

    A CSN is a change sequence number of OpenLDAP: the value of entryCSN and contextCSN.
    """
    found = _CSN_TIME.fullmatch(csn.partition("#")[0])
    try:
        return datetime.fromisoformat("T".join(found.groups())).timestamp() if found else None
    except ValueError:
        return None


def csn_server_id(csn: str) -> int:
    """The server ID of the provider that took a change; 0 where it has none, and for text that is no CSN.

    A provider has one where it is one of several (slapd.conf(5), `serverID`).
    """
    parts = csn.split("#")
    try:
        return int(parts[2], 16)
    except (IndexError, ValueError):
        return 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The server `me`, what it is linked to, and which other servers and clusters are linked to that.

    `me` is None when the directory has no readable entry for this server. `names` resolves the DNs in links; one that
    is missing points to no entry, or to none that concerns this server. `states` are by service: without an entry
    there is no state yet, with None it cannot be understood. `unknown` are entries that exist but could not be read or
    understood: nothing may be concluded about them. `dangling` are DNs in links and states without an entry that the
    search has sent.
    """

    me: Server | None
    servers: Mapping[EntryUUID, Server] = field(default_factory=dict)
    clusters: Mapping[EntryUUID, Cluster] = field(default_factory=dict)
    services: Mapping[EntryUUID, Service] = field(default_factory=dict)
    states: Mapping[EntryUUID, ServiceState | None] = field(default_factory=dict)
    names: Mapping[DN, EntryUUID] = field(default_factory=dict)
    unknown: frozenset[EntryUUID] = frozenset()
    dangling: frozenset[DN] = frozenset()
    problems: tuple[Problem, ...] = ()

    def targets(self, links: Iterable[DN]) -> frozenset[EntryUUID]:
        """The identities that links point to; a link to no entry is left out."""
        return frozenset(self.names[link] for link in links if link in self.names)

    def clusters_of(self, server: Server) -> tuple[Cluster, ...]:
        """The clusters that a server is a member of, in order of their names."""
        found = (self.clusters[uuid] for uuid in self.targets(server.cluster_links) if uuid in self.clusters)
        return tuple(sorted(found, key=lambda cluster: cluster.dn.key))

    def members(self, cluster: Cluster) -> tuple[Server, ...]:
        """The servers that are members of a cluster, in order of their names."""
        linked = (server for server in self.servers.values() if cluster.uuid in self.targets(server.cluster_links))
        return tuple(sorted(linked, key=lambda server: server.dn.key))

    def held_by(self, server: Server) -> frozenset[EntryUUID]:
        """The services whose state names a server as holder or candidate, linked or not."""
        return frozenset(
            service
            for service, state in self.states.items()
            if state is not None and server.uuid in self.targets(filter(None, (state.holder, state.candidate)))
        )

    def linked(self, server: Server) -> frozenset[EntryUUID]:
        """The services that a server is linked to, directly or through its clusters."""
        direct = self.targets(server.service_links)
        through = (self.targets(cluster.service_links) for cluster in self.clusters_of(server))
        return direct.union(*through)
