"""The word in the run folder: a mode; while it cannot be read or understood, the last one, and at first `paused`."""

from __future__ import annotations

import logging

import pytest

from relocd.adapters.local.mode_file import ModeFile
from relocd.model.status import Mode
from tests.adapters.templates.set_writing import no_descriptors


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mode"


@pytest.fixture
def warnings(caplog):
    """The problems that were logged, as they are told."""
    caplog.set_level(logging.WARNING)
    return lambda: [record.fields["problem"] for record in caplog.records]


def test_without_a_file_all_is_normal(path, warnings):
    assert ModeFile(path).mode() is Mode.NORMAL
    assert warnings() == []


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("form", ["{}", "{}\n", " {} \r\n"], ids=["bare", "a line", "spaces"])
def test_the_word_is_the_mode(path, warnings, mode, form):
    path.write_text(form.format(mode))
    assert ModeFile(path).mode() is mode
    assert warnings() == []


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        pytest.param(b"", "''", id="empty"),
        pytest.param(b"Drained", "'Drained'", id="another case"),
        pytest.param(b"drained paused", "'drained paused'", id="two words"),
        pytest.param(b"\xff\xfe\x00", "'\ufffd\ufffd\\x00'", id="no text"),
        pytest.param(b"x" * 10_000, "'" + "x" * 40 + "'", id="a whole page"),
    ],
)
def test_what_is_no_mode_leaves_the_last_one_and_says_so(path, warnings, content, shown):
    file = ModeFile(path)
    for mode in (Mode.DRAINED, Mode.NORMAL):
        path.write_text(mode)
        file.mode()
        path.write_bytes(content)
        assert (file.mode(), f"says {shown}, not one of" in file.problem) == (mode, True)
        assert file.problem in warnings()


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("off"), lambda path: path.mkdir()])
def test_an_agent_that_begins_and_cannot_tell_is_paused_and_says_so(path, warnings, spoil):
    spoil(path)
    file = ModeFile(path)
    assert file.mode() is Mode.PAUSED
    assert [file.problem] == warnings()


def test_a_paused_agent_stays_so_while_descriptors_are_short(path, warnings):
    path.write_text("paused")
    file = ModeFile(path)
    assert file.mode() is Mode.PAUSED
    with no_descriptors():
        assert file.mode() is Mode.PAUSED
        assert "Too many open files" in file.problem
    path.unlink()
    assert (file.mode(), file.problem) == (Mode.NORMAL, "")


def test_one_problem_is_logged_once_and_another_one_anew(path, warnings):
    file = ModeFile(path)
    for word in ("off", "off", "drained", "off", "of"):
        path.write_text(word)
        file.mode()
    assert ["'off'" in each for each in warnings()] == [True, True, False]


def test_the_file_is_looked_at_each_time(path):
    file = ModeFile(path)
    seen = [file.mode()]
    for word in ("paused", "drained"):
        path.write_text(word)
        seen.append(file.mode())
    path.unlink()
    assert [*seen, file.mode()] == [Mode.NORMAL, Mode.PAUSED, Mode.DRAINED, Mode.NORMAL]
