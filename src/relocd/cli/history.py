"""`relocd history`: what happened to services, when, why, and who began it."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

from relocd.cli.access import services_and_servers, with_access
from relocd.cli.options import flag, in_json, option
from relocd.cli.output import print_json
from relocd.errors import Unavailable
from relocd.operator.access import Access
from relocd.operator.directory import Directory, on_directory
from relocd.operator.history.records import PERIOD_S, Told, following, told, wanted
from relocd.operator.history.text import as_json, as_lines
from relocd.printable import say

__all__ = ["history"]

_SPAN: Final = re.compile(r"([0-9]{1,6})\s*(s|min|h|d|w)")
_UNITS: Final = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class _Since(click.ParamType[datetime]):
    """A moment: so long ago (`45s`, `30min`, `3h`, `2d`, `1w`), or a date, with a time if wanted, in UTC."""

    name = "since"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The moment, by the clock of this machine."""
        if isinstance(value, datetime):
            return value
        span = _SPAN.fullmatch(str(value).strip())
        try:
            if span is not None:
                return datetime.now(UTC) - timedelta(**{_UNITS[span[2]]: int(span[1])})
            moment = datetime.fromisoformat(str(value))
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time; write 2d, 3h, 30min, 45s, 1w, or a date such as 2026-11-30", param, ctx)
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


@click.command
@click.argument(
    "name", required=False, shell_complete=services_and_servers, help="The cn of a service or a server, or its DN."
)
@with_access
@option("--since", type=_Since(), metavar="TIME", help="Only since then: 2d, 3h, 30min, 45s, 1w, or a date in UTC.")
@flag("--follow", help="Go on, and print each new record as it comes, until Ctrl-C.")
@in_json
def history(*, name: str | None, access: Access, since: datetime | None, follow: bool, in_json: bool) -> None:
    """Show what happened to all services, one service, or with one server: when, why, and who began it.

    The newest comes last; times are in UTC. With --json and --follow each line is one record.
    """
    if follow:
        with suppress(KeyboardInterrupt):
            _follow(access, name, since, in_json=in_json)
        return
    found = on_directory(access, lambda directory: told(directory, wanted(directory, name, since)))
    if in_json:
        print_json([as_json(each) for each in found])
    else:
        _print(found)


def _follow(access: Access, name: str | None, since: datetime | None, *, in_json: bool) -> None:
    """Print records as they come; once it has begun, a directory that does not answer is tried again."""
    seen: set[tuple[str, str]] = set()
    problem: str | None = None

    def go_on(directory: Directory) -> None:
        nonlocal problem
        asked = wanted(directory, name, since)
        for found in following(directory, asked, seen):
            problem = ""
            _print_lines(found) if in_json else _print(found)

    while True:
        try:
            on_directory(access, go_on)
        except Unavailable as error:
            if problem is None:
                raise
            if problem != str(error):
                say(f"relocd: {error}; trying again", sys.stderr)
            problem = str(error)
            time.sleep(PERIOD_S)


def _print(found: Iterable[Told]) -> None:
    for line in as_lines(found):
        say(line)


def _print_lines(found: Iterable[Told]) -> None:
    for each in found:
        print(json.dumps(as_json(each)), flush=True)
