"""The command line: arguments, printing and exit codes, nothing else."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from click.exceptions import Exit

from relocd import __version__
from relocd.cli.access import dn_given, with_given_access
from relocd.cli.completion import completion, exit_if_asked
from relocd.cli.doctor import doctor
from relocd.cli.groups import Grouped
from relocd.cli.install import install
from relocd.cli.options import PATH, config_file, dry_run, flag, in_json, option, status_file, timeout
from relocd.cli.orders import activate, failover, fence, link, move, unfence, unlink
from relocd.cli.run import EXIT_PROBLEMS, outcome
from relocd.cli.screen import Screen, print_json
from relocd.cli.status import explain, status
from relocd.config.password_file import first_line
from relocd.errors import Failed, Fatal, Invalid, RelocdError, Unavailable
from relocd.model.mode import Mode
from relocd.model.uri import DirectoryUri
from relocd.openldap.changes import ldif
from relocd.openldap.ldapi import SOCKET
from relocd.openldap.pair import init_pair, planned
from relocd.openldap.pair_plan import Pair
from relocd.operator.access import Access
from relocd.operator.change.agent_mode import drain_agent, set_mode
from relocd.operator.directory import entries
from relocd.operator.status.overview import Overview, overview
from relocd.operator.status.show import is_troubled, overview_json, show_overview, show_status
from relocd.operator.status.status_file import agent_runs, read_status
from relocd.printable import say
from relocd.schema import acl
from relocd.schema.acl import EXAMPLE
from relocd.schema.acl_rules import Roles
from relocd.schema.definitions import FORMS, Form, text
from relocd.shipped import missing_libraries

__all__ = ["main"]

_ORDER_S = 10.0


def main() -> None:
    """Run one command and exit with its code."""
    exit_if_asked(app)
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """The exit code of one command."""
    return outcome(app, arguments)


@click.command
def version() -> None:
    """Print the version."""
    print(__version__)


@click.command
@option("--format", "form", type=click.Choice(FORMS), default="schema", help="Write it for slapd.conf or cn=config.")
@flag("--acl", "access", help="Print the access rules instead of the schema.")
@option("--suffix", default=EXAMPLE.suffix, help="Write rules for the entries below this DN, with --acl.")
@option("--admins", default="", help="Let this group or entry change everything, with --acl.")
@option("--triggers", default="", help="Let this group or entry move services, with --acl.")
@option("--database", default=EXAMPLE.database, help="Name the database's entry in cn=config, with --acl.")
def schema(*, form: Form, access: bool, suffix: str, admins: str, triggers: str, database: str) -> None:
    """Print the directory schema, or access rules for OpenLDAP."""
    if not access:
        print(text(form), end="")
        return
    if not admins:
        raise Invalid("--acl needs --admins, the name of a group or an entry; nobody else could change anything")
    print(acl.text(form, Roles(dn_given("--suffix", suffix), admins, triggers, database)), end="")


@click.command
@with_given_access
@status_file
@in_json
def show(*, access: Access, status: Path, in_json: bool) -> None:
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
    """The overview, or why there is none: what is known of this machine is shown all the same."""
    if not access.uris:
        return None, None
    try:
        return overview(entries(access)), None
    except (Unavailable, Failed) as error:
        return None, error


@click.command
@config_file
@option("--log-format", default="", help="Log as auto, text, json or journal; by default as [agent] log_format says.")
def agent(*, config: Path, log_format: str) -> None:
    """Run the agent in the foreground: this server then follows its links in the directory."""
    _need_agent()
    more = ["--log-format", log_format] if log_format else []
    # The agent's own process has no use for the command line's libraries.
    os.execv(sys.executable, [sys.executable, "-m", "relocd.daemon", "--config", str(config), *more])  # noqa: S606


@click.command
@config_file
@dry_run("Only show what would be done.")
@timeout(30, "Wait at most this long for the directory.")
def apply(*, config: Path, dry_run: bool, timeout_s: float) -> None:
    """Do one cycle and exit: make this server what the directory wishes it to be now."""
    _need_agent()
    from relocd.agent.logs import begin_logging, stream_handler
    from relocd.apply import apply_now, plan_now

    begin_logging("warning", stream_handler("text"))
    cycle = asyncio.run((plan_now if dry_run else apply_now)(config, timeout_s))
    for step in cycle.steps:
        say(f"{step.name} ({step.wanted})")
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
        raise Exit(EXIT_PROBLEMS)


@click.command
@config_file
def check(*, config: Path) -> None:
    """Check the configuration and every template set, without the directory."""
    _need_agent()
    from relocd.apply import checked

    findings = checked(config)
    for finding in findings:
        level = "error" if finding.problem else "warning" if finding.warning else "ok   "
        say(f"{level} {finding.subject}: {finding.problem or finding.warning or finding.detail}")
    if any(finding.problem for finding in findings):
        raise Exit(EXIT_PROBLEMS)


@click.command
@status_file
@timeout(300, "Wait at most this long.")
def drain(*, status: Path, timeout_s: float) -> None:
    """Give away every exclusive service that this server holds, in order, and wait until that is done.

    A service that others may run is kept until one of them is ready; one that nobody else may run stops. The agent
    takes nothing until `relocd resume` or the next boot.
    """
    for fate in drain_agent(status, timeout_s, say):
        say(fate)
    print("drained: this server holds no exclusive service")


@click.command
@status_file
def pause(*, status: Path) -> None:
    """Let the agent on this machine watch and do nothing, until `relocd resume` or the next boot."""
    set_mode(status, Mode.PAUSED, _ORDER_S, say)
    print("paused: what runs here goes on, and nothing is changed")


@click.command
@status_file
def resume(*, status: Path) -> None:
    """End `relocd drain` or `relocd pause`."""
    set_mode(status, Mode.NORMAL, _ORDER_S, say)
    print("resumed")


@click.command("init-pair")
@option("--server-id", type=int, required=True, help="Number this provider: 1 on one node, 2 on the other.")
@option("--peer", required=True, help="Name the other node by its URI: ldap:// or ldaps://.")
@option(
    "--password-file",
    "replication_password",
    type=PATH,
    required=True,
    help="Read the replication password, the same on both nodes, from the first line of this file.",
)
@option("--suffix", default=EXAMPLE.suffix, help="Put relocd's entries below this DN.")
@option(
    "--admins",
    default="",
    help="Let this group or entry change everything; by default the rootdn of the data above.",
)
@option("--triggers", default="", help="Let this group or entry move services.")
@flag("--tls/--no-tls", default=True, help="Protect an ldap:// peer by StartTLS.")
@flag("--create", help="Create the first entries: on one node only.")
@option("--folder", default="", help="Keep the databases in this folder; by default beside those that are there.")
@option("--socket", default=SOCKET, help="Reach the slapd of this machine by this socket.")
@dry_run("Only print the changes, as LDIF.")
def init_pair_command(
    *,
    server_id: int,
    peer: str,
    replication_password: Path,
    suffix: str,
    admins: str,
    triggers: str,
    tls: bool,
    create: bool,
    folder: str,
    socket: str,
    dry_run: bool,
) -> None:
    """Make the slapd of this machine one of a pair that both take writes to relocd's entries. Can be repeated."""
    other = _peer(peer)
    starttls = tls and other.scheme == "ldap"
    pair = Pair(
        dn_given("--suffix", suffix),
        server_id,
        other.written(),
        first_line(replication_password),
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


@click.group(
    cls=Grouped,
    sections={
        "See": (show, doctor, status, explain),
        "Act": (link, move, unlink, fence, unfence, activate, failover),
        "This server": (agent, apply, check, drain, pause, resume),
        "Set up": (version, schema, init_pair_command, install, completion),
    },
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, message="%(version)s", help="Print the version.")
def app() -> None:
    """Services that move between servers by one LDAP modify.

    Exit codes: 0 all is well, 1 something could not be done or is wrong, 2 wrong arguments or configuration, 3 the
    directory does not answer.
    """


if __name__ == "__main__":
    main()
