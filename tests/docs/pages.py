"""Which pages there are, what each needs, and which of their commands are run by another test.

A page is followed in a world in which the pages it comes `after` have been followed. `EVENTS` are what befalls the
machines when a section begins, because its text says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.docs.world import World

__all__ = ["ELSEWHERE", "EVENTS", "FOREVER", "PAGES", "Page"]


@dataclass(frozen=True, slots=True)
class Page:
    """One page by its path; where nothing but `ELSEWHERE` runs its commands it needs no world."""

    path: str
    after: tuple[str, ...] = ()
    world: bool = True


PAGES: Final = (
    Page("docs/README.md", world=False),
    Page("docs/install.md"),
)
EVENTS: Final[Mapping[tuple[str, str], Callable[[World], None]]] = {}
FOREVER: Final[Mapping[str, str]] = {"relocd agent": "refresh complete"}
"""Commands that end by Ctrl-C, each with what it says before."""
ELSEWHERE: Final[Mapping[str, tuple[str, str]]] = {
    "apt install python3-venv python3-dev gcc libldap-dev libsasl2-dev": ("dev", "python3-venv python3-dev gcc"),
    "python3 -m venv /opt/relocd && /opt/relocd/bin/pip install '.[agent]'": ("dev", "pip install -qq -e '.[agent]'"),
}
"""Commands that the pages show and that another file runs, with words of that file by which it does."""
