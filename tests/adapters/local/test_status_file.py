"""The status on a real disk: whole, readable by everyone, and never a reason to fail."""

from __future__ import annotations

import json

from relocd.adapters.local.status_file import JsonStatusFile


async def test_others_can_read_the_latest(tmp_path):
    path = tmp_path / "status.json"
    for number in range(2):
        assert await JsonStatusFile(path).write({"number": number})
    assert json.loads(path.read_text()) == {"number": 1}
    assert path.stat().st_mode & 0o777 == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["status.json"]


async def test_that_it_cannot_be_written_is_only_said(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    file = JsonStatusFile(tmp_path / "file" / "status.json")
    assert [await file.write({}), await file.write({})] == [False, False]
    (record,) = caplog.records  # said once
    assert record.message == "cannot write the status"
    assert "file/status.json: cannot be written" in record.fields["problem"]
