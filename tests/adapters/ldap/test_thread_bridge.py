"""Events go from a thread to the loop in order, with few wake-ups, and bounded."""

import asyncio
import os
import sys
import threading
import time

import pytest

from relocd.adapters.ldap import thread_bridge
from relocd.adapters.ldap.thread_bridge import Inbox, StopSignal
from relocd.sync.session import Cookie, Deleted, RefreshDone

pytestmark = pytest.mark.timeout(20)


@pytest.fixture
async def inbox():
    return Inbox(asyncio.get_running_loop())


@pytest.fixture
def stop():
    stop = StopSignal()
    yield stop
    stop.close()


async def test_what_was_put_before_the_loop_looks_is_one_batch(inbox):
    await asyncio.to_thread(lambda: [inbox.put([Deleted((str(number),))]) for number in range(100)])
    assert await inbox.take() == [Deleted((str(number),)) for number in range(100)]


async def test_a_cookie_alone_wakes_nobody_but_comes_with_the_next_event(inbox):
    inbox.put([RefreshDone(), Cookie("1")])
    assert await inbox.take() == [RefreshDone(), Cookie("1")]
    inbox.put([Cookie("2")])
    inbox.put([Cookie("3")])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(inbox.take(), 0.05)
    inbox.put([Deleted(("x",)), Cookie("4")])
    assert await inbox.take() == [Cookie("3"), Deleted(("x",)), Cookie("4")]


async def test_a_cookie_alone_comes_after_a_while(inbox, monkeypatch):
    inbox.put([RefreshDone()])
    await inbox.take()
    monkeypatch.setattr(thread_bridge, "_COOKIE_PERIOD_S", 0.0)
    inbox.put([Cookie("1")])
    assert await inbox.take() == [Cookie("1")]


async def test_the_thread_waits_while_too_much_is_unread(inbox):
    chunk = [RefreshDone()] * 6000
    thread = threading.Thread(target=lambda: [inbox.put(chunk) for _ in range(5)])
    thread.start()
    taken = 0
    while taken < 30_000:
        batch = await inbox.take()
        assert len(batch) <= 16_000
        taken += len(batch)
    thread.join()


async def test_the_end_frees_a_waiting_thread(inbox):
    thread = threading.Thread(target=lambda: [inbox.put([RefreshDone()] * 6000) for _ in range(5)])
    thread.start()
    inbox.end()
    await asyncio.to_thread(thread.join, 5.0)
    assert not thread.is_alive()


async def test_what_came_before_the_end_is_taken_first(inbox):
    inbox.put([RefreshDone()])
    inbox.end(ValueError("a bug"))
    assert await inbox.take() == [RefreshDone()]
    with pytest.raises(ValueError, match="a bug"):
        await inbox.take()


async def test_after_the_end_there_is_nothing(inbox):
    inbox.end()
    inbox.put([RefreshDone()])
    assert await inbox.take() == []
    assert await inbox.take() == []


def test_a_stop_ends_the_waiting_for_data(stop):
    reading, writing = os.pipe()
    threading.Timer(0.05, stop.set).start()
    started = time.monotonic()
    assert not stop.wait_readable(reading, 10.0)
    assert stop.is_set()
    assert stop.wait(10.0)
    assert time.monotonic() - started < 5.0
    os.close(reading)
    os.close(writing)


def test_data_ends_the_waiting(stop):
    reading, writing = os.pipe()
    os.write(writing, b"x")
    assert stop.wait_readable(reading, 10.0)
    os.close(reading)
    os.close(writing)


def test_the_waiting_is_limited(stop):
    reading, writing = os.pipe()
    assert not stop.wait_readable(reading, 0.01)
    assert not stop.wait_readable(reading, -1.0)
    os.close(reading)
    os.close(writing)


class TestInterruption:
    """The thread leaves off what it does once for each time, or once for several, and is then woken no more."""

    @pytest.fixture
    def reading(self):
        reading, writing = os.pipe()
        yield reading
        os.close(reading)
        os.close(writing)

    def is_woken(self, stop, reading):
        """Whether a wait for data ends before its time although there is none."""
        started = time.monotonic()
        assert not stop.wait_readable(reading, 0.05)
        return time.monotonic() - started < 0.04

    def test_nobody_is_interrupted_by_himself(self, stop, reading):
        assert not self.is_woken(stop, reading)
        assert not stop.take_interrupt()

    def test_it_ends_the_waiting_for_data_and_is_no_end(self, stop, reading):
        timer = threading.Timer(0.05, stop.interrupt)
        timer.start()
        started = time.monotonic()
        assert not stop.wait_readable(reading, 10.0)
        assert time.monotonic() - started < 5.0
        timer.join()
        assert stop.take_interrupt()
        assert not stop.is_set()

    def test_it_is_taken_once(self, stop, reading):
        stop.interrupt()
        assert stop.take_interrupt()
        assert not stop.take_interrupt()
        assert not self.is_woken(stop, reading)

    def test_several_before_the_thread_looks_are_one(self, stop, reading):
        for _ in range(3):
            stop.interrupt()
        assert stop.take_interrupt()
        assert not stop.take_interrupt()
        assert not self.is_woken(stop, reading)

    def test_an_end_wakes_whatever_was_taken(self, stop, reading):
        stop.interrupt()
        stop.set()
        assert stop.take_interrupt()
        assert self.is_woken(stop, reading)

    def test_whoever_looks_while_it_is_said_takes_it_then_or_later(self, stop, reading):
        """Looked for without a pause, from a thread of its own, while another one says it again and again."""
        taken = []
        ended = threading.Event()

        def look():
            while not ended.is_set():
                taken.append(stop.take_interrupt())
            taken.append(stop.take_interrupt())

        looking = threading.Thread(target=look)
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            looking.start()
            for _ in range(2000):
                stop.interrupt()
            ended.set()
            looking.join(10)
        finally:
            sys.setswitchinterval(interval)
        assert not looking.is_alive()
        assert any(taken)
        assert not stop.take_interrupt()
        assert not self.is_woken(stop, reading)
