"""`relocd`: its commands in sections, and one run of it: every expected error becomes one line and an exit code."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click
from click.exceptions import NoArgsIsHelpError
from click.shell_completion import shell_complete

from relocd import __version__
from relocd.cli.agent import agent, apply, check, drain, pause, resume, retry
from relocd.cli.doctor import doctor
from relocd.cli.history import history
from relocd.cli.notify import notify
from relocd.cli.orders import activate, failover, fence, link, move, unfence, unlink
from relocd.cli.output import EXIT_PROBLEMS, EXIT_UNAVAILABLE, EXIT_USAGE
from relocd.cli.setup import COMPLETION_VARIABLE, PROGRAM, completion, init_pair_command, install, schema, version
from relocd.cli.status import explain, show, status
from relocd.errors import Fatal, Invalid, RelocdError, Unavailable
from relocd.printable import one_line, say

__all__ = ["app", "main", "run"]

_SIZE: Final = re.compile(r"[0-9]{1,4}")
_EXIT_INTERRUPTED: Final = 130
_CODES: Final = {Unavailable: EXIT_UNAVAILABLE, Fatal: EXIT_USAGE, Invalid: EXIT_USAGE}
_LONGEST: Final = 160
"""Characters of a command's first sentence that are listed."""


def main() -> None:
    """Run one command and exit with its code."""
    _exit_if_completing()
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """The exit code of one command; every expected error is printed on standard error, in one line."""
    _open_closed_streams()
    _forget_odd_sizes()
    try:
        _require_text(arguments)
        code = int(app(list(arguments), prog_name=PROGRAM, standalone_mode=False) or 0)
        sys.stdout.flush()
    except click.UsageError as error:
        return _misused(error)
    except RelocdError as error:
        say(f"relocd: {error}", sys.stderr)
        return next((code for kind, code in _CODES.items() if isinstance(error, kind)), EXIT_PROBLEMS)
    except (KeyboardInterrupt, click.Abort):
        return _EXIT_INTERRUPTED
    except OSError as error:
        return _not_written(error)
    return code


def _exit_if_completing() -> None:
    """Answer a shell's completion script and exit; do nothing without its variable.

    click would do so, too, but only after it has printed what is wrong with the environment into the user's line.
    """
    instruction = os.environ.get(COMPLETION_VARIABLE)
    if instruction:
        raise SystemExit(shell_complete(app, {}, PROGRAM, COMPLETION_VARIABLE, instruction))


def _open_closed_streams() -> None:
    """Open a stream that the caller closed on /dev/null, so that no file or socket gets its number."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115, PTH123


def _forget_odd_sizes() -> None:
    """Ignore a size of the screen that is not a number; rich raises on some."""
    for name in ("COLUMNS", "LINES"):
        if not _SIZE.fullmatch(os.environ.get(name, "80")):
            del os.environ[name]


def _require_text(arguments: Sequence[str]) -> None:
    """Refuse what is not text in UTF-8: no name, DN or URI is, and it could not be printed."""
    variables = {name: value for name, value in os.environ.items() if name.startswith("RELOCD_")}
    given = ((f"argument {at}", each) for at, each in enumerate(arguments, 1))
    for what, value in (*given, *variables.items()):
        if "\0" in value or not _is_text(value):
            raise Invalid(f"{what} {value!r} is not text in UTF-8; write it again")


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _misused(error: click.UsageError) -> int:
    """Print what is wrong with the command line, in click's words, or the help where there is no command."""
    if isinstance(error, NoArgsIsHelpError):
        say(error.format_message(), sys.stderr)
        return error.exit_code
    usage = f"{error.ctx.get_usage()}\n" if error.ctx is not None else ""
    helped = f"; see {error.ctx.command_path} --help" if error.ctx is not None else ""
    message = error.format_message().replace("\n\t", " ")  # click lists what there is to choose from so
    say(f"{usage}relocd: {one_line(message).rstrip('.')}{helped}", sys.stderr)
    return EXIT_USAGE


def _not_written(error: OSError) -> int:
    """Handle output that could not be written: its reader has ended, or the disk is full."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - what is left in its buffer goes nowhere at the exit
    if not isinstance(error, BrokenPipeError):
        say(f"relocd: {error}", sys.stderr)
    return EXIT_PROBLEMS


class Grouped(click.Group):
    """A group whose commands are listed in sections, both in the order in which they are given."""

    def __init__(self, *, sections: Mapping[str, Sequence[click.Command]], **more: Any) -> None:
        super().__init__(commands=[each for commands in sections.values() for each in commands], **more)
        self._sections = sections

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names, which a shell completes."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write each section."""
        for title, commands in self._sections.items():
            with formatter.section(title):
                formatter.write_dl([(str(each.name), each.get_short_help_str(_LONGEST)) for each in commands])


@click.group(
    cls=Grouped,
    sections={
        "See": (show, doctor, status, explain, history),
        "Act": (link, move, unlink, fence, unfence, activate, failover),
        "This server": (agent, apply, check, drain, pause, resume, retry, notify),
        "Set up": (version, schema, init_pair_command, install, completion),
    },
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, message="%(version)s", help="Print the version.")
def app() -> None:
    """Services that move between servers by one LDAP modify.

    Exit codes: 0 all is well, 1 something failed or is wrong, 2 wrong arguments or configuration, 3 the
    directory does not answer.
    """


if __name__ == "__main__":
    main()
