"""`relocd notify --test`: whether whoever `[notify]` names hears what happens here."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import click
from click.exceptions import Exit

from relocd.cli.agent import need_agent
from relocd.cli.options import config_file, flag
from relocd.cli.output import EXIT_PROBLEMS
from relocd.errors import Invalid, RelocdError
from relocd.model.dn import DN
from relocd.model.history import now
from relocd.model.notification import Notification, NotifiedEvent
from relocd.ports.reports import NotifyTarget
from relocd.printable import say

__all__ = ["notify"]


@click.command
@config_file
@flag("--test", help="Send a test event to each target, once, and print what it answered.")
def notify(*, config: Path, test: bool) -> None:
    """Try the notifications of this server's configuration, [notify] in relocd.toml.

    Exits with 1 when a target does not take the test event.
    """
    if not test:
        raise Invalid("the agent sends notifications by itself; add --test to try them")
    need_agent()
    from relocd.config.configuration import read_settings
    from relocd.wiring import notify_targets

    settings = read_settings(config)
    targets = notify_targets(settings.notify)
    if not targets:
        raise Invalid(f"{config}: [notify] names neither a command nor a webhook")
    body = Notification(now(), NotifiedEvent.TEST, DN.parse(settings.server.dn), "a test, nothing happened").encoded()
    if not asyncio.run(_all_taken(targets, body)):
        raise Exit(EXIT_PROBLEMS)


async def _all_taken(targets: tuple[NotifyTarget, ...], body: bytes) -> bool:
    return all([await _is_taken(target, body) for target in targets])


async def _is_taken(target: NotifyTarget, body: bytes) -> bool:
    began = time.monotonic()
    try:
        answer = await target.send(body)
    except RelocdError as error:
        say(f"{target.name}: {error}")
        return False
    say(f"{target.name} {target.shown}: {answer}, after {(time.monotonic() - began) * 1000:.0f} ms")
    return True
