"""How far the agents have carried out an order: the service's state and the new server's status in, text out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Entry, Server, Service, ServiceState
from relocd.model.mode import Mode
from relocd.model.parse import parsed
from relocd.operator.status.health import ServerRow
from relocd.operator.status.server_status import server_status
from relocd.operator.status.view import now_of, server_view

__all__ = ["End", "Progress", "Reading", "Watched", "reported_problems", "progress", "reading"]


class End(Enum):
    """How the wait for a service has ended."""

    DONE = "done"
    GIVEN_BACK = "lost"


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """A service that should run on a server; `generation` is that of its state before the order."""

    service: Service
    server: DN
    generation: int

    @property
    def name(self) -> str:
        """The name of the server."""
        return self.server.name


@dataclass(frozen=True, slots=True)
class Reading:
    """The state of a service and its new server as the directory has them now, None where there is no such entry.

    `resting` is a service that displaces this one and that the new server holds.
    """

    state: ServiceState | None
    seen: ServerRow | None
    resting: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is, in words, and whether that is the end."""

    text: str
    end: End | None = None


def reading(watched: Watched, displacing: Iterable[DN], entries: Mapping[str, Entry], now_s: float) -> Reading:
    """The reading of a service from entries by name (`DN.key`); `displacing` are the services that displace it."""
    state = _state(entries, watched.service.dn)
    server = entries.get(watched.server.key)
    status = entries.get(watched.server.below(names.STATUS_RDN).key)
    value = parsed(server)[0] if server else None
    seen = None
    if isinstance(value, Server):
        seen = server_view(value, server_status(status) if status else None, now_of([status] if status else [], now_s))
    held = (
        dn.name for dn in displacing if (other := _state(entries, dn)) is not None and other.holder == watched.server
    )
    return Reading(state, seen, next(held, ""))


def _state(entries: Mapping[str, Entry], service: DN) -> ServiceState | None:
    entry = entries.get(service.below(names.STATE_RDN).key)
    value = parsed(entry)[0] if entry else None
    return value if isinstance(value, ServiceState) else None


def progress(watched: Watched, reading: Reading) -> Progress:
    """How far it is."""
    state, name = reading.state, watched.name
    if not watched.service.exclusive:
        runs = _says_active(watched, reading, 0)
        return Progress(f"{name} runs it", End.DONE) if runs else Progress(_why(watched, reading))
    if state is not None and state.holder == watched.server:
        return _as_holder(watched, reading, state)
    if reading.resting:
        return Progress(f"stays stopped on {name} while {reading.resting} displaces it there", End.DONE)
    return _as_other(watched, reading, state)


def _as_holder(watched: Watched, reading: Reading, state: ServiceState) -> Progress:
    holds = f"{watched.name} holds it (generation {state.generation})"
    if not _says_active(watched, reading, state.generation or 0):
        problems = reported_problems(watched, reading)
        return Progress(f"{holds} and activates it{problems and f': {problems}'}")
    if state.previous is not None:
        return Progress(f"{watched.name} runs it and cleans up after {state.previous.name}")
    return Progress(f"{watched.name} runs it, and cleanup is done", End.DONE)


def _as_other(watched: Watched, reading: Reading, state: ServiceState | None) -> Progress:
    name, holder = watched.name, None if state is None else state.holder
    if state is not None and state.candidate == watched.server:
        waits = (
            "takes over when its candidacy has settled" if holder is None else f"waits for {holder.name} to release it"
        )
        return Progress(f"{name} is ready and candidate, and {waits}")
    if holder is None or state is None:
        return Progress(f"no server holds it; {_why(watched, reading)}")
    if (state.generation or 0) >= watched.generation + 2 and not _is_linked(watched, reading):
        return Progress(f"{name} has given it back to {holder.name} (generation {state.generation})", End.GIVEN_BACK)
    return Progress(f"{holder.name} holds it; {_why(watched, reading)}")


def _why(watched: Watched, reading: Reading) -> str:
    """Why the new server does not run the service yet, by its own status."""
    seen, name = reading.seen, watched.name
    if seen is None:
        return f"{name} has no entry that can be read"
    if seen.status is None or seen.age_s is None:
        return f"{seen.silence}: its agent does not run"
    if seen.server.fenced:
        return f"{name} is fenced"
    if seen.is_silent:
        return f"{seen.silence}: its agent does not run"
    if seen.status.mode != Mode.NORMAL:
        return f"{name} is {seen.status.mode}"
    problems = reported_problems(watched, reading)
    return f"{name} is not ready: {problems}" if problems else f"{name} has not reported yet that it is ready"


def reported_problems(watched: Watched, reading: Reading) -> str:
    """The problems that the new server reports of the service, empty where there are none."""
    return "" if reading.seen is None else "; ".join(reading.seen.problems_of(watched.service.name))


def _says_active(watched: Watched, reading: Reading, generation: int) -> bool:
    """Whether the new server reports that it runs the service, in this generation or a later one."""
    seen, service = reading.seen, watched.service
    if seen is None or seen.status is None or seen.is_silent:
        return False
    acted_on = seen.status.acted_on.get(service.uuid, 0)
    return seen.status.says.get(service.dn.key) == "active" and acted_on >= generation


def _is_linked(watched: Watched, reading: Reading) -> bool:
    return reading.seen is not None and watched.service.dn in reading.seen.server.service_links
