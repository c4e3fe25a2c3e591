"""The status of the directory as tables, as JSON, and as the one line of a monitoring plug-in. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from relocd.operator.status.health import HealthFinding, HealthLevel, ServerRow, ServiceRow, StatusView

__all__ = ["as_json", "check_line", "tables"]

_STYLES: Final = {
    HealthLevel.OK: "green",
    HealthLevel.WARNING: "yellow",
    HealthLevel.CRITICAL: "bold red",
    HealthLevel.UNKNOWN: "magenta",
}
_REPORTS: Final = {"active": "green", "standby": "", "nothing": "dim"}
_MOST: Final = 3


def tables(view: StatusView) -> RenderableType:
    """Servers, services and problems, as wide as the screen."""
    servers = _table("Servers", "server", "heartbeat", "mode", "version", "runs", "problems")
    for server in view.servers:
        servers.add_row(*_server_row(server))
    services = _table("Services", "service", "addresses", "chosen", "holder", "gen", "reports", "problems")
    for service in view.services:
        services.add_row(*_service_row(service))
    problems = (
        Text.assemble(("problem ", "bold red"), (each.subject, "bold"), ": ", each.message) for each in view.problems
    )
    return Group(servers, services, *problems, Text(check_line(view), _STYLES[view.level]))


def _server_row(row: ServerRow) -> Iterator[Text]:
    last = row.status
    fine = not row.is_silent and not row.server.fenced
    yield Text(row.server.name, _STYLES[row.level])
    age = "never" if row.age_s is None else "?" if row.is_of_the_future else f"{row.age_s:.1f} s"
    yield Text(age, "" if fine else "bold red")
    yield Text("" if last is None else last.mode)
    yield Text("" if last is None else last.version)
    yield Text("" if last is None else str(Counter(last.services.values())["active"]))
    yield _findings(row.findings)


def _service_row(row: ServiceRow) -> Iterator[Text]:
    yield Text(row.service.name, _STYLES[row.level])
    yield Text("\n".join(str(address) for address in row.service.addresses))
    yield Text("\n".join([*row.chosen, *(f"{name} (files)" for name in row.external)]))
    yield Text("\n".join(_holders(row)))
    yield Text("" if row.generation is None else str(row.generation))
    yield Text("\n").join(Text(f"{name}: {word}", _REPORTS.get(word, "red")) for name, word in row.reports.items())
    yield _findings(row.findings)


def _findings(found: Iterable[HealthFinding]) -> Text:
    return Text("\n").join(Text(each.why, _STYLES[each.level]) for each in found)


def _holders(row: ServiceRow) -> Iterator[str]:
    if not row.service.exclusive:
        yield "(shared)"
    if row.holder:
        yield row.holder
    if row.since is not None:
        yield f"since {row.since.at:%Y-%m-%d}"
        yield f"{row.since.at:%H:%M}Z by {row.by}"
    named = ((row.candidate, " (candidate)"), (row.previous, " (previous)"))
    yield from (f"{name}{role}" for name, role in named if name)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def check_line(view: StatusView) -> str:
    """`RELOCD LEVEL: problems`, the most severe first, then performance data after a bar, as monitoring plug-ins do."""
    services, servers = len(view.services), len(view.servers)
    levels = Counter(each.level for each in view.services)
    silent = sum(each.is_silent for each in view.servers)
    problems = [why for _, why in sorted(_wrong(view), key=lambda found: -found[0])]
    more = [f"and {len(problems) - _MOST} more"] if len(problems) > _MOST else []
    text = "; ".join([*problems[:_MOST], *more]) or f"{services} services, {servers} servers"
    if view.level is HealthLevel.UNKNOWN:
        text = "no server and no service below the base that this identity may read"
    figures = f"services={services} critical={levels[HealthLevel.CRITICAL]} warning={levels[HealthLevel.WARNING]}"
    return f"RELOCD {view.level.name}: {_plain(text)} | {figures} servers={servers} silent={silent}"


def _wrong(view: StatusView) -> Iterator[tuple[HealthLevel, str]]:
    for service in view.services:
        yield from ((each.level, f"{service.service.name}: {each.why}") for each in service.findings)
    for server in view.servers:
        yield from ((each.level, f"{server.server.name}: {each.why}") for each in server.findings)
    yield from ((HealthLevel.WARNING, str(problem)) for problem in view.problems)


def _plain(text: str) -> str:
    """One line without the bar that begins the figures."""
    return " ".join(text.replace("|", "/").split())


def as_json(view: StatusView) -> dict[str, Any]:
    """The whole status as JSON values; neither parameters nor secrets are part of it."""
    return {
        "level": view.level.name,
        "servers": [_server_json(each) for each in view.servers],
        "services": [_service_json(each) for each in view.services],
        "problems": [{"subject": each.subject, "message": each.message} for each in view.problems],
    }


def _server_json(row: ServerRow) -> dict[str, Any]:
    last = row.status
    return {
        "name": row.server.name,
        "dn": str(row.server.dn),
        "level": row.level.name,
        "fenced": row.server.fenced,
        "silent": row.is_silent,
        "age_s": None if row.age_s is None else round(row.age_s, 3),
        "heartbeat": None if last is None else last.heartbeat,
        "lease_s": None if last is None else last.lease_s,
        "mode": None if last is None else last.mode,
        "version": None if last is None else last.version,
        "findings": [_finding_json(each) for each in row.findings],
    }


def _service_json(row: ServiceRow) -> dict[str, Any]:
    return {
        "name": row.service.name,
        "dn": str(row.service.dn),
        "level": row.level.name,
        "exclusive": row.service.exclusive,
        "addresses": [str(address) for address in row.service.addresses],
        "chosen": list(row.chosen),
        "standby": list(row.standby),
        "external": list(row.external),
        "holder": row.holder or None,
        "candidate": row.candidate or None,
        "previous": row.previous or None,
        "generation": row.generation,
        "since": None if row.since is None else row.since.at.isoformat(timespec="milliseconds"),
        "by": row.since.by if row.since is not None and row.since.by else None,
        "reports": dict(row.reports),
        "findings": [_finding_json(each) for each in row.findings],
    }


def _finding_json(found: HealthFinding) -> dict[str, Any]:
    return {
        "kind": found.kind,
        "level": found.level.name,
        "servers": list(found.servers),
        "seconds": None if found.seconds is None else round(found.seconds, 3),
        "why": found.why,
    }
