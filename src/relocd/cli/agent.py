"""`relocd agent`, `apply`, `check`, `drain`, `pause`, `resume` and `retry`: what concerns the agent on this machine.

The agent's libraries are imported by the commands that need them, so that all others work without.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

import click
from click.exceptions import Exit

from relocd.cli.options import config_file, dry_run, option, status_file, timeout
from relocd.cli.output import EXIT_PROBLEMS
from relocd.errors import Fatal
from relocd.model.status import Mode
from relocd.operator.change.agent_mode import drain_agent, retry_service, set_mode
from relocd.printable import say
from relocd.shipped import missing_libraries

__all__ = ["agent", "apply", "check", "drain", "need_agent", "pause", "resume", "retry"]

_MODE_TIMEOUT_S: Final = 10.0


@click.command
@config_file
@option("--log-format", default="", help="Log as auto, text, json or journal; the default is [agent] log_format.")
def agent(*, config: Path, log_format: str) -> None:
    """Run the agent in the foreground: it keeps this server as its links in the directory say."""
    need_agent()
    more = ["--log-format", log_format] if log_format else []
    # The agent's own process has no use for the command line's libraries.
    os.execv(sys.executable, [sys.executable, "-m", "relocd.daemon", "--config", str(config), *more])  # noqa: S606


@click.command
@config_file
@dry_run("Only print what would be done.")
@timeout(30, "Wait at most this long for the directory.")
def apply(*, config: Path, dry_run: bool, timeout_s: float) -> None:
    """Do one cycle and exit: bring this server to the state that the directory wants now."""
    need_agent()
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
        print("nothing to do: this server is linked to no service, and nothing is left of earlier ones")
    if cycle.problems or any(step.problems for step in cycle.steps):
        raise Exit(EXIT_PROBLEMS)


@click.command
@config_file
def check(*, config: Path) -> None:
    """Check the configuration and every template set, without the directory."""
    need_agent()
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
    """Hand over every exclusive service that this server holds, in order, and wait until that is done.

    A service that another server may run is kept until one of them is ready; any other service stops. The agent takes
    over nothing until `relocd resume` or a reboot.
    """
    for fate in drain_agent(status, timeout_s, say):
        say(fate)
    print("drained: this server holds no exclusive service")


@click.command
@status_file
def pause(*, status: Path) -> None:
    """Let the agent on this machine only watch and change nothing, until `relocd resume` or a reboot."""
    set_mode(status, Mode.PAUSED, _MODE_TIMEOUT_S, say)
    print("paused: services here keep running, and the agent changes nothing")


@click.command
@status_file
def resume(*, status: Path) -> None:
    """End `relocd drain` or `relocd pause`."""
    set_mode(status, Mode.NORMAL, _MODE_TIMEOUT_S, say)
    print("resumed")


@click.command
@click.argument("service", help="The service, by its name.")
@status_file
def retry(*, service: str, status: Path) -> None:
    """Have the agent on this machine try SERVICE again, whatever failed here before: its health, or a start."""
    failed = retry_service(status, service, _MODE_TIMEOUT_S)
    say(f"{service}: tried again; before: {failed}" if failed else f"{service}: tried again; nothing had failed")


def need_agent() -> None:
    """Raise `Fatal` where the libraries of the agent are missing."""
    missing = missing_libraries()
    if missing:
        raise Fatal(
            f"this needs the agent's libraries ({', '.join(missing)}); in a clone of relocd, install them by: "
            "pip install '.[agent]'"
        )
