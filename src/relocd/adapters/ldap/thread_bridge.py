"""A bridge between a thread and the event loop: events one way, the request to stop the other way."""

from __future__ import annotations

import asyncio
import os
import select
import threading
import time
from collections.abc import Sequence
from typing import Final

from relocd.sync.session import Cookie, SyncEvent

__all__ = ["Inbox", "StopSignal"]

_MOST_WAITING: Final = 10_000
"""Unread events after which the thread waits for the loop: memory is bounded, and TCP slows down the server."""

_COOKIE_PERIOD_S: Final = 5.0


class StopSignal:
    """The request to stop, which also ends the thread's wait for a descriptor; it costs nothing while idle."""

    def __init__(self) -> None:
        self._set = threading.Event()
        self._interrupted = threading.Event()
        self._awake = threading.Event()
        self._guard = threading.Lock()  # an event and its write to the descriptor belong together
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def set(self) -> None:
        """Ask the thread to stop; called from any thread, before `close`."""
        self._signal(self._set)

    def hurry(self) -> None:
        """End the thread's present `wait`, or its next one, at once; called from any thread."""
        self._awake.set()

    def interrupt(self) -> None:
        """Ask the thread to end its search and start again; called from any thread, before `close`."""
        self._signal(self._interrupted)

    def take_interrupt(self) -> bool:
        """Whether `interrupt` was called since the last time; called from the thread."""
        with self._guard:
            if not self._interrupted.is_set():
                return False
            self._interrupted.clear()
            if not self._set.is_set():
                os.eventfd_read(self._descriptor)
            return True

    def is_set(self) -> bool:
        """Whether the thread should stop."""
        return self._set.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Wait, unless `hurry` was called; return whether the thread should stop."""
        self._awake.wait(timeout_s)
        self._awake.clear()
        return self._set.is_set()

    def wait_readable(self, descriptor: int, timeout_s: float) -> bool:
        """Wait until there is data, the time is over or the thread should stop; return whether there is data."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        poll.register(descriptor, select.POLLIN)
        ready = poll.poll(max(0.0, timeout_s) * 1000)
        return any(found == descriptor for found, _ in ready)

    def close(self) -> None:
        """Free the descriptor, after the thread has ended."""
        os.close(self._descriptor)

    def _signal(self, event: threading.Event) -> None:
        with self._guard:
            event.set()
            self._awake.set()
            os.eventfd_write(self._descriptor, 1)


class Inbox:
    """Events from a thread, in order; the loop is woken once for all that arrive before it takes them.

    A cookie alone changes nothing: each change of an entry outside the search, such as another server's heartbeat,
    brings one. Only the last of them is kept, and the loop is woken for it once in a few seconds.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._changed = asyncio.Event()
        self._guard = threading.Condition()
        self._events: list[SyncEvent] = []
        self._waking = False
        self._woken_at = 0.0
        self._ended = False
        self._error: BaseException | None = None

    def put(self, events: Sequence[SyncEvent]) -> None:
        """Pass events on, from the thread; wait while too many are unread, and drop them after the end."""
        with self._guard:
            self._guard.wait_for(lambda: self._ended or len(self._events) < _MOST_WAITING)
            if self._ended or not events:
                return
            news = not all(isinstance(event, Cookie) for event in events)
            if not news and self._events and isinstance(self._events[-1], Cookie):
                self._events.pop()
            self._events.extend(events)
            if news or time.monotonic() - self._woken_at > _COOKIE_PERIOD_S:
                self._wake()

    def end(self, error: BaseException | None = None) -> None:
        """End the inbox: `take` then raises the error, or returns an empty batch. Called from any thread."""
        with self._guard:
            if self._ended:
                return
            self._ended, self._error = True, error
            self._guard.notify_all()
            self._wake()

    async def take(self) -> list[SyncEvent]:
        """All events since the last call, at least one; none after the end."""
        await self._changed.wait()
        self._changed.clear()
        with self._guard:
            events, self._events = self._events, []
            self._waking, self._woken_at = False, time.monotonic()
            self._guard.notify_all()
            if self._ended:
                self._changed.set()
            if self._error and not events:
                raise self._error
        return events

    def _wake(self) -> None:
        if not self._waking:
            self._waking = True
            self._loop.call_soon_threadsafe(self._changed.set)
