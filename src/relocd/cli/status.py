"""`relocd status` and `relocd explain` on the command line: arguments, printing and exit codes."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import click
from click.exceptions import Exit

from relocd.cli.access import with_access
from relocd.cli.names import service
from relocd.cli.options import Seconds, flag, in_json, option
from relocd.cli.screen import Screen, print_json
from relocd.errors import Invalid, RelocdError
from relocd.operator.access import Access
from relocd.operator.directory import on_directory
from relocd.operator.explain.explain import explanation
from relocd.operator.explain.text import as_json as explained_json
from relocd.operator.explain.text import as_text
from relocd.operator.lookup import service_view_with_past
from relocd.operator.status.health import HealthLevel
from relocd.operator.status.tables import as_json, check_line, tables
from relocd.operator.status.watch import read_view, watch
from relocd.printable import say

__all__ = ["explain", "status"]

_EVERY_S: Final = 2


@click.command
@with_access
@in_json
@flag("--check", help="Print one line, and exit with the codes of a monitoring plug-in.")
@option(
    "--watch",
    "every_s",
    type=Seconds(0.1),
    is_flag=False,
    flag_value=_EVERY_S,
    metavar="[SECONDS]",
    help=f"Show it again at this interval ({_EVERY_S} s), until Ctrl-C.",
)
def status(*, access: Access, in_json: bool, check: bool, every_s: float | None) -> None:
    """Show how all services and servers stand: who holds what, who was last heard when, and what is wrong.

    Exits with 1 when anything is. With --check: 0 OK; 1 WARNING, something waits or is wrong; 2 CRITICAL, an exclusive
    service that is chosen somewhere has no holder, or one that is silent; 3 UNKNOWN, the directory does not answer.
    """
    if in_json + check + (every_s is not None) > 1:
        raise Invalid("--json, --check and --watch exclude each other")
    if check:
        _check(access)
    elif every_s is not None:
        with suppress(KeyboardInterrupt):
            watch(Screen(), access, every_s)
    else:
        seen = read_view(access)
        if in_json:
            print_json(as_json(seen))
        else:
            Screen().print(tables(seen))
        raise Exit(min(seen.level, HealthLevel.WARNING))


def _check(access: Access) -> None:
    try:
        seen = read_view(access)
    except RelocdError as error:
        say(f"RELOCD UNKNOWN: {error}".replace("|", "/"))
        raise Exit(HealthLevel.UNKNOWN) from error
    say(check_line(seen))
    raise Exit(seen.level)


@click.command
@service
@with_access
@in_json
def explain(*, service: str, access: Access, in_json: bool) -> None:
    """Say why a service runs where it runs: for each server the rule and the reason, and what would bring it there."""
    told = explanation(on_directory(access, lambda directory: service_view_with_past(directory, service)))
    if in_json:
        print_json(explained_json(told))
    else:
        Screen().print(as_text(told))
