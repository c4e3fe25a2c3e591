"""What is told to whom: the events that are asked for, problems that last, each once."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from relocd.agent.convergence.host import UNMEASURED
from relocd.agent.history.notifications import Notifications
from relocd.model.dn import DN
from relocd.model.history import Happened, HistoryRecord
from relocd.model.notification import NotifiedEvent
from tests.support.entries import ME, dn
from tests.support.fakes import until
from tests.support.virtual_time import run

AT = datetime(2026, 11, 30, 15, 49, 24, tzinfo=UTC)
ALL = [str(event) for event in NotifiedEvent]
WEB = DN.parse(dn("web"))


class Target:
    name, shown = "webhook", "https://example.org"

    def __init__(self):
        self.told = []
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, body):
        await self.open.wait()
        self.told.append(json.loads(body))
        return "200 OK"

    @property
    def events(self):
        return [each["event"] for each in self.told]


@asynccontextmanager
async def notifying(*targets, events=ALL):
    found = Notifications(targets, events, UNMEASURED, lambda: DN.parse(ME))
    task = asyncio.create_task(found.run())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def record(event):
    return HistoryRecord(AT, event, ME, 2, dn("twin"), ME, "R3", "me linked", "cn=anna", 4.2)


@pytest.mark.parametrize(
    ("happened", "told"),
    [
        (Happened.SERVED, ["holder"]),
        (Happened.GIVEN_BACK, ["holder"]),
        (Happened.RELEASED, ["holder"]),
        (Happened.UNHEALTHY, ["unhealthy"]),
        (Happened.RECOVERED, ["recovered"]),
        (Happened.FAILED, []),
        (Happened.REFUSED, []),
    ],
)
async def test_a_record_is_told_by_its_kind(happened, told):
    """A failure and a refusal are problems of this server as well, and told as those."""
    target = Target()
    async with notifying(target) as notifications:
        notifications.tell_record(WEB, record(happened))
        notifications.tell_record(WEB, record(Happened.SERVED))
        await until(lambda: len(target.told) == len(told) + 1)
        assert target.events[:-1] == told
        assert target.told[0]["record"]["by"] == "cn=anna"
        assert target.told[0]["service"] == "web"


async def test_only_what_is_asked_for_is_told():
    target = Target()
    async with notifying(target, events=["unhealthy"]) as notifications:
        notifications.tell_record(WEB, record(Happened.SERVED))
        notifications.tell_record(WEB, record(Happened.UNHEALTHY))
        await until(lambda: target.told)
        assert target.events == ["unhealthy"]


async def test_a_target_that_hangs_holds_up_no_other():
    slow, quick = Target(), Target()
    slow.open.clear()
    async with notifying(slow, quick) as notifications:
        for _ in range(3):
            notifications.tell_record(WEB, record(Happened.SERVED))
        await until(lambda: len(quick.told) == 3)
        assert slow.told == []


class TestProblems:
    def test_one_that_lasts_is_told_once_and_again_after_it_was_gone(self):
        async def play():
            target = Target()
            async with notifying(target) as notifications:
                for age in range(3):
                    notifications.take_problems([f"twin: silent for {age} s"])
                    await asyncio.sleep(10)
                assert target.events == ["problem"]
                notifications.take_problems([])
                await asyncio.sleep(10)
                notifications.take_problems(["twin: silent for 9 s"])
                await asyncio.sleep(10)
                assert target.events == ["problem", "problem"]

        run(play)

    def test_one_that_is_over_at_once_is_not_told(self):
        async def play():
            target = Target()
            async with notifying(target) as notifications:
                notifications.take_problems(["web: the unit does not start"])
                await asyncio.sleep(0.5)
                notifications.take_problems([])
                await asyncio.sleep(10)
                assert target.told == []

        run(play)

    def test_a_candidate_that_waits_is_told_as_that(self):
        async def play():
            target = Target()
            async with notifying(target) as notifications:
                notifications.take_problems(["web waits: twin is silent", "web: no interface fits"])
                await asyncio.sleep(10)
                assert sorted(target.events) == ["problem", "waiting"]

        run(play)
