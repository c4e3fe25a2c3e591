"""The port `Renderer`: templates rendered by a worker process (`render_worker`) with limits of time and memory.

One worker lives as long as the agent and takes the requests in turn, which cost well under a millisecond each. Only
while it is stuck in one request does a second one start, so that a hung template of one service delays the others by
no more than the start of a process; once both are free again one of them ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final, Self

from relocd.adapters.templates.render_process import Gone, RenderAnswer, RenderProcess, Request
from relocd.errors import Invalid
from relocd.model.template_set import TemplateSet
from relocd.ports import Rendered

__all__ = ["WorkerRenderer"]

_WORKERS: Final = 2
_PATIENCE_S: Final = 0.05


class WorkerRenderer:
    """Renders in worker processes, each request within `timeout_s`.

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

    async def render(self, template_set: TemplateSet, source: str, context: Mapping[str, object]) -> Rendered:
        """The rendered text; raises `Invalid` naming set, file and line for an error or a time-out."""
        request = Request(
            folder=str(template_set.folder),
            digest=template_set.digest,
            source=source,
            context=context,
            limit_s=self._timeout_s,
            parameters=template_set.parameters,
            secrets=template_set.secrets,
        )
        subject = f"template set {template_set.name}: {source}"
        try:
            answer = await self._answer(request, subject)
        except Gone as error:
            raise Invalid(f"{subject} ended the process that rendered it; see whether it needs much memory") from error
        if answer.error:
            raise Invalid(f"template set {template_set.name}: {answer.error}")
        return Rendered(answer.text, answer.secret)

    async def _answer(self, request: Request, subject: str) -> RenderAnswer:
        """A worker's answer; one that died while idle is none of the template's doing, so a fresh one is asked too."""
        with suppress(Gone):
            return await self._asked(request, subject)
        return await self._asked(request, subject)

    async def _asked(self, request: Request, subject: str) -> RenderAnswer:
        async with self._worker() as worker:
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await worker.ask(request)
            except TimeoutError as error:
                raise Invalid(
                    f"{subject} took longer than {self._timeout_s:g} s and was stopped; look for an endless loop, "
                    "or raise [agent] render_timeout_s"
                ) from error

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
