"""`./dev scenario NAME`: a story of failover with real daemons, to watch, with a verdict.

The rig is built and removed by this program. It leaves nothing behind, also after Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Protocol

from rich.console import Console

from tests.lab.interrupts import INTERRUPTED, Interrupts
from tests.lab.scenarios.flapping import FlappingStory
from tests.lab.scenarios.ldap import LdapPairStory
from tests.lab.scenarios.ntp import NtpPairStory
from tests.lab.scenarios.sick import SickStory
from tests.lab.scenarios.trigger import TriggerStory
from tests.lab.timeline import Timeline

__all__ = ["STORIES", "Story", "main", "shown"]


class Story(Protocol):
    """A rig with a plot."""

    title: str

    def play(self, timeline: Timeline) -> None:
        """Let it happen; the claims and the figures go to the timeline."""


STORIES: Final[Mapping[str, Callable[[int], AbstractContextManager[Story]]]] = {
    "ldap-pair": LdapPairStory,
    "ntp-pair": lambda _: NtpPairStory(),
    "sick": SickStory,
    "flapping": FlappingStory,
    "keepalived": lambda _: TriggerStory("keepalived"),
    "heartbeat": lambda _: TriggerStory("heartbeat"),
    "pacemaker": lambda _: TriggerStory("pacemaker"),
}
"""A story by its name, made for a number of repeats, where it has any; each of flapping's takes a minute."""


def main() -> int:
    """Play the chosen story; the exit code is that of `shown`."""
    chosen = _arguments().parse_args()
    return shown(chosen.name, STORIES[chosen.name](chosen.repeats), chosen.json)


def shown(name: str, rig: AbstractContextManager[Story], document: Path | None) -> int:
    """Play one story; 0 when all of its claims hold, else 1, and 130 when interrupted."""
    interrupts = Interrupts()
    interrupts.begin()
    console = Console()
    timeline = Timeline(console)
    try:
        with interrupts.around(rig) as story:
            timeline.begin(story.title)
            story.play(timeline)
    except KeyboardInterrupt:
        console.print("\ninterrupted; everything is removed")
        return INTERRUPTED
    timeline.close()
    if document:
        document.write_text(json.dumps({"story": name, **timeline.document()}, indent=1) + "\n")
    return 0 if timeline.holds else 1


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./dev scenario", description="a failover with real daemons, to watch")
    parser.add_argument("name", choices=tuple(STORIES))
    parser.add_argument(
        "--repeats",
        type=int,
        default=1,
        metavar="N",
        help="how often ldap-pair goes round and sick fails; minutes of flapping [1]",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write claims and figures to a file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
