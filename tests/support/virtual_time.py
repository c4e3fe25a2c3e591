"""An hour in a second: an event loop whose clock jumps to the next timer as soon as nothing else is to be done."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from typing import Any
from unittest import mock

__all__ = ["in_virtual_time", "run", "stamped"]

_EPOCH_S = 1_780_000_000.0


class _Jumping(selectors.SelectSelector):
    """Never waits: what it would have waited for the clock of its loop is put forward."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found and timeout is None:
            raise RuntimeError("nothing would ever happen any more")
        if not found and timeout:
            self.now += timeout
        return found


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run(play: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a play to its end in virtual time; `time.monotonic` and `time.time` go by it, too."""
    with asyncio.Runner(loop_factory=_Loop) as runner, _clocks_by(runner.get_loop()):
        runner.run(play())


def in_virtual_time(play: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that runs a play to its end in virtual time."""

    @wraps(play)
    def played(*arguments: Any, **more: Any) -> None:
        run(lambda: play(*arguments, **more))

    return played


def stamped(number: int) -> str:
    """The change number of a provider whose clock is this one."""
    at = datetime.fromtimestamp(time.time(), UTC)
    return at.strftime(f"%Y%m%d%H%M%S.%fZ#{number:06x}#000#000000")


@contextmanager
def _clocks_by(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    def wall_clock() -> float:
        return _EPOCH_S + loop.time()

    with mock.patch.object(time, "monotonic", loop.time), mock.patch.object(time, "time", wall_clock):
        yield
