"""Reading the status of the directory, once or at an interval (`relocd status --watch`)."""

from __future__ import annotations

import time
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from relocd.errors import Failed, Unavailable
from relocd.model import names
from relocd.model.parse import CLASSES
from relocd.model.status import ATTRIBUTES
from relocd.operator.access import Access
from relocd.operator.directory import on_directory
from relocd.operator.status.health import StatusView
from relocd.operator.status.tables import tables
from relocd.operator.status.view import view

__all__ = ["read_view", "watch"]

_FILTER: Final = "(|" + "".join(f"(objectClass={name})" for name in (*CLASSES, names.STATUS_CLASS)) + ")"
# Parameters may be most of a directory, and decide nothing here.
_ATTRIBUTES: Final = (
    "objectClass",
    names.SERVICE_LINK,
    names.CLUSTER_LINK,
    names.FENCED,
    names.ACTIVE,
    names.FAILOVER,
    names.ADDRESS,
    names.EXCLUSIVE,
    names.DISPLACES,
    names.HOLDER,
    names.CANDIDATE,
    names.PREVIOUS,
    names.GENERATION,
    *ATTRIBUTES,
)


def read_view(access: Access) -> StatusView:
    """The status now, by one search.

    Raises `Unavailable` when no directory answers, `Failed` when one refuses, `Invalid` for a wrong option.
    """
    return view(on_directory(access, lambda directory: directory.entries(_FILTER, _ATTRIBUTES)), time.time())


def watch(console: Console, access: Access, every_s: float) -> None:
    """Show the status at this interval until Ctrl-C; while no directory answers, show that."""
    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
        while True:
            try:
                live.update(tables(read_view(access)), refresh=True)
            except (Unavailable, Failed) as error:
                live.update(Text(str(error), "bold red"), refresh=True)
            time.sleep(every_s)
