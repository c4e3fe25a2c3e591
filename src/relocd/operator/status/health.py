"""The health of servers and services: one row each, with findings about what is wrong. Pure.

A finding has a kind and the servers that it is about; its sentence is made here, from these. docs/findings.md lists the
kinds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from typing import Final

from relocd.model.entries import Problem, Server, Service
from relocd.model.history import HistoryRecord
from relocd.model.status import Mode, ServerStatus

__all__ = [
    "HealthFinding",
    "HealthKind",
    "HealthLevel",
    "ServerRow",
    "ServiceRow",
    "StatusView",
    "server_findings",
    "service_findings",
    "silence",
]


class HealthLevel(IntEnum):
    """How severe it is; the values are the exit codes of monitoring plug-ins."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


class HealthKind(StrEnum):
    """What is wrong with a service, and from `SERVER_FENCED` on with a server."""

    NO_HOLDER = "no-holder"
    HOLDER_SILENT = "holder-silent"
    HOLDER_FENCED = "holder-fenced"
    HOLDER_WITHOUT_ENTRY = "holder-without-entry"
    HOLDER_FAILED = "holder-failed"
    HOLDER_UNHEALTHY = "holder-unhealthy"
    HOLDER_NOT_ACTIVE = "holder-not-active"
    HOLDER_NOT_CHOSEN = "holder-not-chosen"
    NOT_READY = "not-ready"
    CANDIDATE_WAITS = "candidate-waits"
    PREVIOUS_REMAINS = "previous-remains"
    CHOSEN_SILENT = "chosen-silent"
    CHOSEN_FENCED = "chosen-fenced"
    CHOSEN_NOT_ACTIVE = "chosen-not-active"
    SERVICE_FAILED = "service-failed"
    SERVER_FENCED = "server-fenced"
    SERVER_NEVER_HEARD = "server-never-heard"
    SERVER_SILENT = "server-silent"
    CLOCK_AHEAD = "clock-ahead"
    NO_ENTRY_CSN = "no-entry-csn"
    SERVER_MODE = "server-mode"
    AGENT_PROBLEM = "agent-problem"


_SENTENCES: Final[Mapping[HealthKind, str]] = {
    HealthKind.NO_HOLDER: "chosen on {servers}, but no server holds it",
    HealthKind.HOLDER_SILENT: "its holder {servers} is silent",
    HealthKind.HOLDER_FENCED: "its holder {servers} is fenced",
    HealthKind.HOLDER_WITHOUT_ENTRY: "its holder {servers} has no entry that can be understood",
    HealthKind.HOLDER_FAILED: "its holder {servers} reports that it has failed",
    HealthKind.HOLDER_UNHEALTHY: "unhealthy on its holder {servers}, which serves on; {detail}",
    HealthKind.HOLDER_NOT_ACTIVE: "its holder {servers} has not reported yet that it runs it",
    HealthKind.HOLDER_NOT_CHOSEN: "{servers} holds it, but is not chosen",
    HealthKind.NOT_READY: "{servers} is chosen, but not ready",
    HealthKind.CANDIDATE_WAITS: "{servers} waits to take over",
    HealthKind.PREVIOUS_REMAINS: "{servers} has handed over, but is still recorded as previous",
    HealthKind.CHOSEN_SILENT: "{servers} is silent",
    HealthKind.CHOSEN_FENCED: "{servers} is fenced",
    HealthKind.CHOSEN_NOT_ACTIVE: "{servers} has not reported yet that it runs it",
    HealthKind.SERVICE_FAILED: "{servers} reports that it has failed",
    HealthKind.SERVER_FENCED: "fenced",
    HealthKind.SERVER_NEVER_HEARD: "no agent has ever written a status",
    HealthKind.SERVER_SILENT: "silent for {seconds:.0f} s, its lease is {lease_s:g}",
    HealthKind.CLOCK_AHEAD: "was last heard {seconds:.0f} s in the future: the clock of its provider is or was wrong",
    HealthKind.NO_ENTRY_CSN: "silent: its status has no entryCSN, so how old that is is unknown",
    HealthKind.SERVER_MODE: "{detail}",
    HealthKind.AGENT_PROBLEM: "{detail}",
}
_HOLDER: Final = {
    "silent": HealthKind.HOLDER_SILENT,
    "fenced": HealthKind.HOLDER_FENCED,
    "has no entry": HealthKind.HOLDER_WITHOUT_ENTRY,
    "failed": HealthKind.HOLDER_FAILED,
    "nothing": HealthKind.HOLDER_NOT_ACTIVE,
    "standby": HealthKind.HOLDER_NOT_ACTIVE,
}
_CHOSEN: Final = {"silent": HealthKind.CHOSEN_SILENT, "fenced": HealthKind.CHOSEN_FENCED}


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """Something that is wrong with a service or a server.

    `servers` are those that it is about, by name. `seconds` is the age of a heartbeat, or how far that is in the
    future. `detail` is the mode, a problem as the agent reports it, or what becomes of an unhealthy service.
    """

    level: HealthLevel
    kind: HealthKind
    servers: tuple[str, ...] = ()
    seconds: float | None = None
    lease_s: float | None = None
    detail: str = ""

    @property
    def why(self) -> str:
        """The sentence; in the place of a subject it has the name of the service or server."""
        named = ", ".join(self.servers)
        return _SENTENCES[self.kind].format(
            servers=named, seconds=self.seconds, lease_s=self.lease_s, detail=self.detail
        )


