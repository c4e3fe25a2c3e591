"""The whole directory for `relocd show`: which server runs what and why, and every problem. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from relocd.election.eligibility import decision, ownership
from relocd.election.observation import State
from relocd.model.entries import Cluster, Entry, Problem, Server, Service
from relocd.model.snapshot import Snapshot
from relocd.sync.index import Index, whole
from relocd.sync.view import interest_of, snapshot_of

__all__ = ["Overview", "Run", "overview"]


@dataclass(frozen=True, slots=True)
class Run:
    """The role of one server for one service, and why.

    `role` is `active` or `standby`; of an exclusive service `holder`, `candidate`, `previous`, `chosen` or `standby`.
    """

    service: Service
    server: Server
    role: str
    reason: str


@dataclass(frozen=True, slots=True)
class Overview:
    """Every valid entry, which server runs what, and every problem."""

    servers: tuple[Server, ...]
    clusters: tuple[Cluster, ...]
    services: tuple[Service, ...]
    runs: tuple[Run, ...]
    problems: tuple[Problem, ...]


def overview(entries: Iterable[Entry]) -> Overview:
    """The overview of a directory, by the agents' own decisions."""
    content = Index(whole(entry) for entry in entries)
    records = sorted(content, key=lambda record: record.key)
    values = [record.whole.value for record in records if record.whole]
    problems = {problem: None for record in records if record.whole for problem in record.whole.problems}
    runs: list[Run] = []
    for server in (value for value in values if isinstance(value, Server)):
        record = content.get(server.uuid)
        snapshot = snapshot_of(content, record, server.dn, interest_of(content, record, server.dn.key))
        problems |= dict.fromkeys(snapshot.problems)
        linked = snapshot.linked(server) | snapshot.held_by(server)
        found = (_run(snapshot, server, snapshot.services[uuid]) for uuid in sorted(linked & snapshot.services.keys()))
        runs += [run for run in found if run is not None]
    return Overview(
        servers=tuple(value for value in values if isinstance(value, Server)),
        clusters=tuple(value for value in values if isinstance(value, Cluster)),
        services=tuple(value for value in values if isinstance(value, Service)),
        runs=tuple(runs),
        problems=tuple(problems),
    )


def _run(snapshot: Snapshot, server: Server, service: Service) -> Run | None:
    """The role of a server for a service: by its state where it is exclusive, else by the links."""
    decided = decision(snapshot, server, service)
    if not service.exclusive or (decided is not None and decided.files_only):
        return None if decided is None else Run(service, server, str(decided.role), decided.reason)
    reason = "no longer linked" if decided is None else decided.reason
    contested = ownership(snapshot, server, service, {})
    state = contested.state or State()
    named = {state.previous: "previous", state.candidate: "candidate", state.holder: "holder"}
    chosen = "chosen" if server.uuid in contested.eligible.all else "standby"
    return Run(service, server, named.get(server.uuid, chosen), reason)
