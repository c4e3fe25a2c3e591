"""The files in the run folder, on a real disk.

- Lock: one acting process on a server; another one is refused by name, and gets it after the first has ended.
- Mode: one word; while it cannot be read or understood, the last one, and at first `paused`.
- Status: whole, readable by everyone, and never a reason to fail.
- Heartbeats: the stored record, and nothing that cannot be trusted.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time

import pytest

from relocd.adapters.local import run_folder
from relocd.adapters.local.run_folder import JsonHeartbeatRecord, JsonStatusFile, ModeFile, sole
from relocd.errors import Fatal
from relocd.model.host import SentHeartbeats
from relocd.model.status import Mode
from tests.adapters.templates.set_writing import no_descriptors

HOLD_LOCK = (
    "import sys; from pathlib import Path; from relocd.adapters.local.run_folder import sole\n"
    "with sole(Path(sys.argv[1])):\n"
)


def other_process(folder, then):
    return [sys.executable, "-c", f"{HOLD_LOCK}    {then}", str(folder)]


def test_another_process_is_refused_with_the_id_of_the_holder(tmp_path):
    with sole(tmp_path / "run"):
        found = subprocess.run(other_process(tmp_path / "run", "pass"), capture_output=True, text=True, timeout=20)
    assert found.returncode != 0
    assert f"an agent already runs on this server (process {os.getpid()} holds {tmp_path}/run/lock)" in found.stderr


def test_the_lock_is_free_after_the_process_was_killed(tmp_path):
    then = "print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(other_process(tmp_path, then), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(Fatal, match=f"process {process.pid} holds"), sole(tmp_path):
            pass
        process.kill()
    with sole(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_the_lock_can_be_taken_again_and_again(tmp_path):
    for _ in range(2):
        with sole(tmp_path):
            pass


def test_a_run_folder_that_cannot_be_made_is_reported_with_its_setting(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(Fatal, match=r"file/run/lock: cannot be opened .*correct \[paths\] run"),
        sole(tmp_path / "file/run"),
    ):
        pass


@pytest.fixture
def mode_path(tmp_path):
    return tmp_path / "mode"


@pytest.fixture
def warnings(caplog):
    """The problems that were logged."""
    caplog.set_level(logging.WARNING)
    return lambda: [record.fields["problem"] for record in caplog.records]


def test_without_a_file_the_mode_is_normal(mode_path, warnings):
    assert ModeFile(mode_path).mode() is Mode.NORMAL
    assert warnings() == []


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("form", ["{}", "{}\n", " {} \r\n"], ids=["bare", "a line", "spaces"])
def test_the_file_has_the_mode(mode_path, warnings, mode, form):
    mode_path.write_text(form.format(mode))
    assert ModeFile(mode_path).mode() is mode
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
def test_an_unknown_mode_is_reported_and_the_last_one_stays(mode_path, warnings, content, shown):
    file = ModeFile(mode_path)
    for mode in (Mode.DRAINED, Mode.NORMAL):
        mode_path.write_text(mode)
        file.mode()
        mode_path.write_bytes(content)
        assert (file.mode(), f"says {shown}, not one of" in file.problem) == (mode, True)
        assert file.problem in warnings()


@pytest.mark.parametrize("spoil", [lambda mode_path: mode_path.write_text("off"), lambda mode_path: mode_path.mkdir()])
def test_an_agent_that_starts_with_an_unknown_mode_is_paused_and_reports_it(mode_path, warnings, spoil):
    spoil(mode_path)
    file = ModeFile(mode_path)
    assert file.mode() is Mode.PAUSED
    assert [file.problem] == warnings()


def test_a_paused_agent_stays_so_while_descriptors_are_short(mode_path, warnings):
    mode_path.write_text("paused")
    file = ModeFile(mode_path)
    assert file.mode() is Mode.PAUSED
    with no_descriptors():
        assert file.mode() is Mode.PAUSED
        assert "Too many open files" in file.problem
    mode_path.unlink()
    assert (file.mode(), file.problem) == (Mode.NORMAL, "")


def test_a_problem_is_logged_once_and_a_new_one_again(mode_path, warnings):
    file = ModeFile(mode_path)
    for word in ("off", "off", "drained", "off", "of"):
        mode_path.write_text(word)
        file.mode()
    assert ["'off'" in each for each in warnings()] == [True, True, False]


def test_the_mode_is_read_each_time(mode_path):
    file = ModeFile(mode_path)
    seen = [file.mode()]
    for word in ("paused", "drained"):
        mode_path.write_text(word)
        seen.append(file.mode())
    mode_path.unlink()
    assert [*seen, file.mode()] == [Mode.NORMAL, Mode.PAUSED, Mode.DRAINED, Mode.NORMAL]


async def test_others_can_read_the_latest_status(tmp_path):
    path = tmp_path / "status.json"
    for number in range(2):
        assert await JsonStatusFile(path).write({"number": number})
    assert json.loads(path.read_text()) == {"number": 1}
    assert path.stat().st_mode & 0o777 == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["status.json"]


async def test_a_status_that_cannot_be_written_is_only_logged(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    file = JsonStatusFile(tmp_path / "file" / "status.json")
    assert [await file.write({}), await file.write({})] == [False, False]
    (record,) = caplog.records  # logged once
    assert record.message == "cannot write the status"
    assert "file/status.json: cannot be written" in record.fields["problem"]


NO_HEARTBEATS = SentHeartbeats()


@pytest.fixture
def kept():
    now = time.monotonic()
    return SentHeartbeats({"20260101000000.0Z": now - 2, "20260101000001.0Z": now - 1}, now - 2, 3.0, "a#b#c#d")


@pytest.fixture
def heartbeats_path(tmp_path):
    return tmp_path / "run" / "heartbeats"


async def test_the_next_agent_reads_the_stored_heartbeats(heartbeats_path, kept):
    await JsonHeartbeatRecord(heartbeats_path).keep(NO_HEARTBEATS)
    await JsonHeartbeatRecord(heartbeats_path).keep(kept)
    assert JsonHeartbeatRecord(heartbeats_path).load() == kept


def test_without_a_file_there_are_no_heartbeats(heartbeats_path):
    assert JsonHeartbeatRecord(heartbeats_path).load() == NO_HEARTBEATS


async def test_heartbeats_of_an_unknown_boot_are_not_used(heartbeats_path, kept, monkeypatch):
    monkeypatch.setattr(run_folder, "_BOOT", heartbeats_path)
    await JsonHeartbeatRecord(heartbeats_path.with_name("other")).keep(kept)
    assert JsonHeartbeatRecord(heartbeats_path.with_name("other")).load() == NO_HEARTBEATS


async def changed(heartbeats_path, kept, **fields):
    await JsonHeartbeatRecord(heartbeats_path).keep(kept)
    heartbeats_path.write_text(json.dumps(json.loads(heartbeats_path.read_text()) | fields))


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"boot": "another"}, id="another boot"),
        pytest.param({"sent": {"20260101000000.0Z": 1e12}}, id="sent in the future"),
        pytest.param({"sent": {"20260101000000.0Z": "yesterday"}}, id="sent at no time"),
        pytest.param({"sent": ["20260101000000.0Z"]}, id="no times"),
        pytest.param({"confirmed_at": -1}, id="confirmed before the boot"),
        pytest.param({"back_at": float("nan")}, id="back at no number"),
    ],
)
async def test_a_record_that_cannot_be_trusted_is_not_used(heartbeats_path, kept, fields):
    await changed(heartbeats_path, kept, **fields)
    assert JsonHeartbeatRecord(heartbeats_path).load() == NO_HEARTBEATS


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_record_is_not_used_and_logged_once(heartbeats_path, content, caplog):
    heartbeats_path.parent.mkdir()
    heartbeats_path.write_bytes(content)
    record = JsonHeartbeatRecord(heartbeats_path)
    assert [record.load(), record.load()] == [NO_HEARTBEATS, NO_HEARTBEATS]
    assert len(caplog.records) == 1


async def test_a_record_that_cannot_be_written_is_logged_once(heartbeats_path, kept, caplog):
    heartbeats_path.parent.write_text("no folder")
    record = JsonHeartbeatRecord(heartbeats_path)
    await record.keep(kept)
    await record.keep(kept)
    assert len(caplog.records) == 1
