"""`cn=status` below a server: what its agent publishes there, encoded and decoded.

The agent replaces all values at each heartbeat. Other agents read the heartbeat alone (`heartbeat_of`), commands read
everything (`status_of`). A value that cannot be understood is ignored: an agent of another version may have written it.

`relocHeartbeat` is stamped by the clock of the server and tells one heartbeat from another. When it was written is
known by the clock of the provider, from the entryCSN of the entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from relocd.errors import Invalid
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Attributes, Entry, csn_time_s
from relocd.model.parse import generation_of
from relocd.model.settings import LONGEST_LEASE_S, HandoverSettings
from relocd.printable import one_line

__all__ = [
    "ATTRIBUTES",
    "FAILED_HERE",
    "PUBLISHED_STATES",
    "Mode",
    "PublishedHeartbeat",
    "ServerStatus",
    "StatusReport",
    "bounded",
    "heartbeat_of",
    "is_status",
    "new_entry",
    "published",
    "service_problem",
    "service_wait",
    "status_of",
]

ATTRIBUTES: Final = (
    names.HEARTBEAT,
    names.LEASE,
    names.AGENT_VERSION,
    names.MODE,
    names.ACTIVE_SERVICE,
    names.STANDBY_SERVICE,
    names.FAILED_SERVICE,
    names.PROBLEM,
    names.ACTED_ON,
)
"""What a status entry has to be read with."""

_BY_STATE: Final = {
    "failed": names.FAILED_SERVICE,
    "standby": names.STANDBY_SERVICE,
    "active": names.ACTIVE_SERVICE,
}
"""The attribute of each state; of a service in several of them the last state counts."""
PUBLISHED_STATES: Final = frozenset(_BY_STATE)
FAILED_HERE: Final = "failed here by its health"
"""How the problem of a service begins that counts as failed on a server."""
_MOST_PROBLEMS: Final = 20
_LONGEST_WRITTEN: Final = 500
_LONGEST_READ: Final = 1000


class Mode(StrEnum):
    """What an administrator has set on a server, beside what the directory says.

    `paused`: watch and change nothing. `drained`: hold no exclusive service and hand over those that are held.
    """

    NORMAL = "normal"
    PAUSED = "paused"
    DRAINED = "drained"


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What an agent publishes with its heartbeat.

    `services` is the state of each service, one of `PUBLISHED_STATES`, by its DN as written. `failed` are the DNs of
    those that failed here by their health, whatever their state. `problems` are sorted and `bounded`. `acted_on` is the
    generation acted on by the entryUUID of the service.
    """

    services: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    acted_on: Mapping[str, int] = field(default_factory=dict)
    mode: Mode = Mode.NORMAL
    failed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PublishedHeartbeat:
    """The heartbeat in a status entry: empty, None and empty where there is none.

    `lease_s` is the lease that the server declares, `mode` as it is written. `failed` are the services that have failed
    there, by `DN.key`.
    """

    stamp: str = ""
    lease_s: float | None = None
    mode: str = ""
    failed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What the agent of a server published last, as text that is safe to print.

    `provider_s` is when the directory took it, in seconds since 1970, None where it sends no entryCSN. `services` is
    the state of each service by `DN.key`, `failed` are all that failed there: also one that is active or on standby,
    and failed by its health. `acted_on` is the generation acted on by the entryUUID of the service.
    """

    provider_s: float | None
    heartbeat: str
    lease_s: float
    version: str
    mode: str
    services: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    acted_on: Mapping[str, int] = field(default_factory=dict)
    failed: frozenset[str] = frozenset()

    def report_of(self, service: str) -> str:
        """What became of a service there, by `DN.key`: a state, `unhealthy` (active, and failed), or `nothing`."""
        state = self.services.get(service, "nothing")
        if service not in self.failed:
            return state
        return "unhealthy" if state == "active" else "failed"

    def problems_of(self, service: str) -> tuple[str, ...]:
        """The problems of one service, by its cn, without that name; those of the whole server are left out."""
        return self._after(service_problem(service, ""))

    def waits_of(self, service: str) -> tuple[str, ...]:
        """What keeps this server, as candidate, from taking over a service, by the service's cn."""
        return self._after(service_wait(service, ""))

    def _after(self, prefix: str) -> tuple[str, ...]:
        return tuple(each.removeprefix(prefix) for each in self.problems if each.startswith(prefix))


