"""`./dev docs`: the pages as a site. A link or a heading that is not there ends the build."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.docs.machine import TREE

_LOADS = {"img": "src", "link": "href", "script": "src"}
_SETUP = Path("packaging/site")


class Document(HTMLParser):
    """What a page of the site loads, and the text of its paragraphs without code."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.paragraphs: list[str] = []
        self._in_paragraph = False
        self._in_code = False
        self.feed(page.read_text())

    def handle_starttag(self, tag, attrs):
        self.loads += [value for name, value in attrs if name == _LOADS.get(tag) and value]
        self._in_code = self._in_code or tag == "code"
        if tag == "p":
            self._in_paragraph = True
            self.paragraphs.append("")

    def handle_endtag(self, tag):
        self._in_paragraph = self._in_paragraph and tag != "p"
        self._in_code = self._in_code and tag != "code"

    def handle_data(self, data):
        if self._in_paragraph:
            self.paragraphs[-1] += "code" if self._in_code else data


def build(tree: Path, site: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", tree / _SETUP / "mkdocs.yml"]
    return subprocess.run(
        [*argv, "--site-dir", site],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"NO_MKDOCS_2_WARNING": "1", "NO_COLOR": "1"},
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(TREE, folder)
    assert done.returncode == 0, done.stderr
    return folder


def page_of(source: Path, site: Path) -> Path:
    name = "index.html" if source.name == "README.md" else f"{source.stem}.html"
    return site / source.relative_to(TREE).with_name(name)


def test_every_page_of_the_repository_is_in_the_site(site):
    tracked = subprocess.run(["git", "ls-files", "*.md"], cwd=TREE, capture_output=True, text=True, check=True).stdout
    missing = [name for name in tracked.split() if not page_of(TREE / name, site).is_file()]
    assert missing == []


def test_a_module_that_a_page_links_to_is_in_the_site(site):
    assert (site / "src/relocd/election/rules.py").read_text() == (TREE / "src/relocd/election/rules.py").read_text()


def test_the_site_loads_nothing_from_the_net(site):
    pages = {page: Document(page).loads for page in site.rglob("*.html")}
    assert all(pages.values())
    assert [load for loads in pages.values() for load in loads if re.match(r"(\w+:)?//", load)] == []


def test_no_list_and_no_table_is_read_as_a_paragraph(site):
    """Markdown needs an empty line before a list, and none inside a table; GitHub is more lenient."""
    found = [text for page in site.rglob("*.html") for text in Document(page).paragraphs]
    assert len(found) > 100
    assert [text for text in found if re.search(r"^(- |\d\. |\|)", text, re.MULTILINE)] == []


@pytest.mark.parametrize(
    ("link", "named"),
    [("docs/install.md#no-such-heading", "no-such-heading"), ("docs/no-such-page.md", "no-such-page.md")],
)
def test_a_link_that_leads_nowhere_ends_the_build(link, named, tmp_path):
    """The other pages are missing in this copy, too, so the message is asked for the link's own name."""
    shutil.copytree(TREE / _SETUP, tmp_path / _SETUP)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/install.md").write_text("# Install\n")
    (tmp_path / "README.md").write_text(f"# relocd\n\n[a link]({link})\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    assert named in done.stderr
