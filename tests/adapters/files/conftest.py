"""A folder, and the adapter that may write only there."""

from __future__ import annotations

import pytest

from relocd.adapters.files.files import DiskFiles
from relocd.adapters.units.commands import ProcessCommands


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "etc"
    folder.mkdir()
    return folder


@pytest.fixture
def files(folder):
    return DiskFiles(ProcessCommands(), [str(folder)])
