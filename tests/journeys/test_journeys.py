"""The journeys run, and enter no more than they did when this was written."""

from __future__ import annotations

from pathlib import Path

from tests.journeys.link import link
from tests.journeys.move import move
from tests.journeys.parameter import parameter
from tests.journeys.recorder import Recorder, common, once


def test_the_recorder_sees_functions_and_classes_of_relocd_only_while_it_records():
    from relocd.model import dn, entries

    recorder = Recorder({("model/dn.py", "parse"): once})
    dn.DN.parse("cn=before")
    with recorder:
        dn.DN.parse("cn=web")
        dn.DN.parse("cn=db")
    dn.DN.parse("cn=after")
    entries.csn_time_s("20260101000000.000000Z#000000#000#000000")
    found = recorder.journey("", parsed=recorder.calls["model/dn.py", "parse"])
    assert found.files == ("model/dn.py",)
    assert "relocd.model.dn.DN" in found.classes
    assert found.counts == {"parsed": 2}


async def test_a_link():
    found = common([await link() for _ in range(3)])
    assert {"sync/messages.py", "election/rules.py", "reconcile/diff.py"} <= {*found.files}
    assert len(found.files) <= 48
    assert len(found.classes) <= 80
    assert found.counts["plans"] == 1


async def test_a_parameter(tmp_path: Path):
    folders = [tmp_path / str(number) for number in range(3)]
    for folder in folders:
        folder.mkdir()
    found = common([await parameter(folder) for folder in folders])
    assert "adapters/templates/render_process.py" in found.files
    assert len(found.files) <= 45
    assert found.counts["plans"] == 1
    assert found.counts["copies_sent_to_the_renderer"] == 2  # as a parameter, and in the entry's attributes


def test_a_move(tmp_path: Path):
    found = move(tmp_path)
    assert "operator/change/changes.py" in found.files
    assert len(found.files) <= 33
    assert found.counts["binds"] == 1
    assert found.counts["modifies"] == 1
    assert found.counts["searches"] <= 12
    assert found.counts["decided"] == 1
