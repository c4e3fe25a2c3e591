"""The whole directory as a person wants to see it: who runs what and why, and everything that is wrong. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from relocd.model.entries import Cluster, Entry, EntryUUID, Problem, Server, Service
from relocd.model.template_set import Role
from relocd.plan.holder import decision
from relocd.sync.concern import concern_of
from relocd.sync.content import Content, whole
from relocd.sync.view import snapshot_of

__all__ = ["Overview", "Run", "overview"]


@dataclass(frozen=True, slots=True)
class Run:
    """What one server is to one service, and why."""

    service: Service
    server: Server
    role: str
    reason: str


@dataclass(frozen=True, slots=True)
class Overview:
    """Every entry that was understood, who runs what, and every problem."""

    servers: tuple[Server, ...]
    clusters: tuple[Cluster, ...]
    services: tuple[Service, ...]
    runs: tuple[Run, ...]
    problems: tuple[Problem, ...]


def overview(entries: Iterable[Entry]) -> Overview:
    """The overview of a directory, from the same decisions that the agents make."""
    content = Content(whole(entry) for entry in entries)
    records = sorted(content, key=lambda record: record.key)
    values = [record.whole.value for record in records if record.whole]
    problems = {problem: None for record in records if record.whole for problem in record.whole.problems}
    runs: list[Run] = []
    for server in (value for value in values if isinstance(value, Server)):
        record = content.get(server.uuid)
        snapshot = snapshot_of(content, record, server.dn, concern_of(content, record, server.dn.key))
        problems |= dict.fromkeys(snapshot.problems)
        for uuid in sorted(snapshot.linked(server) & snapshot.services.keys()):
            service = snapshot.services[uuid]
            decided = decision(snapshot, server, service)
            if decided is not None:
                runs.append(Run(service, server, str(decided.role), decided.reason))
    problems |= dict.fromkeys(_contested(runs))
    return Overview(
        servers=tuple(value for value in values if isinstance(value, Server)),
        clusters=tuple(value for value in values if isinstance(value, Cluster)),
        services=tuple(value for value in values if isinstance(value, Service)),
        runs=tuple(runs),
        problems=tuple(problems),
    )


def _contested(runs: Iterable[Run]) -> Iterator[Problem]:
    """Exclusive services that more than one server is to run: the others wait until the first lets go."""
    active: dict[EntryUUID, list[Run]] = {}
    for run in runs:
        if run.service.exclusive and run.role == Role.ACTIVE:
            active.setdefault(run.service.uuid, []).append(run)
    for contenders in active.values():
        if len(contenders) > 1:
            names = " and ".join(run.server.name for run in contenders)
            what = f"is exclusive and wished for on {names}: one runs it and the others wait; leave one link"
            yield Problem(str(contenders[0].service.dn), what)
