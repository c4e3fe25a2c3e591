"""The facts about one directory, as values; `relocd.doctor.directory.probe` gathers them. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from relocd.doctor.directory.acl_trials import Known, Tried
from relocd.model.dn import DN
from relocd.model.entries import Cluster, Entry, Server, Service, ServiceState
from relocd.model.parse import parsed
from relocd.model.status import ServerStatus, is_status, status_of
from relocd.openldap.config import Config

__all__ = ["TreeFacts", "DirectoryFacts", "Peer", "RefreshFacts"]


class TreeFacts:
    """The entries of relocd, parsed as far as they are valid."""

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries

    @cached_property
    def statuses(self) -> dict[str, ServerStatus]:
        """The last status by server (`DN.key`)."""
        return {each.dn.parent.key: status_of(each) for each in self.entries if is_status(each)}

    @cached_property
    def _values(self) -> list[object]:
        plain = (each for each in self.entries if not is_status(each))
        return [parsed(each)[0] for each in sorted(plain, key=lambda each: each.dn.key)]

    @property
    def choosing(self) -> tuple[Server | Cluster, ...]:
        """The entries whose links choose who runs what."""
        return tuple(each for each in self._values if isinstance(each, Server | Cluster))

    @property
    def clusters(self) -> tuple[Cluster, ...]:
        """All clusters."""
        return tuple(each for each in self._values if isinstance(each, Cluster))

    def members(self, cluster: Cluster) -> frozenset[DN]:
        """The servers that are linked to a cluster."""
        servers = (each for each in self._values if isinstance(each, Server))
        return frozenset(each.dn for each in servers if cluster.dn in each.cluster_links)

    def server(self, dn: DN) -> Server | None:
        """The server of that name."""
        return next((each for each in self._values if isinstance(each, Server) and each.dn == dn), None)

    def services_of(self, server: Server) -> tuple[Service, ...]:
        """What a server is linked to, directly or through its clusters."""
        linked = self._linked(server)
        return tuple(each for each in self._values if isinstance(each, Service) and each.dn.key in linked)

    def known(self, server: Server) -> Known:
        """What the trials of that server need."""
        return Known(
            servers=tuple(each for each in self._values if isinstance(each, Server)),
            services=tuple(each for each in self._values if isinstance(each, Service)),
            states=tuple(each for each in self._values if isinstance(each, ServiceState)),
            linked=self._linked(server),
            statuses=frozenset(self.statuses),
        )

    def _linked(self, server: Server) -> frozenset[str]:
        mine = (each for each in self._values if isinstance(each, Cluster) and each.dn in server.cluster_links)
        through = (link.key for cluster in mine for link in cluster.service_links)
        return frozenset(link.key for link in server.service_links) | frozenset(through)


@dataclass(frozen=True, slots=True)
class RefreshFacts:
    """The answers to the begin of a persistent search (RFC 4533, section 3.3), of mode refreshOnly and one entry.

    `served` is whether the suffix answers the control at all. `by_log` is whether a cookie that is one change old is
    answered from a session log (refreshDeletes) and not by a present phase; None when there was no cookie to try.
    """

    served: bool
    by_log: bool | None = None


@dataclass(frozen=True, slots=True)
class Peer:
    """The answer of a provider from which a slapd replicates; `problem` is empty where replication can work.

    `now_s` is this host's clock when the changes that it knows were read.
    """

    uri: str
    tried: bool = True
    problem: str = ""
    context_csns: tuple[str, ...] = ()
    now_s: float = 0.0


@dataclass(frozen=True)
class DirectoryFacts:
    """One directory as one identity sees it; `identity` is empty for anonymous, `limit` is why entries are missing.

    `context` is the naming context that the base lies in. `server` is the server whose rights are judged, None where
    none was named. `open_entries` and `open_secrets` count what an anonymous client is shown. `now_s` is this
    host's clock. `config` is None where it cannot be read.
    """

    uri: str
    base: DN
    context: DN
    identity: str
    server: DN | None
    definitions: tuple[str, ...]
    content: TreeFacts
    limit: str
    refresh: RefreshFacts
    context_csns: tuple[str, ...]
    tried: tuple[Tried, ...]
    open_entries: int
    open_secrets: int
    now_s: float
    config: Config | None
    peers: tuple[Peer, ...]
