"""`relocd status` and `relocd explain` on the command line: arguments, printing and exit codes."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Final

import click
import typer
from typer.core import TyperCommand

from relocd.cli_access import Seconds, with_access
from relocd.cli_groups import SEE
from relocd.cli_screen import Screen, print_json
from relocd.errors import Invalid, RelocdError
from relocd.operator.access import Access
from relocd.operator.directory import on_directory
from relocd.operator.explain import explanation
from relocd.operator.explain_text import as_json as explained_json
from relocd.operator.explain_text import as_text
from relocd.operator.lookup import scene_with_past
from relocd.operator.standing import Level
from relocd.operator.status import read_view, watch
from relocd.operator.status_tables import as_json, check_line, tables
from relocd.printable import say

__all__ = ["app"]

_EVERY_S: Final = "2"
app = typer.Typer()


class Watching(TyperCommand):
    """A command whose option `--watch` may be given without its number."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the line with the number that is left out."""
        for at in reversed([at for at, each in enumerate(args) if each == "--watch"]):
            if args[at + 1 : at + 2] == [] or args[at + 1].startswith("-"):
                args.insert(at + 1, _EVERY_S)
        return super().parse_args(ctx, args)


@app.command(rich_help_panel=SEE, cls=Watching)
@with_access
def status(
    access: Access,
    json_: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="One line and the exit codes of a monitoring plug-in.")
    ] = False,
    every_s: Annotated[
        float | None,
        typer.Option(
            "--watch",
            click_type=Seconds(0.1),
            metavar="[SECONDS]",
            help=f"Show it again every so many seconds ({_EVERY_S}), until Ctrl-C.",
        ),
    ] = None,
) -> None:
    """Show how all services and servers stand: who holds what, who was last heard when, and what is wrong.

    Exits with 1 when anything is. With --check: 0 OK; 1 WARNING, something waits or is wrong; 2 CRITICAL, an exclusive
    service that is chosen somewhere has no holder, or one that is silent; 3 UNKNOWN, the directory does not answer.
    """
    if json_ + check + (every_s is not None) > 1:
        raise Invalid("--json, --check and --watch exclude each other")
    if check:
        _check(access)
    elif every_s is not None:
        with suppress(KeyboardInterrupt):
            watch(Screen(), access, every_s)
    else:
        seen = read_view(access)
        if json_:
            print_json(as_json(seen))
        else:
            Screen().print(tables(seen))
        raise typer.Exit(min(seen.level, Level.WARNING))


def _check(access: Access) -> None:
    try:
        seen = read_view(access)
    except RelocdError as error:
        say(f"RELOCD UNKNOWN: {error}".replace("|", "/"))
        raise typer.Exit(Level.UNKNOWN) from error
    say(check_line(seen))
    raise typer.Exit(seen.level)


@app.command(rich_help_panel=SEE)
@with_access
def explain(
    service: Annotated[str, typer.Argument(help="The service's cn, or its DN.")],
    access: Access,
    json_: Annotated[bool, typer.Option("--json", help="JSON instead of text.")] = False,
) -> None:
    """Say why a service runs where it runs: for each server the rule and the reason, and what would bring it there."""
    told = explanation(on_directory(access, lambda directory: scene_with_past(directory, service)))
    if json_:
        print_json(explained_json(told))
    else:
        Screen().print(as_text(told))
