"""Change numbers that are ahead of the directory's clock are a problem for as long as they are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relocd.model.settings import HandoverSettings
from tests.support.directory import ModelDirectory
from tests.support.entries import csn, server
from tests.support.fakes import until
from tests.unit.agent.lab import SETTINGS, Lab, web

OFTEN = replace(SETTINGS, handover=HandoverSettings(lease_s=0.8))


@pytest.fixture
def lab():
    return Lab(server("me", services=["web"]), web())


def subjects(lab):
    return [problem["subject"] for problem in lab.said.status.get("problems", ())]


async def test_they_are_named_until_the_clock_has_caught_up(lab, monkeypatch):
    """The directory stamps this server's heartbeats with numbers of midnight, and has one of two hours later."""
    monkeypatch.setattr(ModelDirectory, "cookie", "rid=000,csn=20260101020000.000000Z#000000#000#000000")
    async with lab.agent(OFTEN):
        lab.directory.refresh()
        await until(lambda: subjects(lab) == ["directory"])
        await lab.says("2026-01-01 02:00:00")
        monkeypatch.setattr(ModelDirectory, "cookie", f"rid=000,csn={csn(0)}")
        await until(lambda: subjects(lab) == [])


@pytest.mark.parametrize(
    "known",
    [
        pytest.param("20260101000000.900000Z#000000#000#000000", id="of the same moment"),
        pytest.param("20260101020000.000000Z#000000#001#000000", id="of another provider"),
    ],
)
async def test_others_are_no_problem(lab, monkeypatch, known):
    monkeypatch.setattr(ModelDirectory, "cookie", f"rid=000,csn={known}")
    async with lab.agent(OFTEN):
        lab.directory.refresh()
        await lab.serving()
        assert subjects(lab) == []
