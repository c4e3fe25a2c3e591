"""Options that several commands share, and how all options are declared: types, help, environment and defaults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from inspect import signature
from math import isfinite
from pathlib import Path
from typing import Any, Final

import click

from relocd.model.settings import DEFAULT_CONFIG, STATUS_NAME, PathSettings

__all__ = [
    "DAY_S",
    "PATH",
    "Seconds",
    "bundled",
    "config_file",
    "dry_run",
    "flag",
    "in_json",
    "option",
    "status_file",
    "timeout",
]

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
DAY_S: Final = 86400
PATH: Final = click.Path(path_type=Path, readable=False)
"""A file or folder, completed by the shell. The code that reads it reports what is wrong with it."""


class Seconds(click.FloatRange):
    """A duration: a number of seconds from a least one to a day."""

    name = "seconds"

    def __init__(self, least: float = 0) -> None:
        super().__init__(min=least, max=DAY_S)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; fails for NaN, which the range lets pass."""
        seconds = super().convert(value, param, ctx)
        if not isfinite(seconds):
            self.fail(f"{value} is not a number of seconds", param, ctx)
        return seconds


def option(*names: str, **attributes: Any) -> _Decorator:
    """An option of click's; its help names the environment variable and a default that is not empty."""
    shown = attributes.get("default") not in (None, "")
    return click.option(*names, show_envvar=True, show_default=shown, **attributes)


def flag(*names: str, **attributes: Any) -> _Decorator:
    """An option that takes no value."""
    return option(*names, is_flag=True, **attributes)


def bundled(name: str, make: Callable[..., Any], options: Sequence[_Decorator]) -> _Decorator:
    """Options that a command gets as one value `name`: what `make`, whose parameters they are, returns for them."""
    parts = tuple(signature(make).parameters)

    def added(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def filled(**given: Any) -> Any:
            value = make(**{part: given.pop(part) for part in parts})
            return command(**given, **{name: value})

        done: Callable[..., Any] = filled
        for each in reversed(options):
            done = each(done)
        return done

    return added


def timeout(default_s: float, text: str) -> _Decorator:
    """The option `--timeout`, in seconds."""
    return option("--timeout", "timeout_s", type=Seconds(), default=default_s, help=text)


def dry_run(text: str) -> _Decorator:
    """The option `--dry-run`."""
    return flag("--dry-run", help=text)


in_json: Final = flag("--json", "in_json", help="Print JSON.")
config_file: Final = option(
    "--config",
    type=PATH,
    default=Path(DEFAULT_CONFIG),
    envvar="RELOCD_CONFIG",
    help="Read the agent's configuration from this file.",
)
status_file: Final = option(
    "--status",
    type=PATH,
    default=Path(PathSettings().run) / STATUS_NAME,
    help="Read the status of the agent on this machine from this file.",
)
