"""What a page points to is there: files, headings, and the commands that its sentences name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from relocd.cli.main import app
from tests.docs.machine import TREE
from tests.docs.pages import PAGES

NAMES = [page.path for page in PAGES]


def prose(page: Path) -> str:
    """A page without its blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The headings of a page as they stand in a link."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name: str) -> None:
    page = TREE / name
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", prose(page)):
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


@pytest.mark.parametrize("name", NAMES)
def test_every_command_that_a_sentence_names_is_one(name: str) -> None:
    known = app.commands.keys()
    named = set(re.findall(r"`relocd ([a-z-]+)", prose(TREE / name)))
    assert named <= set(known)
