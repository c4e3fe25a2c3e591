"""The port `Renderer`: templates rendered by a worker process (`render_worker`) with limits of time and memory.

One worker lives as long as the agent and takes the requests in turn. A request has the context once, and all templates
that are rendered with it; each of them takes well under a millisecond. Only while a worker is stuck in one request does
a second one start, so that a hung template of one service delays the others by no more than the start of a process.
Once both are free again, one of them ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, Self

from relocd.adapters.templates.render_process import Gone, RenderAnswer, RenderProcess, Request, source_of, template_of
from relocd.errors import Invalid
from relocd.ports import Rendered
from relocd.reconcile.health import PlannedText
from relocd.reconcile.spec import PlannedFile
from relocd.reconcile.template_context import TemplateContext

__all__ = ["WorkerRenderer"]

_WORKERS: Final = 2
_PATIENCE_S: Final = 0.05


class WorkerRenderer:
    """Renders in worker processes, each template within `timeout_s`.

    A context manager that has a worker ready inside the block; without it the first request starts one.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._idle: list[RenderProcess] = []
        self._alive: set[RenderProcess] = set()
        self._starting = 0
        self._freed = asyncio.Event()

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
        """What one worker makes of the files, as far as it gets: up to one that hangs, or before one that ends it."""
        request = Request(context, tuple(map(template_of, files)), self._timeout_s)
        done: list[Rendered | Invalid] = []
        async with self._worker() as worker:
            with suppress(Gone):
                await worker.begin(request)
                for file in files:
                    try:
                        async with asyncio.timeout(self._timeout_s):
                            done.append(_outcome(file, await worker.answer()))
                    except TimeoutError:
                        return [*done, Invalid(f"{_subject(file)} took longer than {self._timeout_s:g} s and {_LOOP}")]
        return done

    @asynccontextmanager
    async def _worker(self) -> AsyncIterator[RenderProcess]:
        """A worker for one request; afterwards it is idle again, or ended if it did not answer."""
        worker = await self._taken()
        try:
            yield worker
        finally:
            await self._given_back(worker)

    async def _taken(self) -> RenderProcess:
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                await self._until(lambda: bool(self._idle) or not self._count)
        await self._until(lambda: bool(self._idle) or (self._count < _WORKERS and not self._starting))
        return self._idle.pop() if self._idle else await self._started()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._freed.clear()
            await self._freed.wait()

    @property
    def _count(self) -> int:
        return len(self._alive) + self._starting

    async def _started(self) -> RenderProcess:
        self._starting += 1
        try:
            worker = await RenderProcess.started()
            self._alive.add(worker)
        finally:
            self._starting -= 1
            self._freed.set()
        return worker

    async def _given_back(self, worker: RenderProcess) -> None:
        kept = worker.in_step and not self._idle
        if kept:
            self._idle.append(worker)
        else:
            self._alive.discard(worker)
        self._freed.set()
        if not kept:
            await worker.end()


_MEMORY: Final = "see whether it needs much memory"
_LOOP: Final = "was stopped; look for an endless loop, or raise [agent] render_timeout_s"


def _subject(file: PlannedFile | PlannedText) -> str:
    return f"template set {file.template_set.name}: {source_of(file)}"


def _outcome(file: PlannedFile | PlannedText, answer: RenderAnswer) -> Rendered | Invalid:
    if answer.error:
        return Invalid(f"template set {file.template_set.name}: {answer.error}")
    return Rendered(answer.text, answer.secret)
