"""Links of one server that are removed at about the same time share a write, and none waits for more than that."""

from __future__ import annotations

import asyncio

import pytest

from relocd.agent.directory.link_removals import LinkRemovals
from relocd.errors import Unavailable
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.writes import Conflict, Delete, Done, Lost, Modification, Replace, Unknown
from tests.support.entries import dn

GONE = Lost(Conflict.NO_SUCH_ATTRIBUTE, "no such value")


class SlowWriter:
    """Answers when it is told to, by what `answer` says of the removed links."""

    def __init__(self, answer=lambda _: Done()):
        self.written = []
        self._answer = answer
        self._may_answer = asyncio.Event()

    async def apply(self, write):
        self.written.append(write)
        await self._may_answer.wait()
        found = self._answer({value for change in write.changes for value in change.values})
        if isinstance(found, Exception):
            raise found
        return found

    def go_on(self):
        self._may_answer.set()

    @property
    def links(self):
        return [sorted(value.decode() for each in write.changes for value in each.values) for write in self.written]


def removal(service, server="n1"):
    return Modification(DN.parse(dn(server)), (Delete(names.SERVICE_LINK, (service.encode(),)),))


async def begun(writer, *writes):
    """The writes, each begun after the other."""
    removals = LinkRemovals(writer)
    tasks = []
    for write in writes:
        tasks.append(asyncio.create_task(removals.apply(write)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return tasks


async def test_the_first_is_written_at_once_and_the_others_follow_together():
    writer = SlowWriter()
    tasks = await begun(writer, removal("a"), removal("b"), removal("c"))
    assert writer.links == [["a"]]
    writer.go_on()
    assert await asyncio.gather(*tasks) == [Done()] * 3
    assert writer.links == [["a"], ["b", "c"]]


async def test_servers_do_not_wait_for_each_other():
    writer = SlowWriter()
    tasks = await begun(writer, removal("a"), removal("b", server="n2"))
    assert writer.links == [["a"], ["b"]]
    writer.go_on()
    await asyncio.gather(*tasks)


async def test_a_link_that_is_gone_already_does_not_keep_the_others():
    writer = SlowWriter(lambda links: GONE if b"gone" in links else Done())
    tasks = await begun(writer, removal("a"), removal("b"), removal("gone"), removal("c"))
    writer.go_on()
    assert await asyncio.gather(*tasks) == [Done(), Done(), GONE, Done()]
    assert writer.links[2:] == [["b"], ["gone"], ["c"]]


@pytest.mark.parametrize("answer", [Unknown("hangs"), GONE, Lost(Conflict.NO_SUCH_OBJECT, "no such entry")])
async def test_the_outcome_of_the_shared_write_is_that_of_each(answer):
    writer = SlowWriter(lambda _: answer)
    tasks = await begun(writer, removal("a"), removal("b"), removal("c"))
    writer.go_on()
    assert await asyncio.gather(*tasks) == [answer] * 3


async def test_an_error_is_raised_for_each_and_later_removals_are_written():
    errors = [Unavailable("no")] * 3
    writer = SlowWriter(lambda _: errors.pop() if errors else Done())
    removals = LinkRemovals(writer)
    writer.go_on()
    found = await asyncio.gather(*(removals.apply(removal(each)) for each in "abc"), return_exceptions=True)
    assert [type(each) for each in found] == [Unavailable] * 3
    assert await removals.apply(removal("a")) == Done()


async def test_a_caller_that_gives_up_takes_nothing_from_the_others():
    writer = SlowWriter()
    tasks = await begun(writer, removal("a"), removal("b"), removal("c"))
    tasks[1].cancel()
    await asyncio.sleep(0)
    writer.go_on()
    assert [await tasks[0], await tasks[2]] == [Done()] * 2


async def test_other_writes_are_as_they_are():
    writer = SlowWriter()
    other = Modification(DN.parse(dn("n1")), (Replace(names.SERVICE_LINK, (b"x",)),))
    (task,) = await begun(writer, other)
    writer.go_on()
    assert await task == Done()
    assert writer.written == [other]
