"""The command line: arguments, printing and exit codes, nothing else."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import click
import typer
from typer.main import get_command

from relocd import __version__, acl, cli_completion, cli_doctor, cli_install, cli_orders, cli_status
from relocd.acl import EXAMPLE
from relocd.acl_rules import Roles
from relocd.cli_access import PATH, Seconds, dn_given, with_given_access
from relocd.cli_groups import HERE, SEE, SET_UP, Grouped
from relocd.cli_run import EXIT_PROBLEMS, outcome
from relocd.cli_screen import Screen, print_json
from relocd.errors import Failed, Fatal, Invalid, RelocdError, Unavailable
from relocd.extras import missing_libraries
from relocd.model.mode import Mode
from relocd.model.settings import DEFAULT_CONFIG, STATUS_NAME, PathSettings
from relocd.model.uri import DirectoryUri
from relocd.operator.access import Access
from relocd.operator.agent_mode import drain_agent, give_order
from relocd.operator.directory import entries
from relocd.operator.overview import Overview, overview
from relocd.operator.pair import init_pair, planned
from relocd.operator.pair_plan import Pair
from relocd.operator.show import is_troubled, overview_json, show_overview, show_status
from relocd.operator.status_file import agent_runs, read_status
from relocd.password_file import first_line
from relocd.printable import say
from relocd.schema import FORMS, Form, text
from relocd.slapd.changes import ldif
from relocd.slapd.ldapi import SOCKET

__all__ = ["main"]

_ORDER_S = 10.0

_HELP = """Services that move between servers by one LDAP modify.

