"""The port `Renderer`: templates rendered by a worker process (`render_worker`) with limits of time and memory.

One worker lives as long as the agent and takes the requests in turn. A request has the context once, and all templates
that are rendered with it; each of them takes well under a millisecond. Only while a worker is stuck in one template
does a second one start, so that a hung template of one service delays the others by no more than the start of a
process. A second one that had nothing to do for a while ends.

A template is limited in the processor time that it takes itself. On a busy machine it may wait for long, which is not
its fault.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, Self

from relocd.adapters.templates.render_process import Gone, RenderAnswer, RenderProcess, Request, source_of, template_of
from relocd.errors import Invalid
from relocd.ports.host import Rendered
from relocd.reconcile.health import PlannedText
from relocd.reconcile.spec import PlannedFile
from relocd.reconcile.template_context import TemplateContext

__all__ = ["WorkerRenderer"]

_WORKERS: Final = 2
_STUCK_S: Final = 0.05
_SPARE_S: Final = 10.0
_LOST_S: Final = 60.0
"""No answer within this time: a worker that is stopped, or a machine that hangs; the template is tried again."""


class WorkerRenderer:
    """Renders in worker processes; each template may take `limit_s` of processor time.

    A context manager that has a worker ready inside the block; without it the first request starts one.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._idle: list[RenderProcess] = []
        self._alive: set[RenderProcess] = set()
        self._answered_at: dict[RenderProcess, float] = {}
        self._starting = 0
        self._freed = asyncio.Event()
        self._retiring: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Start the worker now instead of at the first request; raises `Failed` when it cannot run."""
        async with self._worker():
            return

    async def close(self) -> None:
        """End the workers."""
        if self._retiring is not None:
            self._retiring.cancel()
        await asyncio.gather(*(worker.end() for worker in self._alive))
        self._alive.clear()
        self._idle.clear()

    async def render(
        self, files: Sequence[PlannedFile | PlannedText], context: TemplateContext
    ) -> Sequence[Rendered | Invalid]:
        """The rendered text of each file or text, or an `Invalid` that names set, place and line, also for a time-out.

        A worker that died while it was idle is none of the template's doing: a template is tried with a second one.
        """
        done: list[Rendered | Invalid] = []
        tried = 0
        while len(done) < len(files):
            found = await self._some(files[len(done) :], context)
            tried = 1 if found else tried + 1
            done += found
            if tried > 1:
                done.append(Invalid(f"{_subject(files[len(done)])} ended the process that rendered it; {_MEMORY}"))
                tried = 0
        return done

    async def _some(
        self, files: Sequence[PlannedFile | PlannedText], context: TemplateContext
    ) -> list[Rendered | Invalid]:
        """What one worker makes of the files, as far as it gets: up to one that takes too long, or that ends it."""
        request = Request(context, tuple(map(template_of, files)), self._limit_s)
        done: list[Rendered | Invalid] = []
        async with self._worker() as worker:
            try:
                await worker.begin(request)
                for file in files:
                    async with asyncio.timeout(self._limit_s + _LOST_S):
                        done.append(_outcome(file, await worker.answer()))
                    self._answered_at[worker] = time.monotonic()
            except TimeoutError:
                pass
            except Gone:
                if await worker.was_too_slow():
                    subject = _subject(files[len(done)])
                    done.append(Invalid(f"{subject} took longer than {self._limit_s:g} s and {_LOOP}"))
        return done

    @asynccontextmanager
    async def _worker(self) -> AsyncIterator[RenderProcess]:
        """A worker for one request; afterwards it is idle again, or ended if it did not answer."""
        worker = await self._taken()
        self._answered_at[worker] = time.monotonic()
        try:
            yield worker
        finally:
            del self._answered_at[worker]
            await self._give_back(worker)

    async def _taken(self) -> RenderProcess:
        """An idle worker, or a new one where there is none, or where all are stuck."""
        while not self._idle:
            if not self._starting and len(self._alive) < _WORKERS and self._stuck_in_s() <= 0:
                return await self._started()
            self._freed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(self._stuck_in_s(), _STUCK_S / 10)):
                    await self._freed.wait()
        return self._idle.pop()

    def _stuck_in_s(self) -> float:
        """When every worker will have been stuck in one template for long enough; 0 where there is no worker."""
        last = max((self._answered_at.get(worker, 0.0) for worker in self._alive), default=0.0)
        return last + _STUCK_S - time.monotonic()

    async def _started(self) -> RenderProcess:
        self._starting += 1
        try:
            worker = await RenderProcess.started()
            self._alive.add(worker)
        finally:
            self._starting -= 1
            self._freed.set()
        return worker

    async def _give_back(self, worker: RenderProcess) -> None:
        if worker.in_step:
            self._idle.append(worker)
            if len(self._alive) > 1 and self._retiring is None:
                self._retiring = asyncio.create_task(self._retire())
        else:
            self._alive.discard(worker)
        self._freed.set()
        if not worker.in_step:
            await worker.end()

    async def _retire(self) -> None:
        """End the second worker once it had nothing to do for a while: the one that was used last goes on."""
        while len(self._alive) > 1:
            spare = self._idle[0] if self._idle else None
            await asyncio.sleep(_SPARE_S)
            if spare is not None and self._idle[:1] == [spare] and len(self._alive) > 1:
                self._idle.remove(spare)
                await spare.end()
                self._alive.discard(spare)
        self._retiring = None


_MEMORY: Final = "see whether it needs much memory"
_LOOP: Final = "was stopped; look for an endless loop, or raise [agent] render_timeout_s"


def _subject(file: PlannedFile | PlannedText) -> str:
    return f"template set {file.template_set.name}: {source_of(file)}"


def _outcome(file: PlannedFile | PlannedText, answer: RenderAnswer) -> Rendered | Invalid:
    if answer.error:
        return Invalid(f"template set {file.template_set.name}: {answer.error}")
    return Rendered(answer.text, answer.secret)
