"""A queue that nobody waits for: bounded, in order, tried again while nothing answers, given up where it is refused."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager

from relocd.agent.convergence.host import UNMEASURED
from relocd.agent.history.outbox import Outbox, Patience
from relocd.errors import Failed, Unavailable
from tests.support.fakes import until

QUICK = Patience(most=3, retry_min_s=0.001, retry_max_s=0.004)


class Target:
    """Takes what is sent while it is `open`; the next answers are in `errors`."""

    def __init__(self):
        self.got, self.errors, self.tries = [], [], 0
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, item):
        self.tries += 1
        await self.open.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.got.append(item)


class Counting(type(UNMEASURED)):
    def __init__(self):
        self.counted = Counter()

    def sent(self, what, outcome):
        self.counted[what, outcome] += 1


@asynccontextmanager
async def running(target, patience=QUICK):
    meter = Counting()
    outbox = Outbox("webhook", target.send, meter, patience)
    task = asyncio.create_task(outbox.run())
    try:
        yield outbox, meter.counted
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_all_is_sent_in_order():
    target = Target()
    async with running(target) as (outbox, counted):
        outbox.put("a")
        outbox.put("b")
        await until(lambda: target.got == ["a", "b"])
        outbox.put("c")
        await until(lambda: target.got == ["a", "b", "c"])
        assert counted == {("webhook", "done"): 3}


async def test_what_is_not_answered_is_tried_again_and_what_is_refused_is_not():
    target = Target()
    target.errors = [Unavailable("silence")] * 4 + [Failed("no such page")]
    async with running(target) as (outbox, counted):
        outbox.put("a")
        outbox.put("b")
        await until(lambda: target.got == ["b"])
        assert (target.tries, counted) == (6, {("webhook", "failed"): 1, ("webhook", "done"): 1})


async def test_a_full_queue_drops_the_oldest_and_says_so_once(caplog):
    target = Target()
    target.open.clear()
    async with running(target) as (outbox, counted):
        for number in range(6):
            outbox.put(number)
            await asyncio.sleep(0)
        assert counted["webhook", "dropped"] == 3
        target.open.set()
        await until(lambda: target.got[-1:] == [5])
        assert target.got == [0, 3, 4, 5]  # the first was on its way
        assert sum("full" in each.message for each in caplog.records) == 1


async def test_an_item_is_given_up_when_it_is_too_old():
    target = Target()
    target.errors = [Unavailable("silence")] * 100
    async with running(target, Patience(retry_min_s=0.001, retry_max_s=0.01, for_s=0.02)) as (outbox, counted):
        outbox.put("a")
        await until(lambda: counted["webhook", "failed"] == 1)
        target.errors.clear()
        outbox.put("b")
        await until(lambda: target.got == ["b"])


async def test_a_failure_is_logged_once_until_something_is_sent(caplog):
    target = Target()
    target.errors = [Unavailable("silence")] * 5
    async with running(target) as (outbox, _):
        outbox.put("a")
        await until(lambda: target.got)
        warnings = [each for each in caplog.records if each.levelname == "WARNING"]
        assert [each.fields["problem"] for each in warnings] == ["silence"]


async def test_putting_never_waits():
    target = Target()
    target.open.clear()
    outbox = Outbox("webhook", target.send, UNMEASURED, QUICK)
    for number in range(1000):
        outbox.put(number)  # no coroutine, no error, no growth
    assert len(outbox._waiting) == QUICK.most
