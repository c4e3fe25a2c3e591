"""Template sets in a folder of the test's own, before those that are shipped."""

from __future__ import annotations

import os

import pytest

from relocd.adapters.templates.template_sets import FolderTemplateSets


@pytest.fixture
def folder(tmp_path):
    before = os.umask(0o022)
    folder = tmp_path / "sets"
    folder.mkdir()
    yield folder
    os.umask(before)


@pytest.fixture
def shipped(tmp_path):
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    return shipped


@pytest.fixture
def sets(folder, shipped):
    sets = FolderTemplateSets([folder], shipped)
    yield sets
    sets.close()
