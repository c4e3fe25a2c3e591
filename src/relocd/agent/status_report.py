"""The agent's status: one JSON value for the run folder (`relocd show`), figures for metrics, and its status entry."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from relocd.agent.health.judge import Judgement
from relocd.agent.worker import Leave, Worker
from relocd.election.eligibility import OwnershipView
from relocd.model.entries import Isolation, Problem, ServiceAddress
from relocd.model.figures import CheckHealth, Health, ServiceHealth
from relocd.model.health import Check
from relocd.model.status import PUBLISHED_STATES, Mode, StatusReport, bounded, service_problem, service_wait
from relocd.model.template_set import Role
from relocd.reconcile.goals import Goal, GoalId

__all__ = ["ConnectionState", "health", "one_line", "status", "status_entry"]


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """The connection to the directory: its `state` in one word, since when (seconds since 1970), and why."""

    state: str
    since: float
    detail: str


def status(
    server: str,
    version: str,
    connection: ConnectionState,
    workers: Iterable[Worker],
    problems: Iterable[Problem],
    mode: Mode = Mode.NORMAL,
    checks: Mapping[Check, Judgement] | None = None,
) -> dict[str, Any]:
    """The whole status; times in ISO 8601, no secret anywhere. `checks` are those of the whole server."""
    return {
        "server": server,
        "version": version,
        "mode": str(mode),
        "directory": {
            "state": connection.state,
            "since": _time(connection.since),
            "detail": connection.detail,
        },
        "health": _health(checks or {}),
        "services": [_service(worker) for worker in sorted(workers, key=lambda worker: worker.name)],
        "problems": [{"subject": problem.subject, "message": problem.message} for problem in problems],
    }


def one_line(connection: ConnectionState, workers: Iterable[Worker]) -> str:
    """The status for the service manager."""
    states = [_state(worker) for worker in workers]
    counted = ", ".join(f"{states.count(word)} {word}" for word in sorted(set(states))) or "no service"
    return f"directory {connection.state}; {counted}"


def health(
    connection: ConnectionState,
    workers: Sequence[Worker],
    problems: Sequence[Problem],
    mode: Mode = Mode.NORMAL,
    checks: Mapping[Check, Judgement] | None = None,
) -> Health:
    """The status in figures; problems of services count as those of entries do."""
    return Health(
        services=tuple(_service_health(worker) for worker in workers),
        problems=len(problems) + sum(len(worker.report.problems) for worker in workers),
        mode=mode,
        current=connection.state == "current",
        checks=_checks(checks or {}),
    )


def status_entry(
    workers: Iterable[Worker], problems: Iterable[Problem], mode: Mode, failed_here: Callable[[GoalId], str | None]
) -> StatusReport:
    """What `cn=status` below the server publishes; `failed_here` is why a service has failed here by its health."""
    services: dict[str, str] = {}
    failed: set[str] = set()
    acted_on: dict[str, int] = {}
    found = [str(problem) for problem in problems]
    for worker in workers:
        wanted = worker.wanted
        found += [service_problem(worker.name, problem) for problem in worker.report.problems]
        found += [service_wait(worker.name, reason) for reason in _waits_for(worker) if reason]
        if isinstance(wanted, Goal) and wanted.context.service is not None:
            if (now := _state(worker)) in PUBLISHED_STATES:
                services[wanted.context.service.dn] = now
            if failed_here(worker.goal) is not None:
                failed.add(wanted.context.service.dn)
            if wanted.ownership is not None and wanted.ownership.state is not None:
                acted_on[wanted.id] = wanted.ownership.state.generation
    return StatusReport(services, bounded(found), acted_on, mode, frozenset(failed))


def _waits_for(worker: Worker) -> Iterator[str]:
    """What a candidate waits for, which only it knows; with isolation `release` it is only a matter of time."""
    ownership = _ownership(worker)
    state = None if ownership is None else ownership.state
    if ownership is None or state is None or ownership.isolation is not Isolation.KEEP:
        return
    if state.candidate == ownership.me != state.holder:
        yield worker.report.reason.partition("; ")[2]


def _service_health(worker: Worker) -> ServiceHealth:
    ownership = _ownership(worker)
    return ServiceHealth(
        name=worker.name,
        state=_state(worker),
        holds=_holds(ownership),
        generation=_generation(ownership),
        checks=_checks(worker.judgements),
        failed=bool(worker.failed_here),
    )


def _checks(judgements: Mapping[Check, Judgement]) -> tuple[CheckHealth, ...]:
    return tuple(CheckHealth(check.name, str(each.state)) for check, each in judgements.items())


def _health(judgements: Mapping[Check, Judgement]) -> list[dict[str, str]]:
    """What each check says, since when, and what its last failure was."""
    offset = time.time() - time.monotonic()
    return [
        {
            "check": check.name,
            "state": str(each.state),
            "since": _time(each.since + offset),
            "failure": each.failure,
        }
        for check, each in judgements.items()
    ]


def _generation(ownership: OwnershipView | None) -> int | None:
    return None if ownership is None or ownership.state is None else ownership.state.generation


def _holds(ownership: OwnershipView | None) -> bool | None:
    """Whether this server holds a service; None where no server has to hold it."""
    if ownership is None:
        return None
    waits = bool(ownership.eligible.all) and ownership.displaced_by is None
    return True if ownership.holds else False if waits else None


def _ownership(worker: Worker) -> OwnershipView | None:
    return worker.wanted.ownership if isinstance(worker.wanted, Goal) else None


def _service(worker: Worker) -> dict[str, Any]:
    footprint, wanted, ownership = worker.footprint, worker.wanted, _ownership(worker)
    return {
        "name": worker.name,
        "id": worker.goal,
        "state": _state(worker),
        "since": _time(worker.since),
        "wanted": str(wanted.role) if isinstance(wanted, Goal) else "unknown" if wanted is None else "leave",
        "reason": _reason(worker, ownership),
        "exclusive": ownership is not None,
        "holds": ownership is not None and ownership.holds,
        "holder": _holder(ownership),
        "generation": _generation(ownership),
        "addresses": sorted(map(str, worker.there)),
        "missing": sorted(map(str, _missing(worker))),
        "files": sorted(footprint.files) if footprint else [],
        "units": [unit.name for unit in footprint.units] if footprint else [],
        "health": _health(worker.judgements),
        "failed_here": worker.failed_here,
        "problems": list(worker.report.problems),
    }


def _missing(worker: Worker) -> Iterator[ServiceAddress]:
    """The addresses that should be here and are not."""
    there = {placed.address.ip for placed in worker.there}
    return (address for address in worker.intended if address.ip not in there)


def _reason(worker: Worker, ownership: OwnershipView | None) -> str:
    """Why the service is in its state; the reason of an earlier step does not count while the next one is under way."""
    if worker.acting and ownership is not None and ownership.holds and _state(worker) != "active":
        return "is the holder; a step is under way"
    return worker.report.reason or ("" if worker.wanted is None else worker.wanted.reason)


def _holder(ownership: OwnershipView | None) -> str | None:
    """The holder's name; None where there is none, or it is not known, as when its entry cannot be understood."""
    if ownership is None or ownership.state is None or ownership.state.holder is None:
        return None
    known = ownership.names.get(ownership.state.holder)
    return None if known is None else known.name


def _state(worker: Worker) -> str:
    """`active` or `standby` once reached, `waiting` or `failed` with a problem, `unknown` before the first goal.

    An active service stays active with a problem that interrupts nothing, such as a template that is refused.
    """
    report, role = worker.report, None if worker.footprint is None else worker.footprint.role
    if report.busy:
        return "waiting"
    if report.problems and (report.broken or role is not Role.ACTIVE):
        return "failed"
    if role is not None:
        return str(role)
    return "leaving" if isinstance(worker.wanted, Leave) else "unknown"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
