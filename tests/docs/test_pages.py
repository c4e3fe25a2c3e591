"""Every page is followed as it stands, on machines with real systemd, slapd and agents; no command is left out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.docs.events import at
from tests.docs.follow import bare, follow
from tests.docs.machine import TREE
from tests.docs.markdown import blocks, commands
from tests.docs.pages import ELSEWHERE, EVENTS, FOREVER, PAGES, Page
from tests.docs.world import World

IN_WORLDS = [page for page in PAGES if page.world]


class Worlds:
    """One world for page after page, and a new one when what a page comes after has not been followed in it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._world: World | None = None
        self._followed: set[str] = set()

    def follow(self, page: Page) -> None:
        """Follow a page; after a failure nobody goes on in that world."""
        world = self._ready(page)
        followed, self._followed = self._followed, set()
        follow(page.path, world)
        self._followed = {*followed, page.path}

    def _ready(self, page: Page) -> World:
        if self._world is None or not page.after or not self._followed.issuperset(page.after):
            self._stack.close()
            self._world = self._stack.enter_context(World(base_servers=page.base_servers))
            for before in page.after:
                follow(before, self._world)
            self._followed = set(page.after)
        elif page.after:
            at("node2", self._world)
        return self._world


@pytest.fixture(scope="module")
def worlds() -> Iterator[Worlds]:
    with ExitStack() as stack:
        yield Worlds(stack)


@pytest.mark.parametrize("page", IN_WORLDS, ids=lambda page: page.path)
def test_a_page_does_what_it_says(worlds: Worlds, page: Page) -> None:
    worlds.follow(page)


def shown(page: Page) -> list[str]:
    """The commands of a page without their comments."""
    found = [block for block in blocks(TREE / page.path) if block.language == "console"]
    return [bare(command.text) for block in found for command in commands(block)]


def test_every_page_is_in_the_table() -> None:
    pages = {str(path.relative_to(TREE)) for path in (TREE / "docs").glob("*.md")}
    assert pages <= {page.path for page in PAGES}


@pytest.mark.parametrize("page", [page for page in PAGES if not page.world], ids=lambda page: page.path)
def test_what_is_followed_in_no_world_is_run_by_another_file(page: Page) -> None:
    assert [command for command in shown(page) if (page.path, command) not in ELSEWHERE] == []


@pytest.mark.parametrize(("path", "command"), ELSEWHERE)
def test_the_other_file_runs_it(path: str, command: str) -> None:
    other, words = ELSEWHERE[path, command]
    assert words in (TREE / other).read_text()
    assert other not in {path, "README.md"}


def test_the_tables_name_only_what_the_pages_show() -> None:
    every = {(page.path, command) for page in PAGES for command in shown(page)}
    sections = {(page.path, block.section) for page in PAGES for block in blocks(TREE / page.path)}
    assert ELSEWHERE.keys() <= every
    assert FOREVER.keys() <= {command for _, command in every}
    assert EVENTS.keys() <= sections
