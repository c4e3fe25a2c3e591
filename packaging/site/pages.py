"""Hook of mkdocs: which files are in the site.

Every page keeps its place in the repository, so the links between pages are right in both. Other files that a page
links to, such as a module or a configuration, are copied beside them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mkdocs.structure.files import File, Files, InclusionLevel

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig

ROOT: Final = Path(__file__).parents[2]
_PLACES: Final = ("*.md", "docs/*.md", "docker/*.md", "monitoring/*.md", "templates/*.md", "templates/*/*.md")
_LINK: Final = re.compile(r"\]\((?!https?:)([^)#]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The pages of the repository and what they link to, in place of the files that mkdocs has found."""
    pages = [page for place in _PLACES for page in sorted(ROOT.glob(place))]
    linked = {target for page in pages for target in _linked(page)} - set(pages)
    ours = [_file(path, config) for path in (*pages, *sorted(linked))]
    return Files([*(file for file in files if file.src_dir != config.docs_dir), *ours])


def _linked(page: Path) -> set[Path]:
    """The files of the repository that a page links to."""
    targets = ((page.parent / target).resolve() for target in _LINK.findall(page.read_text(encoding="utf-8")))
    return {target for target in targets if target.is_file() and target.is_relative_to(ROOT)}


def _file(path: Path, config: MkDocsConfig) -> File:
    name = path.relative_to(ROOT).as_posix()
    return File(name, str(ROOT), config.site_dir, use_directory_urls=False, inclusion=InclusionLevel.INCLUDED)
