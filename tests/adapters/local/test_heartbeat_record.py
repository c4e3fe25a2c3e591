"""The record of heartbeats in the run folder: what was kept, and nothing that cannot be trusted."""

from __future__ import annotations

import json
import time

import pytest

from relocd.adapters.local import heartbeat_record
from relocd.adapters.local.heartbeat_record import JsonHeartbeatRecord
from relocd.model.host import SentHeartbeats

NOTHING = SentHeartbeats()


@pytest.fixture
def kept():
    now = time.monotonic()
    return SentHeartbeats({"20260101000000.0Z": now - 2, "20260101000001.0Z": now - 1}, now - 2, 3.0, "a#b#c#d")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "heartbeats"


async def test_the_next_agent_finds_what_was_kept(path, kept):
    await JsonHeartbeatRecord(path).keep(NOTHING)
    await JsonHeartbeatRecord(path).keep(kept)
    assert JsonHeartbeatRecord(path).load() == kept


def test_without_a_file_nothing_is_known(path):
    assert JsonHeartbeatRecord(path).load() == NOTHING


async def test_where_the_kernel_does_not_tell_the_boot_nothing_is_trusted(path, kept, monkeypatch):
    monkeypatch.setattr(heartbeat_record, "_BOOT", path)
    await JsonHeartbeatRecord(path.with_name("other")).keep(kept)
    assert JsonHeartbeatRecord(path.with_name("other")).load() == NOTHING


async def changed(path, kept, **fields):
    await JsonHeartbeatRecord(path).keep(kept)
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


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
async def test_what_cannot_be_trusted_is_nothing(path, kept, fields):
    await changed(path, kept, **fields)
    assert JsonHeartbeatRecord(path).load() == NOTHING


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_file_is_nothing_and_said_once(path, content, caplog):
    path.parent.mkdir()
    path.write_bytes(content)
    record = JsonHeartbeatRecord(path)
    assert [record.load(), record.load()] == [NOTHING, NOTHING]
    assert len(caplog.records) == 1


async def test_a_folder_that_cannot_be_written_is_said_once(path, kept, caplog):
    path.parent.write_text("no folder")
    record = JsonHeartbeatRecord(path)
    await record.keep(kept)
    await record.keep(kept)
    assert len(caplog.records) == 1
