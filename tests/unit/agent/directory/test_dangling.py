"""A name that leads to nothing by what the search has told is read directly before it counts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from relocd.agent.directory.backfill import WatchedWriter
from relocd.errors import Unavailable
from relocd.model.dn import DN
from relocd.model.settings import HandoverSettings
from relocd.model.writes import Conflict, Done, Lost, Modification, Replace
from tests.support.entries import BASE, server, uuid_of
from tests.support.fakes import until
from tests.unit.agent.lab import HELD, SETTINGS, Lab, web

OFTEN = replace(SETTINGS, handover=HandoverSettings(lease_s=0.8))
MOVED = f"ou=elsewhere,{BASE}"


@pytest.fixture
def lab():
    return Lab(server("me", services=["web"]), web())


def move_silently(lab, name="web"):
    """A folder above an entry is renamed: all that is below it has another name, and nobody is told of that."""
    for uuid, entry in list(lab.directory.model.entries.items()):
        if f"cn={name}" in entry.dn.key:
            above = DN.parse(entry.dn.text.replace(BASE, MOVED))
            lab.directory.model.entries[uuid] = replace(entry, dn=above)


async def served_and_moved(lab):
    lab.directory.refresh()
    await lab.serving()
    lab.server.take_effects()
    move_silently(lab)


async def test_a_corrected_link_of_which_the_search_tells_nothing_stops_nothing(lab):
    async with lab.agent():
        await served_and_moved(lab)
        lab.directory.put(server("me", relocServiceLink=f"cn=web,{MOVED}"))
        await until(lambda: lab.directory.feed.forgot)
        lab.directory.refresh()
        await until(lambda: not lab.problems())
        assert lab.state_of("web") == "active"
        assert not [effect for effect in lab.server.take_effects() if effect.startswith(("drop", "remove", "stop"))]


async def test_a_link_that_cannot_be_read_stops_nothing(lab):
    async with lab.agent():
        await served_and_moved(lab)
        lab.directory.reader.refusal = Unavailable("silent")
        lab.directory.put(server("me", relocServiceLink=f"cn=web,{MOVED}"))
        await until(lambda: lab.problems())
        await asyncio.sleep(0.05)
        assert lab.server.take_effects() == []
        assert not lab.directory.feed.forgot


async def test_links_that_cannot_be_read_hold_up_another_one_for_one_read_only(lab, monkeypatch):
    """Reads are made one after the other, and each may take its whole time limit."""
    limit, tried, found = asyncio.Semaphore(0), [], lab.directory.reader.by_dn

    async def by_dn(name):
        if not name.name.startswith("typo"):
            return await found(name)
        tried.append(name)
        await limit.acquire()
        raise Unavailable("silent")

    monkeypatch.setattr(lab.directory.reader, "by_dn", by_dn)
    lab.directory.put(server("me"))
    async with lab.agent():
        lab.directory.refresh()
        await until(lambda: lab.said.status.get("directory", {}).get("state") == "current")
        lab.directory.put(server("me", services=["web", "typo1", "typo2", "typo3"]))
        await until(lambda: tried)
        assert lab.state_of("web") is None
        limit.release()
        await lab.serving()
        assert len(tried) == 2


async def test_a_link_to_nothing_is_a_problem_and_no_reason_to_read_everything(lab):
    async with lab.agent():
        lab.directory.refresh()
        await lab.serving()
        lab.directory.put(server("me", services=["web", "typo"]))
        await until(lambda: lab.problems())
        await asyncio.sleep(0.05)
        assert not lab.directory.feed.forgot
        assert lab.state_of("web") == "active"


async def test_a_change_that_the_search_passes_over_is_read_after_it_was_resumed(lab):
    async with lab.agent():
        lab.directory.refresh()
        await lab.serving()
        cookie = lab.directory.model.cookie
        newer = replace(lab.directory.model.entries[uuid_of("web")], csn="20270101000000.000000Z#000000#001#000000")
        lab.directory.model.entries[newer.uuid] = newer
        lab.directory.feed.tell(lab.directory.model.refresh(cookie))
        await until(lambda: lab.directory.feed.forgot)


@pytest.mark.parametrize(
    ("outcome", "missed"),
    [
        (Done(), 0),
        (Lost(Conflict.NO_SUCH_ATTRIBUTE, "faster"), 0),
        (Lost(Conflict.NO_SUCH_OBJECT, "gone"), 2),
    ],
    ids=lambda value: str(value),
)
async def test_a_write_to_a_name_that_does_not_exist_is_told(outcome, missed):
    class Writer:
        async def apply(self, _write):
            return outcome

        async def create(self, _dn, _attributes):
            return outcome

    told = []
    writer = WatchedWriter(Writer(), SimpleNamespace(check_names=lambda: told.append(1)))
    assert await writer.apply(Modification(DN.parse(BASE), (Replace("description", ()),))) == outcome
    assert await writer.create(DN.parse(BASE), {}) == outcome
    assert len(told) == missed


async def test_a_server_whose_own_entry_was_taken_along_by_a_rename_reads_everything_anew(lab):
    """Its heartbeats meet a name that does not exist, and nobody tells it of the new one."""
    async with lab.agent(OFTEN):
        lab.directory.refresh()
        await lab.serving()
        move_silently(lab, "me")
        await until(lambda: lab.directory.feed.forgot)
        assert lab.server.addresses.ours == {HELD}