@dataclass(frozen=True, slots=True)
class ServerRow:
    """One server: its last status, how old that is, and what needs attention, most important first."""

    server: Server
    status: ServerStatus | None
    age_s: float | None
    findings: tuple[HealthFinding, ...] = ()

    @property
    def is_silent(self) -> bool:
        """Whether its agent has sent no heartbeat within the lease that it declared."""
        return self.status is None or self.age_s is None or abs(self.age_s) > self.status.lease_s

    @property
    def is_of_the_future(self) -> bool:
        """Whether its last heartbeat has a time stamp in the future, so that its age is unknown."""
        return self.status is not None and self.age_s is not None and self.age_s < -self.status.lease_s

    @property
    def silence(self) -> str:
        """How long it has been silent, as the beginning of a sentence."""
        return silence(self.server.name, self.age_s, self.lease_s)

    @property
    def lease_s(self) -> float | None:
        """The lease that it declared last."""
        return None if self.status is None else self.status.lease_s

    def problems_of(self, service: str) -> tuple[str, ...]:
        """The problems that its agent last reported of a service, by its cn."""
        return () if self.status is None else self.status.problems_of(service)

    @property
    def level(self) -> HealthLevel:
        """The level of the most severe finding; its services are judged by themselves."""
        return max((each.level for each in self.findings), default=HealthLevel.OK)


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One service, with servers by name: chosen by the links, named by its state, and what each agent reports.

    A value of `reports` is `active`, `unhealthy` (active, and failed by its health), `standby`, `failed`, `nothing`, or
    why a server reports nothing. Servers in `external` only get files and are not judged. `takers` are those that could
    take the service from an unhealthy holder, by themselves. `since` is the record of the last change of holder, None
    where the history has none of this generation; `by` is a short name of whoever began it.
    """

    service: Service
    chosen: tuple[str, ...]
    standby: tuple[str, ...]
    external: tuple[str, ...]
    holder: str
    candidate: str
    previous: str
    generation: int | None
    reports: Mapping[str, str]
    findings: tuple[HealthFinding, ...] = ()
    takers: tuple[str, ...] = ()
    since: HistoryRecord | None = None
    by: str = ""

    @property
    def level(self) -> HealthLevel:
        """The level of the most severe finding."""
        return max((each.level for each in self.findings), default=HealthLevel.OK)


@dataclass(frozen=True, slots=True)
class StatusView:
    """All servers and services, in the order of names; `problems` are those of entries."""

    servers: tuple[ServerRow, ...]
    services: tuple[ServiceRow, ...]
    problems: tuple[Problem, ...]

    @property
    def level(self) -> HealthLevel:
        """The most severe level of all; UNKNOWN where there is no server and no service."""
        if not self.servers and not self.services:
            return HealthLevel.UNKNOWN
        entries = HealthLevel.WARNING if self.problems else HealthLevel.OK
        return max([entries, *(each.level for each in self.servers), *(each.level for each in self.services)])


def silence(server: str, age_s: float | None, lease_s: float | None) -> str:
    """How long a server has been silent, as the beginning of a sentence."""
    if age_s is None or lease_s is None:
        return f"{server} has never been heard"
    if age_s < -lease_s:
        return f"{server} was last heard {-age_s:.0f} s in the future: the clock of its provider is or was wrong"
    return f"{server} has been silent for {age_s:.0f} s (lease {lease_s:g} s)"


def service_findings(row: ServiceRow) -> Iterator[HealthFinding]:
    """The findings about a service."""
    yield from _exclusive(row) if row.service.exclusive else _shared(row)
    for server, report in row.reports.items():
        if report in {"failed", "unhealthy"} and not (row.service.exclusive and server == row.holder):
            yield _warning(HealthKind.SERVICE_FAILED, server)


def _warning(kind: HealthKind, *servers: str) -> HealthFinding:
    return HealthFinding(HealthLevel.WARNING, kind, servers)


def _exclusive(row: ServiceRow) -> Iterator[HealthFinding]:
    if row.holder:
        yield from _held(row)
    elif row.chosen:
        yield HealthFinding(HealthLevel.CRITICAL, HealthKind.NO_HOLDER, row.chosen)
    if row.holder and row.holder not in row.chosen:
        yield _warning(HealthKind.HOLDER_NOT_CHOSEN, row.holder)
    for server in row.chosen:
        if server not in {row.holder, row.candidate, row.previous}:
            yield _warning(HealthKind.NOT_READY, server)
    if row.candidate:
        yield _warning(HealthKind.CANDIDATE_WAITS, row.candidate)
    if row.previous:
        yield _warning(HealthKind.PREVIOUS_REMAINS, row.previous)


def _held(row: ServiceRow) -> Iterator[HealthFinding]:
    if row.reports[row.holder] == "unhealthy":
        level = HealthLevel.WARNING if row.takers or not row.chosen else HealthLevel.CRITICAL
        yield HealthFinding(level, HealthKind.HOLDER_UNHEALTHY, (row.holder,), detail=_prospect(row))
    kind = _HOLDER.get(row.reports[row.holder])
    if kind is not None:
        critical = row.chosen and kind is not HealthKind.HOLDER_NOT_ACTIVE
        yield HealthFinding(HealthLevel.CRITICAL if critical else HealthLevel.WARNING, kind, (row.holder,))


def _prospect(row: ServiceRow) -> str:
    """What becomes of a service that is unhealthy on its holder, or what would help."""
    name, others = row.service.name, {server: report for server, report in row.reports.items() if server != row.holder}
    if row.takers:
        return f"{', '.join(row.takers)} can take it"
    idle = next((server for server in row.standby if others.get(server) == "standby"), None)
    if idle is not None:
        return f"no server takes it by itself; to move it: relocd move {name} {idle}"
    failed = [server for server, report in others.items() if report == "failed"]
    if failed:
        return f"it has failed on {', '.join(failed)} as well; once that is mended, there: relocd retry {name}"
    return f"no other server can take it; to run it on another: relocd move {name} SERVER"


def _shared(row: ServiceRow) -> Iterator[HealthFinding]:
    for server in row.chosen:
        if row.reports[server] not in {"active", "unhealthy", "failed"}:
            yield _warning(_CHOSEN.get(row.reports[server], HealthKind.CHOSEN_NOT_ACTIVE), server)


def server_findings(row: ServerRow) -> Iterator[HealthFinding]:
    """The findings about a server."""
    name = row.server.name
    if row.server.fenced:
        yield _warning(HealthKind.SERVER_FENCED, name)
    if row.status is None:
        yield _warning(HealthKind.SERVER_NEVER_HEARD, name)
        return
    if row.is_silent:
        yield _silent(row, row.status.lease_s)
    if row.status.mode != Mode.NORMAL:
        yield replace(_warning(HealthKind.SERVER_MODE, name), detail=row.status.mode)
    yield from (replace(_warning(HealthKind.AGENT_PROBLEM, name), detail=each) for each in row.status.problems)


def _silent(row: ServerRow, lease_s: float) -> HealthFinding:
    name = row.server.name
    if row.age_s is None:
        return _warning(HealthKind.NO_ENTRY_CSN, name)
    kind = HealthKind.CLOCK_AHEAD if row.is_of_the_future else HealthKind.SERVER_SILENT
    return replace(_warning(kind, name), seconds=abs(row.age_s), lease_s=lease_s)
