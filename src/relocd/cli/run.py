"""Running one command line: what is wrong with it, with its streams or with the outside becomes one line and a code."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import Final

import click
from click.exceptions import NoArgsIsHelpError

from relocd.errors import Fatal, Invalid, RelocdError, Unavailable
from relocd.printable import one_line, say

__all__ = ["EXIT_PROBLEMS", "EXIT_UNAVAILABLE", "outcome"]

EXIT_PROBLEMS: Final = 1
EXIT_UNAVAILABLE: Final = 3
_EXIT_WRONG: Final = 2
_SIZE: Final = re.compile(r"[0-9]{1,4}")
_EXIT_INTERRUPTED: Final = 130
_CODES: Final = {Unavailable: EXIT_UNAVAILABLE, Fatal: _EXIT_WRONG, Invalid: _EXIT_WRONG}


def outcome(app: click.Command, arguments: Sequence[str]) -> int:
    """The exit code of one command; every expected error is told on standard error, in one line."""
    _open_closed_streams()
    _forget_odd_sizes()
    try:
        _require_text(arguments)
        code = int(app(list(arguments), prog_name="relocd", standalone_mode=False) or 0)
        sys.stdout.flush()
    except click.UsageError as error:
        return _misused(error)
    except RelocdError as error:
        say(f"relocd: {error}", sys.stderr)
        return _CODES.get(type(error), EXIT_PROBLEMS)
    except (KeyboardInterrupt, click.Abort):
        return _EXIT_INTERRUPTED
    except OSError as error:
        return _not_written(error)
    return code


def _open_closed_streams() -> None:
    """A stream that was closed by the caller goes nowhere, and no file or socket takes its number."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115, PTH123


def _forget_odd_sizes() -> None:
    """A size of the screen that is none is not taken; rich ends on some."""
    for name in ("COLUMNS", "LINES"):
        if not _SIZE.fullmatch(os.environ.get(name, "80")):
            del os.environ[name]


def _require_text(arguments: Sequence[str]) -> None:
    """Refuse what is no text: no name, DN or URI is like that, and nothing could show it."""
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
    """What is wrong with the command line, in click's words; without any command the help."""
    if isinstance(error, NoArgsIsHelpError):
        say(error.format_message(), sys.stderr)
        return error.exit_code
    usage = f"{error.ctx.get_usage()}\n" if error.ctx is not None else ""
    helped = f"; see {error.ctx.command_path} --help" if error.ctx is not None else ""
    message = error.format_message().replace("\n\t", " ")  # click lists what there is to choose from so
    say(f"{usage}relocd: {one_line(message).rstrip('.')}{helped}", sys.stderr)
    return _EXIT_WRONG


def _not_written(error: OSError) -> int:
    """Standard output took nothing: its reader has seen enough, or the disk is full."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - what is left in its buffer goes nowhere at the exit
    if not isinstance(error, BrokenPipeError):
        say(f"relocd: {error}", sys.stderr)
    return EXIT_PROBLEMS