Exit codes: 0 all is well, 1 something could not be done or is wrong, 2 wrong arguments or configuration, 3 the
directory does not answer.
"""
app = typer.Typer(
    cls=Grouped,
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # nothing that is printed is markup
    suggest_commands=False,  # click does so itself
    context_settings={"help_option_names": ["-h", "--help"]},
)
_CONFIG = typer.Option("--config", help="The agent's configuration file.", envvar="RELOCD_CONFIG", click_type=PATH)
Config = Annotated[Path, _CONFIG]
StatusFile = Annotated[Path, typer.Option("--status", help="Where the agent here leaves its status.", click_type=PATH)]
_DEFAULT_CONFIG = Path(DEFAULT_CONFIG)
_DEFAULT_STATUS = Path(PathSettings().run) / STATUS_NAME


def main() -> None:
    """Run one command and exit with its code."""
    cli_completion.exit_if_asked(get_command(app))
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """The exit code of one command."""
    return outcome(app, arguments)


def _print_version(value: bool) -> None:
    if value:
        print(__version__)
        raise typer.Exit


@app.callback()
def relocd(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """All commands."""


@app.command(rich_help_panel=SET_UP)
def version() -> None:
    """Print the version."""
    print(__version__)


@app.command(rich_help_panel=SET_UP)
def schema(
    form: Annotated[
        Form, typer.Option("--format", help="For slapd.conf or cn=config.", click_type=click.Choice(FORMS))
    ] = "schema",
    access: Annotated[bool, typer.Option("--acl", help="The access rules instead of the schema.")] = False,
    suffix: Annotated[str, typer.Option(help="With --acl: where relocd's entries begin.")] = EXAMPLE.suffix,
    admins: Annotated[str, typer.Option(help="With --acl: the group or entry of administrators.")] = "",
    triggers: Annotated[str, typer.Option(help="With --acl: the group or entry that may move services.")] = "",
    database: Annotated[str, typer.Option(help="With --acl: the database's entry in cn=config.")] = EXAMPLE.database,
) -> None:
    """Print the directory schema, or access rules for OpenLDAP."""
    if not access:
        print(text(form), end="")
        return
    if not admins:
        raise Invalid("--acl needs --admins, the name of a group or an entry; nobody else could change anything")
    print(acl.text(form, Roles(dn_given("--suffix", suffix), admins, triggers, database)), end="")


@app.command(rich_help_panel=SEE)
@with_given_access
def show(
    access: Access,
    status: StatusFile = _DEFAULT_STATUS,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False,
) -> None:
    """Show who runs what and why, everything that is wrong in the directory, and the agent's status on this machine.

    Exits with 1 when there is a problem, or no agent runs here although one has left its status.
    """
    here = read_status(status)
    if not access.uris and here is None:
        raise Invalid(f"nothing to show: no agent has left a status in {status}; name a directory by --uri and --base")
    if bool(access.uris) != bool(access.base):
        raise Invalid("--uri and --base belong together")
    runs = here is not None and agent_runs(status)
    view, unread = _read_overview(access)
    if as_json:
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
        raise typer.Exit(EXIT_PROBLEMS)


def _read_overview(access: Access) -> tuple[Overview | None, RelocdError | None]:
    """The overview, or why there is none: what is known of this machine is shown all the same."""
    if not access.uris:
        return None, None
    try:
        return overview(entries(access)), None
    except (Unavailable, Failed) as error:
        return None, error


@app.command(rich_help_panel=HERE)
def agent(
    config: Config = _DEFAULT_CONFIG,
    log_format: Annotated[str, typer.Option(help="auto, text, json or journal; else as [agent] log_format says.")] = "",
) -> None:
    """Run the agent in the foreground: this server then follows its links in the directory."""
    _need_agent()
    more = ["--log-format", log_format] if log_format else []
    # The agent's own process has no use for the command line's libraries.
    os.execv(sys.executable, [sys.executable, "-m", "relocd.daemon", "--config", str(config), *more])  # noqa: S606


@app.command(rich_help_panel=HERE)
def apply(
    config: Config = _DEFAULT_CONFIG,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    timeout_s: Annotated[
        float, typer.Option("--timeout", click_type=Seconds(), help="Seconds to wait for the directory.")
    ] = 30.0,
) -> None:
    """Do one cycle and exit: make this server what the directory wishes it to be now."""
    _need_agent()
    from relocd.agent.logs import begin_logging, stream_handler
    from relocd.single import apply_now, plan_now

    begin_logging("warning", stream_handler("text"))
    cycle = asyncio.run((plan_now if dry_run else apply_now)(config, timeout_s))
    for step in cycle.steps:
        say(f"{step.name} ({step.wish})")
        for difference in step.differences:
            say(difference, end="")
        for action in step.actions:
            say(f"  {'would ' if dry_run else ''}{action}")
        for problem in step.problems:
            say(f"  problem: {problem}")
        if not step.actions and not step.problems:
            print("  nothing to do")
    for subject in cycle.problems:
        say(f"problem: {subject}")
    if not cycle.steps and not cycle.problems:
        print("nothing to do: this server is linked to nothing, and nothing is left of what it was linked to")
    if cycle.problems or any(step.problems for step in cycle.steps):
        raise typer.Exit(EXIT_PROBLEMS)


@app.command(rich_help_panel=HERE)
def check(config: Config = _DEFAULT_CONFIG) -> None:
    """Check the configuration and every template set, without the directory."""
    _need_agent()
    from relocd.single import checked

    findings = checked(config)
    for finding in findings:
        level = "error" if finding.problem else "warning" if finding.warning else "ok   "
        say(f"{level} {finding.subject}: {finding.problem or finding.warning or finding.detail}")
    if any(finding.problem for finding in findings):
        raise typer.Exit(EXIT_PROBLEMS)


@app.command(rich_help_panel=HERE)
def drain(
    status: StatusFile = _DEFAULT_STATUS,
    timeout_s: Annotated[float, typer.Option("--timeout", click_type=Seconds(), help="Seconds to wait.")] = 300.0,
) -> None:
    """Give away every exclusive service that this server holds, in order, and wait until that is done.

    A service that others may run is kept until one of them is ready; one that nobody else may run stops. The agent
    takes nothing until `relocd resume` or the next boot.
    """
    for fate in drain_agent(status, timeout_s, say):
        say(fate)
    print("drained: this server holds no exclusive service")


@app.command(rich_help_panel=HERE)
def pause(status: StatusFile = _DEFAULT_STATUS) -> None:
    """Let the agent on this machine watch and do nothing, until `relocd resume` or the next boot."""
    give_order(status, Mode.PAUSED, _ORDER_S, say)
    print("paused: what runs here goes on, and nothing is changed")


@app.command(rich_help_panel=HERE)
def resume(status: StatusFile = _DEFAULT_STATUS) -> None:
    """End `relocd drain` or `relocd pause`."""
    give_order(status, Mode.NORMAL, _ORDER_S, say)
    print("resumed")


@app.command("init-pair", rich_help_panel=SET_UP)
def init_pair_command(
    server_id: Annotated[int, typer.Option(help="The number of this provider: 1 on one node, 2 on the other.")],
    peer: Annotated[str, typer.Option(help="The URI of the other node: ldap:// or ldaps://.")],
    password_file: Annotated[
        Path, typer.Option(help="The password of who copies, the same on both nodes.", click_type=PATH)
    ],
    suffix: Annotated[str, typer.Option(help="Where relocd's entries begin.")] = EXAMPLE.suffix,
    admins: Annotated[
        str, typer.Option(help="The group or entry of administrators; by default the rootdn of the data above.")
    ] = "",
    triggers: Annotated[str, typer.Option(help="The group or entry that may move services.")] = "",
    tls: Annotated[bool, typer.Option("--tls/--no-tls", help="Protect an ldap:// peer by StartTLS.")] = True,
    create: Annotated[bool, typer.Option("--create", help="Create the first entries: on one node only.")] = False,
    folder: Annotated[str, typer.Option(help="For the databases; by default beside those that are there.")] = "",
    socket: Annotated[str, typer.Option(help="The socket of the slapd of this machine.")] = SOCKET,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the changes, as LDIF.")] = False,
) -> None:
    """Make the slapd of this machine one of a pair that both take writes to relocd's entries. Can be repeated."""
    other = _peer(peer)
    starttls = tls and other.scheme == "ldap"
    pair = Pair(
        dn_given("--suffix", suffix),
        server_id,
        other.written(),
        first_line(password_file),
        admins,
        triggers,
        starttls,
        folder,
    )
    if dry_run:
        print(ldif(planned(socket, pair, create=create)), end="")
        return
    changed = False
    for change in init_pair(socket, pair, create=create):
        changed = True
        say(f"done: {change.why}")
    if not changed:
        print("nothing to do")


def _peer(text: str) -> DirectoryUri:
    found = DirectoryUri.parse(text)
    if not found.host:
        raise Invalid(f"--peer {text!r} names no other server; write ldap://HOST or ldaps://HOST")
    return found


def _need_agent() -> None:
    missing = missing_libraries()
    if missing:
        raise Fatal(
            f"this needs the agent's libraries ({', '.join(missing)}); install them in a clone of relocd by: "
            "pip install '.[agent]'"
        )


for part in (cli_doctor, cli_orders, cli_status, cli_install, cli_completion):
    app.add_typer(part.app)

if __name__ == "__main__":
    main()
