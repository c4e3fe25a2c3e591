"""Who began a move: the identity that made the last change of the entry whose link, active member or fence began it.

The search brings `modifiersName` with each entry. It names the last change only, so it is kept at the moment at which a
link, an active member or a fence changes; a later change of the same entry does not hide it. What was there before the
present holder came does not count: then no person began the move, but an agent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from relocd.election.eligibility import OwnershipView
from relocd.model.dn import DN
from relocd.model.entries import Cluster, EntryUUID, LastChange, Server, ServiceState, Snapshot

__all__ = ["Cause", "Causes"]

_Link = tuple[EntryUUID, DN]


@dataclass(frozen=True, slots=True)
class Cause:
    """What was done, in words, who did it, and when by the clock of the provider (a CSN); `by_agent`: a server did."""

    what: str
    by: str
    csn: str
    by_agent: bool


@dataclass(slots=True)
class _Tenure:
    """Since when the present generation is known, as the CSN of its state, and since when the one before it was.

    Generation 0 is before the first holder: what was there then counts.
    """

    generation: int
    since: str
    before: str


class Causes:
    """The latest causes of what the directory asks for; `note` takes in each snapshot."""

    def __init__(self) -> None:
        self._snapshot = Snapshot(None)
        self._before = self._snapshot
        self._linked: dict[_Link, Cause] = {}
        self._unlinked: dict[_Link, Cause] = {}
        self._fenced: dict[EntryUUID, Cause] = {}
        self._clusters: dict[EntryUUID, Cause] = {}
        self._tenures: dict[EntryUUID, _Tenure] = {}

    def note(self, snapshot: Snapshot) -> None:
        """Keep who changed what since the snapshot before; an entry that is the same value costs one comparison."""
        before, self._before, self._snapshot = self._snapshot, self._snapshot, snapshot
        for uuid, server in snapshot.servers.items():
            if (known := before.servers.get(uuid)) is not server:
                self._note_server(known, server)
        for uuid, cluster in snapshot.clusters.items():
            if (was := before.clusters.get(uuid)) is not cluster:
                self._note_cluster(was, cluster)
        for service, state in snapshot.states.items():
            if state is not None and before.states.get(service) is not state:
                self._note_state(service, state)

    def _note_server(self, before: Server | None, server: Server) -> None:
        links = frozenset[DN]() if before is None else before.service_links
        for link in server.service_links - links:
            self._unlinked.pop((server.uuid, link), None)
            self._linked[server.uuid, link] = self._cause(f"{server.name} linked", server.changed)
        for link in links - server.service_links:
            self._linked.pop((server.uuid, link), None)
            gone = self._cause(f"{server.name} unlinked", server.changed)
            if not gone.by_agent:  # an agent tidies up, which begins nothing
                self._unlinked[server.uuid, link] = gone
        if server.fenced and not (before is not None and before.fenced):
            self._fenced[server.uuid] = self._cause(f"{server.name} fenced", server.changed)

    def _note_cluster(self, before: Cluster | None, cluster: Cluster) -> None:
        if before is not None and (before.active, before.service_links) == (cluster.active, cluster.service_links):
            return
        active = "no server" if cluster.active is None else cluster.active.name
        what = f"{active} made active in {cluster.name}"
        if before is not None and before.active == cluster.active:
            what = f"services of {cluster.name} changed"
        self._clusters[cluster.uuid] = self._cause(what, cluster.changed)

    def _note_state(self, service: EntryUUID, state: ServiceState) -> None:
        known, generation = self._tenures.get(service), state.generation or 0
        if known is None or generation < known.generation:  # the latter: it was deleted, or a backup was restored
            self._tenures[service] = _Tenure(generation, state.csn, "")
        elif known.generation != generation:
            self._tenures[service] = _Tenure(generation, state.csn, known.since if known.generation else "")

    def taking(self, service: EntryUUID, view: OwnershipView, source: EntryUUID | None) -> Cause | None:
        """What began that `view.me` became the holder after `source`; None where nobody did anything for it."""
        tenure = self._tenures.get(service)
        since = "" if tenure is None else tenure.before
        return _first_cause(self._of_taking(service, view, source), since)

    def leaving(self, service: EntryUUID, view: OwnershipView) -> Cause | None:
        """What began that `view.me` gives the service up to no server in particular."""
        tenure = self._tenures.get(service)
        since = "" if tenure is None else tenure.since
        return _first_cause(chain(self._of_leaving(view, view.me), self._of_clusters(service)), since)

    def _of_taking(self, service: EntryUUID, view: OwnershipView, source: EntryUUID | None) -> Iterator[Cause]:
        link = view.links.get(view.me)
        if link is not None and (view.me, link) in self._linked:
            yield self._linked[view.me, link]
        yield from self._of_clusters(service)
        if source is not None:
            yield from self._of_leaving(view, source)

    def _of_leaving(self, view: OwnershipView, server: EntryUUID) -> Iterator[Cause]:
        """Why a server is not to run it any more."""
        if server in view.fenced and server in self._fenced:
            yield self._fenced[server]
        gone = self._unlinked.get((server, view.service))
        if gone is not None and server not in view.links:
            yield gone

    def _of_clusters(self, service: EntryUUID) -> Iterator[Cause]:
        for uuid, cluster in self._snapshot.clusters.items():
            if uuid in self._clusters and service in self._snapshot.targets(cluster.service_links):
                yield self._clusters[uuid]

    def _cause(self, what: str, change: LastChange) -> Cause:
        servers = chain(self._snapshot.servers.values(), self._before.servers.values())
        by = change.by.lower()
        return Cause(what, change.by, change.csn, any(server.dn.text.lower() == by for server in servers))


def _first_cause(causes: Iterable[Cause], since: str) -> Cause | None:
    """The latest cause after `since`; an agent that acted followed from what somebody else did, where one did."""
    return max(
        (each for each in causes if each.csn > since), key=lambda each: (not each.by_agent, each.csn), default=None
    )
