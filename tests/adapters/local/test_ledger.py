"""The ledger on a real disk: whole or not at all, and never trusted when it is damaged."""

from __future__ import annotations

import json
import os
import subprocess
from ipaddress import ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relocd.adapters.local.ledger import JsonLedger, footprint_json, footprint_of
from relocd.errors import Failed
from relocd.model.template_set import First, Role, UnitAction
from relocd.reconcile.desired import DesiredUnit, Footprint, Placed
from relocd.reconcile.goals import GoalId
from tests.support.plans import placed, unit

GOAL, SERVER_GOAL = GoalId("00000000-0000-4000-8000-000000000001"), GoalId("server:hosts")
FOOTPRINT = Footprint(
    "web",
    Role.ACTIVE,
    frozenset({"/etc/app/web.conf"}),
    {"/etc/app/web.conf": "00ff"},
    frozenset({placed("192.0.2.10/24"), placed("2001:db8::10/64", on="eth1")}),
    (unit("web", early=True), unit("db", UnitAction.NONE)),
    First.ADDRESSES,
    owes_change=True,
)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state" / "ledger"


@pytest.fixture
def ledger(folder):
    return JsonLedger(folder)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    disk = tmp_path / "small"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=True, timeout=10)
    yield disk
    subprocess.run(["umount", disk], check=True, timeout=10)


def test_without_a_folder_there_is_nothing(ledger):
    assert ledger.all() == {}


@pytest.mark.parametrize("keep", ["save", "intend"])
async def test_what_is_kept_is_there_after_a_restart(ledger, folder, keep):
    for goal in (GOAL, SERVER_GOAL):
        await getattr(ledger, keep)(goal, FOOTPRINT)
    assert JsonLedger(folder).all() == {GOAL: FOOTPRINT, SERVER_GOAL: FOOTPRINT}
    assert (folder.stat().st_mode & 0o777, [path.stat().st_mode & 0o777 for path in folder.iterdir()]) == (
        0o700,
        [0o600, 0o600],
    )


async def test_the_latest_counts(ledger, folder):
    await ledger.save(GOAL, FOOTPRINT)
    await ledger.save(GOAL, Footprint("web"))
    assert JsonLedger(folder).all() == {GOAL: Footprint("web")}


async def test_a_save_of_what_was_only_intended_writes_it_down(ledger, folder):
    await ledger.save(GOAL, FOOTPRINT)
    await ledger.intend(GOAL, Footprint("web"))
    assert JsonLedger(folder).all() == {GOAL: Footprint("web")}
    await ledger.save(GOAL, FOOTPRINT)
    assert JsonLedger(folder).all() == {GOAL: FOOTPRINT}


async def test_what_is_there_already_is_not_written(ledger, folder):
    await ledger.save(GOAL, FOOTPRINT)
    before = [path.stat().st_ino for path in folder.iterdir()]
    await ledger.save(GOAL, FOOTPRINT)
    await ledger.intend(GOAL, FOOTPRINT)
    later = JsonLedger(folder)
    later.all()
    await later.save(GOAL, FOOTPRINT)
    assert [path.stat().st_ino for path in folder.iterdir()] == before


async def test_what_is_forgotten_is_gone(ledger, folder):
    await ledger.save(GOAL, FOOTPRINT)
    await ledger.forget(GOAL)
    await ledger.forget(GOAL)
    assert list(folder.iterdir()) == []
    await ledger.save(GOAL, FOOTPRINT)
    assert JsonLedger(folder).all() == {GOAL: FOOTPRINT}


DAMAGED = [
    pytest.param("", id="empty"),
    pytest.param('{"id": "x"', id="cut off"),
    pytest.param("[]", id="a list"),
    pytest.param('{"id": "x"}', id="keys missing"),
    pytest.param(json.dumps({"id": "x"} | footprint_json(FOOTPRINT) | {"role": "chief"}), id="unknown role"),
    pytest.param(json.dumps({"id": "x"} | footprint_json(FOOTPRINT) | {"addresses": [["eth0", "?"]]}), id="no address"),
    pytest.param(json.dumps({"id": "x"} | footprint_json(FOOTPRINT) | {"applied": []}), id="applied is a list"),
    pytest.param(json.dumps({"id": "x"} | footprint_json(FOOTPRINT) | {"units": [["web", "start"]]}), id="half a unit"),
]


@pytest.mark.parametrize("text", DAMAGED)
async def test_a_damaged_one_is_set_aside_and_said(ledger, folder, caplog, text):
    await ledger.save(GOAL, FOOTPRINT)
    (folder / "x.json").write_text(text)
    assert JsonLedger(folder).all() == {GOAL: FOOTPRINT}
    assert sorted(path.name for path in folder.iterdir()) == [f"{GOAL}.json", "x.damaged"]
    assert "damaged footprint" in caplog.text


async def test_a_write_that_was_cut_off_leaves_the_old_one(ledger, folder):
    await ledger.save(GOAL, FOOTPRINT)
    (folder / f".{GOAL}.json.new").write_text('{"id"')
    assert JsonLedger(folder).all() == {GOAL: FOOTPRINT}
    await ledger.save(GOAL, Footprint("web"))
    assert JsonLedger(folder).all() == {GOAL: Footprint("web")}


async def test_a_folder_that_cannot_be_is_a_failure_that_names_it(tmp_path):
    (tmp_path / "file").write_text("")
    ledger = JsonLedger(tmp_path / "file" / "ledger")
    for keep in (ledger.save, ledger.intend):
        with pytest.raises(Failed, match=r"file/ledger/.*\.json: cannot be written \(Not a directory\)"):
            await keep(GOAL, FOOTPRINT)
    with pytest.raises(Failed, match="cannot be removed"):
        await ledger.forget(GOAL)


async def test_a_full_disk_leaves_the_old_one_and_what_failed_is_written_later(small_disk):
    ledger = JsonLedger(small_disk / "ledger")
    await ledger.save(GOAL, FOOTPRINT)
    filler = small_disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize)
    for keep in (ledger.save, ledger.intend):
        with pytest.raises(Failed, match="No space left on device"):
            await keep(GOAL, Footprint("web"))
    assert JsonLedger(small_disk / "ledger").all() == {GOAL: FOOTPRINT}
    filler.unlink()
    await ledger.save(GOAL, Footprint("web"))
    assert JsonLedger(small_disk / "ledger").all() == {GOAL: Footprint("web")}


_words = st.text(max_size=6)
_places = st.builds(Placed, _words, st.sampled_from(["192.0.2.10/24", "2001:db8::10/64"]).map(ip_interface))
_units = st.builds(DesiredUnit, _words, *[st.sampled_from(UnitAction)] * 3)
_footprints = st.builds(
    Footprint,
    _words,
    st.none() | st.sampled_from(Role),
    st.frozensets(_words),
    st.dictionaries(_words, _words),
    st.frozensets(_places),
    st.lists(_units).map(tuple),
    st.sampled_from(First),
)


@given(_footprints)
def test_any_footprint_survives_the_way_to_json_and_back(footprint):
    assert footprint_of(json.loads(json.dumps(footprint_json(footprint)))) == footprint
