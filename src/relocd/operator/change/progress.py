"""How far the agents have carried out an order: the service's state and the new server's status in, text out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Entry, Server, Service, ServiceState
from relocd.model.parse import parsed
from relocd.model.status import Mode, status_of
from relocd.operator.status.health import ServerRow
from relocd.operator.status.view import now_of, server_view

__all__ = ["Progress", "Reading", "Stage", "Watched", "reported_problems", "progress", "reading"]


class Stage(Enum):
    """How far a service is on its way to its new server; `RUNS`, `DISPLACED` and `GIVEN_BACK` are final."""

    NO_ENTRY = "the new server has no entry"
    NO_AGENT = "its agent does not run"
    FENCED = "it is fenced"
    HELD_BACK = "its agent is paused or drained"
    NOT_READY = "it reports problems, or nothing yet"
    CANDIDATE = "it waits for the holder to release the service"
    SETTLING = "it waits for its candidacy to settle"
    ACTIVATING = "it holds the service and activates it"
    CLEANING_UP = "it runs the service and cleans up after the previous holder"
    RUNS = "it runs the service"
    DISPLACED = "another service displaces this one there"
    GIVEN_BACK = "it gave the service back"

    @property
    def is_final(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self in {Stage.RUNS, Stage.DISPLACED, Stage.GIVEN_BACK}


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
    row: ServerRow | None
    resting: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a service is, and the same in words."""

    stage: Stage
    text: str


def reading(watched: Watched, displacing: Iterable[DN], entries: Mapping[str, Entry], now_s: float) -> Reading:
    """The reading of a service from entries by name (`DN.key`); `displacing` are the services that displace it."""
    state = _state(entries, watched.service.dn)
    server = entries.get(watched.server.key)
    status = entries.get(watched.server.below(names.STATUS_RDN).key)
    value = parsed(server)[0] if server else None
    row = None
    if isinstance(value, Server):
        row = server_view(value, status_of(status) if status else None, now_of([status] if status else [], now_s))
    held = (
        dn.name for dn in displacing if (other := _state(entries, dn)) is not None and other.holder == watched.server
    )
    return Reading(state, row, next(held, ""))


def _state(entries: Mapping[str, Entry], service: DN) -> ServiceState | None:
    entry = entries.get(service.below(names.STATE_RDN).key)
    value = parsed(entry)[0] if entry else None
    return value if isinstance(value, ServiceState) else None


def progress(watched: Watched, reading: Reading) -> Progress:
    """How far the service is."""
    state, name = reading.state, watched.name
    if not watched.service.exclusive:
        return Progress(Stage.RUNS, f"{name} runs it") if _says_active(watched, reading, 0) else _why(watched, reading)
    if state is not None and state.holder == watched.server:
        return _as_holder(watched, reading, state)
    if reading.resting:
        return Progress(Stage.DISPLACED, f"stays stopped on {name} while {reading.resting} displaces it there")
    return _as_other(watched, reading, state)


def _as_holder(watched: Watched, reading: Reading, state: ServiceState) -> Progress:
    name = watched.name
    if not _says_active(watched, reading, state.generation or 0):
        problems = reported_problems(watched, reading)
        holds = f"{name} holds it (generation {state.generation}) and activates it"
        return Progress(Stage.ACTIVATING, f"{holds}{problems and f': {problems}'}")
    if state.previous is not None:
        return Progress(Stage.CLEANING_UP, f"{name} runs it and cleans up after {state.previous.name}")
    return Progress(Stage.RUNS, f"{name} runs it, and cleanup is done")


def _as_other(watched: Watched, reading: Reading, state: ServiceState | None) -> Progress:
    name, holder = watched.name, None if state is None else state.holder
    if state is not None and state.candidate == watched.server:
        ready = f"{name} is ready and candidate"
        if holder is None:
            return Progress(Stage.SETTLING, f"{ready}, and takes over when its candidacy has settled")
        return Progress(Stage.CANDIDATE, f"{ready}, and waits for {holder.name} to release it")
    why = _why(watched, reading)
    if holder is None or state is None:
        return Progress(why.stage, f"no server holds it; {why.text}")
    if (state.generation or 0) >= watched.generation + 2 and not _is_linked(watched, reading):
        back = f"{name} has given it back to {holder.name} (generation {state.generation})"
        return Progress(Stage.GIVEN_BACK, back)
    return Progress(why.stage, f"{holder.name} holds it; {why.text}")


def _why(watched: Watched, reading: Reading) -> Progress:
    """Why the new server does not run the service yet, by its own status."""
    row, name = reading.row, watched.name
    if row is None:
        return Progress(Stage.NO_ENTRY, f"{name} has no entry that can be read")
    if row.server.fenced:
        return Progress(Stage.FENCED, f"{name} is fenced")
    if row.status is None or row.is_silent:
        return Progress(Stage.NO_AGENT, f"{row.silence}: its agent does not run")
    if row.status.mode != Mode.NORMAL:
        return Progress(Stage.HELD_BACK, f"{name} is {row.status.mode}")
    problems = reported_problems(watched, reading)
    text = f"{name} is not ready: {problems}" if problems else f"{name} has not reported yet that it is ready"
    return Progress(Stage.NOT_READY, text)


def reported_problems(watched: Watched, reading: Reading) -> str:
    """The problems that the new server reports of the service, empty where there are none."""
    return "" if reading.row is None else "; ".join(reading.row.problems_of(watched.service.name))


def _says_active(watched: Watched, reading: Reading, generation: int) -> bool:
    """Whether the new server reports that it runs the service, in this generation or a later one."""
    row, service = reading.row, watched.service
    if row is None or row.status is None or row.is_silent:
        return False
    acted_on = row.status.acted_on.get(service.uuid, 0)
    return row.status.services.get(service.dn.key) == "active" and acted_on >= generation


def _is_linked(watched: Watched, reading: Reading) -> bool:
    return reading.row is not None and watched.service.dn in reading.row.server.service_links