def service_problem(service: str, problem: str) -> str:
    """The problem of a service as it is published, by the service's cn."""
    return f"{service}: {problem}"


def service_wait(service: str, reason: str) -> str:
    """Why this server, as candidate, does not take over a service yet, as it is published."""
    return f"{service} waits: {reason}"


def bounded(problems: Iterable[str]) -> tuple[str, ...]:
    """Problems as they are published: sorted, each once, and neither too many nor too long."""
    return tuple(sorted({problem[:_LONGEST_WRITTEN] for problem in problems})[:_MOST_PROBLEMS])


def published(stamp: str, lease_s: float, version: str, report: StatusReport) -> Attributes:
    """All attributes of a status entry that change; those without values are to be deleted."""
    values: dict[str, Iterable[str]] = {
        names.HEARTBEAT: [stamp],
        names.LEASE: [f"{lease_s:g}"],
        names.AGENT_VERSION: [version],
        names.MODE: [str(report.mode)],
        names.PROBLEM: report.problems,
        names.ACTED_ON: sorted(f"{service}={generation}" for service, generation in report.acted_on.items()),
    }
    for state, name in _BY_STATE.items():
        values[name] = sorted(service for service, now in report.services.items() if now == state)
    values[names.FAILED_SERVICE] = sorted({*values[names.FAILED_SERVICE], *report.failed})
    return {name: tuple(value.encode(errors="replace") for value in each) for name, each in values.items()}


def new_entry(attributes: Attributes) -> Attributes:
    """The attributes with which a status entry is created."""
    naming = {"objectClass": (names.STATUS_CLASS.encode(),), "cn": (names.STATUS_RDN.partition("=")[2].encode(),)}
    return {**naming, **{name: values for name, values in attributes.items() if values}}


def is_status(entry: Entry) -> bool:
    """Whether an entry is the status of the server above it."""
    classes = {name.lower() for name in entry.attributes.get("objectclass", ())}
    return names.STATUS_CLASS.lower().encode() in classes and entry.dn.key.startswith(f"{names.STATUS_RDN},")


def heartbeat_of(entry: Entry) -> PublishedHeartbeat:
    """The heartbeat in a status entry."""
    return PublishedHeartbeat(
        _first(entry, names.HEARTBEAT),
        _lease(_first(entry, names.LEASE)),
        _first(entry, names.MODE),
        frozenset(_keys(entry, names.FAILED_SERVICE)),
    )


def status_of(entry: Entry) -> ServerStatus:
    """Everything in a status entry; the lease and mode of an agent that publishes none are the defaults."""
    heartbeat = heartbeat_of(entry)
    return ServerStatus(
        provider_s=csn_time_s(entry.csn),
        heartbeat=_shown(heartbeat.stamp),
        lease_s=heartbeat.lease_s or HandoverSettings().lease_s,
        version=_shown(_first(entry, names.AGENT_VERSION)),
        mode=_shown(heartbeat.mode) or str(Mode.NORMAL),
        services={key: state for state, name in _BY_STATE.items() for key in _keys(entry, name)},
        failed=heartbeat.failed,
        problems=tuple(sorted(map(_shown, _all(entry, names.PROBLEM)))),
        acted_on=dict(_acted_on(entry)),
    )


def _all(entry: Entry, name: str) -> Iterator[str]:
    return (value.decode(errors="replace") for value in entry.attributes.get(name.lower(), ()))


def _first(entry: Entry, name: str) -> str:
    return next(_all(entry, name), "")


def _shown(text: str) -> str:
    """The text for people: an agent writes short lines; whatever else is there is cut and made printable."""
    return one_line(text[:_LONGEST_READ])


def _lease(text: str) -> float | None:
    """A declared lease in seconds; None for one that is no number, endless or longer than a day."""
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 < seconds <= LONGEST_LEASE_S else None


def _keys(entry: Entry, name: str) -> Iterator[str]:
    for value in _all(entry, name):
        with suppress(Invalid):
            yield DN.parse(value).key


def _acted_on(entry: Entry) -> Iterator[tuple[str, int]]:
    for value in _all(entry, names.ACTED_ON):
        service, _, generation = value.rpartition("=")
        with suppress(Invalid):
            yield _shown(service), generation_of(generation)
