"""`relocd show`, `status` and `explain`: which server runs what, how it is, and why."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import click
from click.exceptions import Exit
from rich.live import Live
from rich.text import Text

from relocd.cli.access import service, with_access, with_given_access
from relocd.cli.options import Seconds, flag, in_json, option, status_file
from relocd.cli.output import EXIT_PROBLEMS, Screen, print_json
from relocd.errors import Failed, Invalid, RelocdError, Unavailable
from relocd.operator.access import Access
from relocd.operator.directory import entries, on_directory
from relocd.operator.explain.explain import explanation
from relocd.operator.explain.text import as_json as explained_json
from relocd.operator.explain.text import as_text
from relocd.operator.lookup import service_view_with_past
from relocd.operator.status.health import HealthLevel
from relocd.operator.status.show import Overview, is_troubled, overview, overview_json, show_overview, show_status
from relocd.operator.status.status_file import agent_runs, read_status
from relocd.operator.status.tables import as_json, check_line, tables
from relocd.operator.status.view import read_view
from relocd.printable import say

__all__ = ["explain", "show", "status"]

_EVERY_S: Final = 2


@click.command
@with_given_access
@status_file
@in_json
def show(*, access: Access, status: Path, in_json: bool) -> None:
    """Show which server runs what and why, every problem of the directory, and the agent's status on this machine.

    Exits with 1 when there is a problem, or when no agent runs here although one has left its status.
    """
    here = read_status(status)
    if not access.uris and here is None:
        raise Invalid(f"nothing to show: there is no agent's status at {status}; name a directory by --uri and --base")
    if bool(access.uris) != bool(access.base):
        raise Invalid("--uri and --base belong together")
    runs = here is not None and agent_runs(status)
    view, unread = _read_overview(access)
    if in_json:
        directory = None if view is None else overview_json(view)
        print_json({"directory": directory, "here": here, "agent_runs": runs})
    else:
        console = Screen()
        if view is not None:
            show_overview(console, view)
        if here is not None:
            show_status(console, here, runs=runs)
    if unread is not None:
        raise unread
    if (view is not None and view.problems) or (here is not None and (is_troubled(here) or not runs)):
        raise Exit(EXIT_PROBLEMS)


def _read_overview(access: Access) -> tuple[Overview | None, RelocdError | None]:
    """The overview, or the error in its place: the status of this machine is shown in any case."""
    if not access.uris:
        return None, None
    try:
        return overview(entries(access)), None
    except (Unavailable, Failed) as error:
        return None, error


@click.command
@with_access
@in_json
@flag("--check", help="Print one line and exit with the code of a monitoring plug-in.")
@option(
    "--watch",
    "every_s",
    type=Seconds(0.1),
    is_flag=False,
    flag_value=_EVERY_S,
    metavar="[SECONDS]",
    help=f"Repeat at this interval ({_EVERY_S} s) until Ctrl-C.",
)
def status(*, access: Access, in_json: bool, check: bool, every_s: float | None) -> None:
    """Show the status of all services and servers: holders, heartbeats and problems.

    Exits with 1 when there is a problem. With --check: 0 OK; 1 WARNING, something waits or is wrong; 2 CRITICAL, an
    exclusive service that is chosen somewhere has no holder, or a silent one; 3 UNKNOWN, the directory does not answer.
    """
    if in_json + check + (every_s is not None) > 1:
        raise Invalid("--json, --check and --watch exclude each other")
    if check:
        _check(access)
    elif every_s is not None:
        with suppress(KeyboardInterrupt):
            _watch(Screen(), access, every_s)
    else:
        view = read_view(access)
        if in_json:
            print_json(as_json(view))
        else:
            Screen().print(tables(view))
        raise Exit(min(view.level, HealthLevel.WARNING))


def _watch(console: Screen, access: Access, every_s: float) -> None:
    """Show the status at this interval until Ctrl-C; while no directory answers, show that."""
    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
        while True:
            try:
                live.update(tables(read_view(access)), refresh=True)
            except (Unavailable, Failed) as error:
                live.update(Text(str(error), "bold red"), refresh=True)
            time.sleep(every_s)


def _check(access: Access) -> None:
    try:
        view = read_view(access)
    except RelocdError as error:
        say(f"RELOCD UNKNOWN: {error}".replace("|", "/"))
        raise Exit(HealthLevel.UNKNOWN) from error
    say(check_line(view))
    raise Exit(view.level)


@click.command
@service
@with_access
@in_json
def explain(*, service: str, access: Access, in_json: bool) -> None:
    """Explain why a service runs where it runs: for each server the rule, the reason, and what would move it there."""
    told = explanation(on_directory(access, lambda directory: service_view_with_past(directory, service)))
    if in_json:
        print_json(explained_json(told))
    else:
        Screen().print(as_text(told))
