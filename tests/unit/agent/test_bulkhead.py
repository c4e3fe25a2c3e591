"""What one service, one template set or one entry meets ends nothing for the others, at start neither."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import pytest

from relocd.adapters.templates.template_sets import FolderTemplateSets
from relocd.agent.worker import Worker
from relocd.model.settings import AgentSettings
from relocd.model.status import Mode
from relocd.reconcile import goals as goals_module
from relocd.sync.mirror import Mirror
from tests.adapters.templates.set_writing import write_set
from tests.support.entries import server, service, uuid_of
from tests.support.fake_directory import FakeFeed
from tests.support.fakes import until
from tests.support.plans import template_set
from tests.support.virtual_time import run
from tests.unit.agent.lab import SETTINGS, Lab, web

_MANIFEST = '[[file]]\nsource = "a.j2"\ntarget = "/etc/app/{name}.conf"\n'


@pytest.fixture
def lab():
    found = Lab(server("me", services=["web", "db"]), web(), service("db", relocTemplateSet="db"))
    found.server.install_set(template_set("db", units=()), "x")
    return found


def names(lab):
    return {problem["subject"] for problem in lab.said.status.get("problems", ())}


class TestBadTemplateSet:
    @pytest.fixture
    def lab(self, lab, tmp_path):
        os.umask(0o022)
        (tmp_path / "web").mkdir()
        write_set(tmp_path / "web", _MANIFEST)
        bad = write_set(tmp_path / "bad", _MANIFEST)
        (bad / os.fsdecode(b"caf\xe9.j2")).write_text("x")
        lab.server.host = replace(lab.server.host, sets=FolderTemplateSets([tmp_path], tmp_path / "shipped"))
        lab.server.renderer.templates |= {("web", "a.j2"): "x"}
        lab.directory.put(service("db", relocTemplateSet="bad"))
        return lab

    async def test_only_its_own_services_have_a_problem_which_names_it(self, lab):
        async with lab.agent():
            lab.directory.refresh()
            await lab.serving()
            await lab.says("template set bad: ")
            assert lab.state_of("db") == "failed"
        lab.server.host.sets.close()


async def test_a_service_that_meets_a_defect_has_a_problem_and_the_others_are_served(lab, monkeypatch):
    standing = goals_module._role

    def faulty(snapshot, me, each, *more):
        if each.name == "db":
            raise ZeroDivisionError
        return standing(snapshot, me, each, *more)

    monkeypatch.setattr(goals_module, "_role", faulty)
    async with lab.agent():
        lab.directory.refresh()
        await lab.serving()
        await lab.says("ZeroDivisionError")
        assert names(lab) == {"db"}
        monkeypatch.undo()
        lab.directory.put(service("db", relocTemplateSet="db", description="again"))
        await until(lambda: lab.state_of("db") == "active" and not names(lab))


async def test_an_entry_that_meets_a_defect_stays_as_it_was_and_the_others_are_heard(lab, monkeypatch):
    put = Mirror._put

    def faulty(mirror, entry):
        if entry.dn.name == "db":
            raise RecursionError
        put(mirror, entry)

    monkeypatch.setattr(Mirror, "_put", faulty)
    async with lab.agent():
        lab.directory.refresh()
        await lab.serving()
        await until(lambda: any("db" in name for name in names(lab)))


class TestMissedEvent:
    """What one event brings is not known, and no search that goes on from its cookie brings it again."""

    @pytest.fixture
    def lab(self, lab):
        lab.directory.feed = FakeFeed(found=lab.directory.model.refresh)
        lab.directory.feeds = [lab.directory.feed]
        return lab

    @pytest.mark.parametrize("method", ["_put", "_delete"])
    async def test_is_read_anew_and_then_it_is_no_problem_any_more(self, lab, monkeypatch, method):
        met, works = [], getattr(Mirror, method)

        def faulty(mirror, what):
            if lab.state_of("web") == "active" and not met:
                met.append(what)
                raise RecursionError
            works(mirror, what)

        monkeypatch.setattr(Mirror, method, faulty)
        async with lab.agent():
            lab.directory.refresh()
            await lab.serving()
            await until(lambda: lab.state_of("db") == "active")
            if method == "_delete":
                lab.directory.delete(uuid_of("db"))
                await until(lambda: lab.directory.feed.forgot)
            lab.directory.put(server("me", services=["web"]))
            await until(lambda: lab.state_of("db") is None)
            await until(lambda: not names(lab))
        assert met
        assert lab.directory.feed.forgot == 1

    async def test_keeps_its_problem_while_it_is_met_again_and_nothing_is_kept_for_the_next_start(
        self, lab, monkeypatch
    ):
        put = Mirror._put

        def faulty(mirror, entry):
            if "again" in str(entry.attributes):
                raise RecursionError
            put(mirror, entry)

        monkeypatch.setattr(Mirror, "_put", faulty)
        async with lab.agent():
            lab.directory.refresh()
            await lab.serving()
            lab.directory.put(service("db", relocTemplateSet="db", description="again"))
            await until(lambda: lab.directory.feed.forgot >= 3)
            await until(lambda: any("db" in name for name in names(lab)))
        assert lab.directory.cache.saved is None


async def test_a_defect_in_what_all_have_in_common_changes_nothing_here(lab, monkeypatch):
    async with lab.agent():
        lab.directory.refresh()
        await lab.serving()
        lab.server.take_effects()
        monkeypatch.setattr(goals_module, "displacing", lambda *_: 1 / 0)
        lab.directory.put(server("me"))
        await lab.says("ZeroDivisionError")
        assert names(lab) == {"directory"}  # the search itself goes on: a feed is followed once only
        assert lab.server.take_effects() == []
        monkeypatch.undo()
        lab.directory.put(server("me", description="again"))
        await until(lambda: not lab.server.addresses.ours)


def test_a_worker_that_meets_a_defect_between_two_steps_works_on(lab, monkeypatch):
    settle, met = Worker._settle, []

    async def faulty(worker):
        if worker.name == "db" and not met:
            met.append(worker)
            raise RecursionError
        await settle(worker)

    monkeypatch.setattr(Worker, "_settle", faulty)

    async def play():
        async with lab.agent():
            lab.directory.refresh()
            await asyncio.sleep(5)
            assert [lab.state_of(name) for name in ("web", "db")] == ["active", "active"]
            lab.directory.put(server("me", services=["web"]))
            await asyncio.sleep(5)
            assert [lab.state_of(name) for name in ("web", "db")] == ["active", None]

    run(play)
    assert met


@pytest.mark.parametrize("lasts", [True, False])
def test_a_defect_of_a_part_is_a_problem_until_it_has_run_for_a_minute_without(lab, lasts):
    settings = replace(SETTINGS, agent=AgentSettings())

    async def play():
        async with lab.agent(settings):
            lab.directory.refresh()
            await asyncio.sleep(5)
            lab.orders.mode = lambda: 1 / 0
            await asyncio.sleep(90)
            assert names(lab) == {"agent"}
            lab.orders.mode = lab.orders.mode if lasts else lambda: Mode.NORMAL
            await asyncio.sleep(90)
            assert names(lab) == ({"agent"} if lasts else set())

    run(play)


async def test_a_part_that_meets_a_defect_is_run_again(lab):
    lab.orders.mode = lambda: 1 / 0 if lab.said.is_ready else Mode.NORMAL
    async with lab.agent():
        lab.directory.refresh()
        await lab.serving()
        await lab.says("ZeroDivisionError")
        lab.orders.mode = lambda: Mode.PAUSED
        await until(lambda: lab.said.status["mode"] == "paused", 10)


async def test_a_mode_that_is_not_known_is_a_problem(lab):
    async with lab.agent():
        lab.directory.refresh()
        await lab.serving()
        lab.orders.problem = "the mode cannot be read"
        await lab.says("the mode cannot be read")
        assert names(lab) == {"mode"}
