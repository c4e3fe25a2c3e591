"""`relocd doctor` on the command line: arguments, printing and exit codes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
from click.exceptions import Exit

from relocd.cli.access import with_given_access
from relocd.cli.options import config_file, flag, in_json
from relocd.cli.output import EXIT_PROBLEMS, EXIT_UNAVAILABLE, Screen, print_json
from relocd.doctor.directory.run import agent_access, examine
from relocd.doctor.finding import DoctorKind, Finding, error, not_checked, ok
from relocd.doctor.host.checks import host_findings
from relocd.doctor.host.probe import host_facts
from relocd.doctor.report import Findings, as_json, is_well, lines
from relocd.errors import Fatal, Invalid
from relocd.model.dn import DN
from relocd.model.entries import Service
from relocd.model.settings import Settings
from relocd.operator.access import Access
from relocd.shipped import missing_libraries

__all__ = ["doctor"]

_HERE = "this host"
NO_AGENT = "relocd[agent] is not installed here"


@click.command
@with_given_access
@config_file
@flag("--directory", help="Check only the directory.")
@flag("--host", help="Check only this host.")
@in_json
def doctor(*, access: Access, config: Path, directory: bool, host: bool, in_json: bool) -> None:
    """Check the directory and this host. Each finding is ok, warning, error or not checked, and says what to do.

    The directory is that of --uri, or else of the agent's configuration. It is checked as the agent's identity unless
    --base or another identity is given. Nothing is changed.
    Exits with 1 for a warning or an error, with 3 when no directory answers or none is named.
    """
    if directory and host:
        raise Invalid("--directory and --host exclude each other; without either both are checked")
    settings, problem = _settings(config)
    found: dict[str, list[Finding]] = {}
    answered, services = True, None
    if not host:
        answered, services = _directory(found, access, settings, problem)
    if not directory:
        found[_HERE] = [problem, *_host(config, settings, services, problem)]
    _show(found, as_text=not in_json)
    if not answered:
        raise Exit(EXIT_UNAVAILABLE)
    if not is_well(found):
        raise Exit(EXIT_PROBLEMS)


def _settings(config: Path) -> tuple[Settings | None, Finding]:
    """The agent's configuration, or why there is none."""
    if missing_libraries():
        return None, not_checked("configuration", DoctorKind.AGENT_NOT_INSTALLED, NO_AGENT)
    if not config.exists():
        advice = "name another by --config"
        return None, not_checked("configuration", DoctorKind.NO_CONFIGURATION, f"{config} is not there", advice)
    from relocd.config.configuration import read_settings

    try:
        return read_settings(config), ok("configuration", f"{config} is valid")
    except Fatal as problem:
        return None, error("configuration", DoctorKind.CONFIGURATION_INVALID, str(problem), "correct that line")


def _directory(
    found: dict[str, list[Finding]], access: Access, settings: Settings | None, problem: Finding
) -> tuple[bool, tuple[Service, ...] | None]:
    """Check the directories; whether one answered, and the services that the server here is linked to."""
    server = agent = None
    if settings is not None:
        server, own = DN.parse(settings.server.dn), agent_access(settings.directory)
        access = _as_agent(access, own)
        agent = server if (access.bind_dn, access.external) == (own.bind_dn, own.external) else None
    if not access.uris or not access.base:
        options = {"--uri": access.uris, "--base": access.base}
        advice = f"name it by {' and '.join(option for option, value in options.items() if not value)}"
        why = f"no directory is named in full; {problem.what}"
        found["directory"] = [not_checked("directory", DoctorKind.NO_DIRECTORY_NAMED, why, advice)]
        return False, None
    result = examine(access, agent)
    found.update({uri: list(some) for uri, some in result.findings.items()})
    return bool(result.directories), None if server is None else result.services_of(server)


def _as_agent(access: Access, own: Access) -> Access:
    """The agent's access where no other is asked for, with the directories of --uri where these are named."""
    if not access.uris:
        return own
    return access if access.base or access.bind_dn or access.external else replace(own, uris=access.uris)


def _host(
    config: Path, settings: Settings | None, services: tuple[Service, ...] | None, problem: Finding
) -> Iterator[Finding]:
    """The findings about this host; those that need the agent's libraries only where they and a configuration exist."""
    tools = None
    if settings is None:
        why = "template sets, interfaces and systemd: see the configuration"
        yield not_checked("equipment", problem.kind, why)
    else:
        from relocd.apply import equipment

        tools = asyncio.run(equipment(config, settings))
    yield from host_findings(host_facts(settings, tools, services))


def _show(found: Findings, *, as_text: bool) -> None:
    if as_text:
        Screen().print(lines(found))
    else:
        print_json(as_json(found))
