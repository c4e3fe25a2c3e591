"""The health of servers and services: one row each, and findings about what is wrong with a service. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from relocd.model.entries import Problem, Server, Service
from relocd.model.status import ServerStatus

__all__ = ["HealthFinding", "HealthLevel", "ServerRow", "ServiceRow", "StatusView", "findings"]

_GONE: Final = {"silent": "is silent", "fenced": "is fenced", "has no entry": "has no entry that can be understood"}


class HealthLevel(IntEnum):
    """How severe it is; the values are the exit codes of monitoring plug-ins."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """Something that is wrong with a service."""

    level: HealthLevel
    why: str


@dataclass(frozen=True, slots=True)
class ServerRow:
    """One server: its last status, how old that is, and notes on what needs attention, most important first."""

    server: Server
    status: ServerStatus | None
    age_s: float | None
    notes: tuple[str, ...]

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
        name = self.server.name
        if self.status is None or self.age_s is None:
            return f"{name} has never been heard"
        if self.is_of_the_future:
            return f"{name} was last heard {-self.age_s:.0f} s in the future: the clock of its provider is or was wrong"
        return f"{name} has been silent for {self.age_s:.0f} s (lease {self.status.lease_s:g} s)"

    def problems_of(self, service: str) -> tuple[str, ...]:
        """The problems that its agent last reported of a service, by its cn."""
        return () if self.status is None else self.status.problems_of(service)

    @property
    def level(self) -> HealthLevel:
        """WARNING where there are notes; its services are judged by themselves."""
        return HealthLevel.WARNING if self.notes else HealthLevel.OK


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One service, with servers by name: chosen by the links, named by its state, and what each agent reports (`says`).

    A value of `says` is `active`, `standby`, `failed`, `nothing`, or why a server reports nothing. Servers in
    `external` only get files and are not judged.
    """

    service: Service
    chosen: tuple[str, ...]
    standby: tuple[str, ...]
    external: tuple[str, ...]
    holder: str
    candidate: str
    previous: str
    generation: int | None
    says: Mapping[str, str]
    findings: tuple[HealthFinding, ...] = ()

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


def findings(seen: ServiceRow) -> Iterator[HealthFinding]:
    """The findings about a service."""
    yield from _exclusive(seen) if seen.service.exclusive else _shared(seen)
    for server, word in seen.says.items():
        if word == "failed" and not (seen.service.exclusive and server == seen.holder):
            yield HealthFinding(HealthLevel.WARNING, f"{server} reports that it has failed")


def _exclusive(seen: ServiceRow) -> Iterator[HealthFinding]:
    if seen.holder:
        yield from _held(seen)
    elif seen.chosen:
        yield HealthFinding(HealthLevel.CRITICAL, f"chosen on {', '.join(seen.chosen)}, but no server holds it")
    if seen.holder and seen.holder not in seen.chosen:
        yield HealthFinding(HealthLevel.WARNING, f"{seen.holder} holds it, but is not chosen")
    for server in seen.chosen:
        if server not in {seen.holder, seen.candidate, seen.previous}:
            yield HealthFinding(HealthLevel.WARNING, f"{server} is chosen, but not ready")
    if seen.candidate:
        yield HealthFinding(HealthLevel.WARNING, f"{seen.candidate} waits to take over")
    if seen.previous:
        yield HealthFinding(HealthLevel.WARNING, f"{seen.previous} has handed over, but is still recorded as previous")


def _held(seen: ServiceRow) -> Iterator[HealthFinding]:
    level, word = HealthLevel.CRITICAL if seen.chosen else HealthLevel.WARNING, seen.says[seen.holder]
    if word in _GONE:
        yield HealthFinding(level, f"its holder {seen.holder} {_GONE[word]}")
    elif word == "failed":
        yield HealthFinding(level, f"its holder {seen.holder} reports that it has failed")
    elif word in {"nothing", "standby"}:
        yield HealthFinding(HealthLevel.WARNING, f"its holder {seen.holder} has not reported yet that it runs it")


def _shared(seen: ServiceRow) -> Iterator[HealthFinding]:
    for server in seen.chosen:
        if seen.says[server] not in {"active", "failed"}:
            yield HealthFinding(
                HealthLevel.WARNING, f"{server} {_GONE.get(seen.says[server], 'has not reported yet that it runs it')}"
            )
