"""`relocd show`: which server runs what and why, by the agents' own rules, and the status of the agent on this machine.

`overview` is pure; the rest prints tables or gives JSON values.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from relocd.election.eligibility import decision, ownership
from relocd.election.observation import State
from relocd.model.entries import Cluster, Entry, Problem, Server, Service, Snapshot
from relocd.sync.index import Index, whole
from relocd.sync.view import interest_of, snapshot_of

__all__ = ["Overview", "Run", "overview", "is_troubled", "overview_json", "show_overview", "show_status"]


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


def overview_json(view: Overview) -> dict[str, Any]:
    """The overview as JSON values; parameters are not part of it, secrets never are."""
    return {
        "servers": [{"name": server.name, "dn": str(server.dn), "fenced": server.fenced} for server in view.servers],
        "clusters": [
            {
                "name": cluster.name,
                "dn": str(cluster.dn),
                "active": None if cluster.active is None else str(cluster.active),
                "failover": str(cluster.failover),
                "preferred": sorted(map(str, cluster.preferred)),
                "failback_s": cluster.failback_s,
            }
            for cluster in view.clusters
        ],
        "services": [
            {
                "name": service.name,
                "dn": str(service.dn),
                "addresses": [str(address) for address in service.addresses],
                "exclusive": service.exclusive,
                "servers": [_run_json(run) for run in view.runs if run.service.uuid == service.uuid],
            }
            for service in view.services
        ],
        "problems": [{"subject": problem.subject, "message": problem.message} for problem in view.problems],
    }


def _run_json(run: Run) -> dict[str, str]:
    return {"server": run.server.name, "role": run.role, "reason": run.reason}


def show_overview(console: Console, view: Overview) -> None:
    """Print which server runs what, and every problem."""
    table = _table("Services in the directory", "service", "addresses", "server", "role", "why")
    for service in view.services:
        addresses = "\n".join(str(address) for address in service.addresses)
        runs = [run for run in view.runs if run.service.uuid == service.uuid]
        for run in runs:
            table.add_row(service.name, addresses, run.server.name, run.role, Text(run.reason))
        if not runs:
            table.add_row(service.name, addresses, "", "", "no server is linked to it")
    console.print(table)
    _show_problems(console, [(problem.subject, problem.message) for problem in view.problems])


def is_troubled(status: dict[str, Any]) -> bool:
    """Whether the status of an agent has any problem."""
    return bool(status["problems"]) or any(service["problems"] for service in status["services"])


def show_status(console: Console, status: dict[str, Any], *, runs: bool) -> None:
    """Print the status of the agent on this machine, or the last one that it left."""
    if not runs:
        console.print(Text("No agent runs here; the last one left this status:", style="bold red"))
    directory = status["directory"]
    console.print(
        Text(f"This server: {status['server']}, directory {directory['state']} since {_local(directory['since'])}"),
        Text(directory["detail"], style="dim"),
    )
    table = _table("Here", "service", "state", "since", "addresses", "why")
    table.columns[2].no_wrap = True
    for service in status["services"]:
        why = "\n".join(service["problems"]) or service["reason"]
        style = "" if service["state"] in {"active", "standby"} else "yellow"
        addresses = "\n".join([*service["addresses"], *(f"{each} (intended)" for each in service.get("missing", ()))])
        table.add_row(service["name"], Text(service["state"], style), _local(service["since"]), addresses, Text(why))
    console.print(table)
    _show_problems(console, [(problem["subject"], problem["message"]) for problem in status["problems"]])


def _local(time: str) -> str:
    """A time of the status as the journal shows it: local, to the second; unchanged where it is not a time."""
    try:
        return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError):
        return time


def _show_problems(console: Console, problems: Iterable[tuple[str, str]]) -> None:
    for subject, message in problems:
        console.print(Text.assemble(("problem ", "bold red"), (subject, "bold"), ": ", message))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
