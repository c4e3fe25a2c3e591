"""What the agent says about itself: one JSON value, written to the run folder and shown by `relocd show`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from relocd.agent.worker import Leave, Worker
from relocd.model.entries import Problem
from relocd.plan.goals import Goal

__all__ = ["Connection", "one_line", "status"]


@dataclass(frozen=True, slots=True)
class Connection:
    """How the agent stands to the directory: `state` in one word, since when (seconds since 1970), and why."""

    state: str
    since: float
    detail: str


def status(
    server: str, version: str, connection: Connection, workers: Iterable[Worker], problems: Iterable[Problem]
) -> dict[str, Any]:
    """The whole status; times in ISO 8601, no secret anywhere."""
    return {
        "server": server,
        "version": version,
        "directory": {
            "state": connection.state,
            "since": _time(connection.since),
            "detail": connection.detail,
        },
        "services": [_service(worker) for worker in sorted(workers, key=lambda worker: worker.name)],
        "problems": [{"subject": problem.subject, "message": problem.message} for problem in problems],
    }


def one_line(connection: Connection, workers: Iterable[Worker]) -> str:
    """The status for the service manager."""
    states = [_state(worker) for worker in workers]
    counted = ", ".join(f"{states.count(word)} {word}" for word in sorted(set(states))) or "no service"
    return f"directory {connection.state}; {counted}"


def _service(worker: Worker) -> dict[str, Any]:
    footprint, wish = worker.footprint, worker.wish
    return {
        "name": worker.name,
        "id": worker.goal,
        "state": _state(worker),
        "since": _time(worker.since),
        "wish": str(wish.role) if isinstance(wish, Goal) else "unknown" if wish is None else "leave",
        "reason": "" if wish is None else wish.reason,
        "addresses": sorted(str(placed) for placed in footprint.addresses) if footprint else [],
        "files": sorted(footprint.files) if footprint else [],
        "units": [unit.name for unit in footprint.units] if footprint else [],
        "problems": list(worker.report.problems),
    }


def _state(worker: Worker) -> str:
    """`active` or `standby` once reached, `failed` or `waiting` with a problem, `unknown` before the first wish."""
    if worker.report.busy:
        return "waiting"
    if worker.report.problems:
        return "failed"
    if worker.footprint is not None and worker.footprint.role is not None:
        return str(worker.footprint.role)
    return "leaving" if isinstance(worker.wish, Leave) else "unknown"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
