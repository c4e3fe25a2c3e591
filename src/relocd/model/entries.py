"""The entries of the directory model as values: servers, clusters, services, and what was wrong with an entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Interface, IPv6Interface
from typing import NewType

from relocd.model.dn import DN

__all__ = [
    "Attributes",
    "Cluster",
    "Entry",
    "EntryUUID",
    "Failover",
    "Isolation",
    "Problem",
    "Secret",
    "Server",
    "Service",
    "ServiceAddress",
    "ServiceState",
]

EntryUUID = NewType("EntryUUID", str)
"""The identity of an entry (RFC 4530), in the canonical lower-case form with hyphens."""

Attributes = Mapping[str, tuple[bytes, ...]]
"""Attribute values by lower-case attribute name."""

ServiceAddress = IPv4Interface | IPv6Interface
"""An address with its prefix length."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as the directory sent it; `csn` is its entryCSN, empty where the server sends none.

    The attributes are not shown, since secrets are among them.
    """

    uuid: EntryUUID
    dn: DN
    csn: str
    attributes: Attributes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong and visible: `subject` names the entry, file or key, `message` says what to do."""

    subject: str
    message: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.message}"


class Secret:
    """A value that shows itself only when asked to."""

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
    """`relocFailover`: who decides which member of a cluster is active."""

    MANUAL = "manual"
    AUTOMATIC = "automatic"
    EXTERNAL = "external"


class Isolation(StrEnum):
    """`relocIsolation`: what a holder does that cannot reach the directory."""

    KEEP = "keep"
    RELEASE = "release"


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


@dataclass(frozen=True, slots=True)
class Cluster:
    """An entry of class `relocCluster`."""

    uuid: EntryUUID
    dn: DN
    name: str
    service_links: frozenset[DN]
    active: DN | None
    failover: Failover
    attributes: Attributes


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
    """An entry of class `relocServiceState`: `cn=state` below the service it is about; servers by their names there.

    `generation` is None where it has never changed hands.
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
