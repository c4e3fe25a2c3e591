"""The status of the directory as tables, as JSON, and as the one line of a monitoring plug-in. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from relocd.operator.status.health import HealthLevel, ServerRow, ServiceRow, StatusView

__all__ = ["as_json", "check_line", "tables"]

_STYLES: Final = {
    HealthLevel.OK: "green",
    HealthLevel.WARNING: "yellow",
    HealthLevel.CRITICAL: "bold red",
    HealthLevel.UNKNOWN: "magenta",
}
_SAID: Final = {"active": "green", "standby": "", "nothing": "dim"}
_MOST: Final = 3


def tables(seen: StatusView) -> RenderableType:
    """Servers, services and problems, as wide as the screen."""
    servers = _table("Servers", "server", "heartbeat", "mode", "version", "runs", "problems")
    for server in seen.servers:
        servers.add_row(*_server_row(server))
    services = _table("Services", "service", "addresses", "chosen", "holder", "gen", "says", "problems")
    for service in seen.services:
        services.add_row(*_service_row(service))
    problems = (
        Text.assemble(("problem ", "bold red"), (each.subject, "bold"), ": ", each.message) for each in seen.problems
    )
    return Group(servers, services, *problems, Text(check_line(seen), _STYLES[seen.level]))


def _server_row(seen: ServerRow) -> Iterator[Text]:
    last = seen.status
    fine = not seen.is_silent and not seen.server.fenced
    yield Text(seen.server.name, _STYLES[seen.level])
    age = "never" if seen.age_s is None else "?" if seen.is_of_the_future else f"{seen.age_s:.1f} s"
    yield Text(age, "" if fine else "bold red")
    yield Text("" if last is None else last.mode)
    yield Text("" if last is None else last.version)
    yield Text("" if last is None else str(Counter(last.services.values())["active"]))
    yield Text("\n".join(seen.notes), _STYLES[seen.level])


def _service_row(seen: ServiceRow) -> Iterator[Text]:
    yield Text(seen.service.name, _STYLES[seen.level])
    yield Text("\n".join(str(address) for address in seen.service.addresses))
    yield Text("\n".join([*seen.chosen, *(f"{name} (files)" for name in seen.external)]))
    yield Text("\n".join(_holders(seen)))
    yield Text("" if seen.generation is None else str(seen.generation))
    yield Text("\n").join(Text(f"{name}: {word}", _SAID.get(word, "red")) for name, word in seen.says.items())
    yield Text("\n").join(Text(each.why, _STYLES[each.level]) for each in seen.findings)


def _holders(seen: ServiceRow) -> Iterator[str]:
    if not seen.service.exclusive:
        yield "(shared)"
    named = ((seen.holder, ""), (seen.candidate, " (candidate)"), (seen.previous, " (previous)"))
    yield from (f"{name}{role}" for name, role in named if name)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def check_line(seen: StatusView) -> str:
    """`RELOCD LEVEL: problems`, the most severe first, then performance data after a bar, as monitoring plug-ins do."""
    services, servers = len(seen.services), len(seen.servers)
    levels = Counter(each.level for each in seen.services)
    silent = sum(each.is_silent for each in seen.servers)
    problems = [why for _, why in sorted(_wrong(seen), key=lambda found: -found[0])]
    more = [f"and {len(problems) - _MOST} more"] if len(problems) > _MOST else []
    text = "; ".join([*problems[:_MOST], *more]) or f"{services} services, {servers} servers"
    if seen.level is HealthLevel.UNKNOWN:
        text = "no server and no service below the base that this identity may read"
    figures = f"services={services} critical={levels[HealthLevel.CRITICAL]} warning={levels[HealthLevel.WARNING]}"
    return f"RELOCD {seen.level.name}: {_plain(text)} | {figures} servers={servers} silent={silent}"


def _wrong(seen: StatusView) -> Iterator[tuple[HealthLevel, str]]:
    for service in seen.services:
        yield from ((each.level, f"{service.service.name}: {each.why}") for each in service.findings)
    for server in seen.servers:
        yield from ((HealthLevel.WARNING, f"{server.server.name}: {note}") for note in server.notes)
    yield from ((HealthLevel.WARNING, str(problem)) for problem in seen.problems)


def _plain(text: str) -> str:
    """One line without the bar that begins the figures."""
    return " ".join(text.replace("|", "/").split())


def as_json(seen: StatusView) -> dict[str, Any]:
    """The whole status as JSON values; neither parameters nor secrets are part of it."""
    return {
        "level": seen.level.name,
        "servers": [_server_json(each) for each in seen.servers],
        "services": [_service_json(each) for each in seen.services],
        "problems": [{"subject": each.subject, "message": each.message} for each in seen.problems],
    }


def _server_json(seen: ServerRow) -> dict[str, Any]:
    last = seen.status
    return {
        "name": seen.server.name,
        "dn": str(seen.server.dn),
        "level": seen.level.name,
        "fenced": seen.server.fenced,
        "silent": seen.is_silent,
        "age_s": None if seen.age_s is None else round(seen.age_s, 3),
        "heartbeat": None if last is None else last.heartbeat,
        "lease_s": None if last is None else last.lease_s,
        "mode": None if last is None else last.mode,
        "version": None if last is None else last.version,
        "notes": list(seen.notes),
    }


def _service_json(seen: ServiceRow) -> dict[str, Any]:
    return {
        "name": seen.service.name,
        "dn": str(seen.service.dn),
        "level": seen.level.name,
        "exclusive": seen.service.exclusive,
        "addresses": [str(address) for address in seen.service.addresses],
        "chosen": list(seen.chosen),
        "standby": list(seen.standby),
        "external": list(seen.external),
        "holder": seen.holder or None,
        "candidate": seen.candidate or None,
        "previous": seen.previous or None,
        "generation": seen.generation,
        "says": dict(seen.says),
        "findings": [{"level": each.level.name, "why": each.why} for each in seen.findings],
    }
