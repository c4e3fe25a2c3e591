"""The states of units and the results of jobs, as received over one connection to systemd.

Nothing here outlives the connection, so no state is older than it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from relocd.adapters.units.systemd_bus import MANAGER, Remote, SystemdBus, unit
from relocd.errors import Invalid, RelocdError, Unavailable
from relocd.model.host import Restarts, UnitState

__all__ = ["SystemdSession"]

# ActiveState, where it is not a word of UnitState.
_STATES: Final = {
    "reloading": UnitState.ACTIVE,
    "refreshing": UnitState.ACTIVE,
    "maintenance": UnitState.INACTIVE,
} | {str(state): state for state in UnitState}


@dataclass(slots=True)
class _UnitView:
    """The known properties of a unit; None where one is unknown.

    `momentary`: it is a oneshot that is inactive once it has run.
    """

    load: str | None = None
    active: str | None = None
    momentary: bool = False
    restarts: Restarts = field(default_factory=Restarts)

    @property
    def state(self) -> UnitState:
        """The state; a unit that cannot be loaded is unknown, unless it still runs."""
        state = _STATES.get(self.active or "", UnitState.UNKNOWN)
        idle = state in {UnitState.INACTIVE, UnitState.FAILED}
        return UnitState.UNKNOWN if idle and self.load != "loaded" else state


class SystemdSession:
    """One connection: the paths and properties of units, and the results of jobs."""

    def __init__(
        self, address: str | None, answer_s: float, changed: Callable[[], None], lost: Callable[[str], None]
    ) -> None:
        self.bus = SystemdBus(address, answer_s, self._receive, self._end)
        self._changed = changed
        self._lost = lost
        self._paths: dict[str, str] = {}
        self._views: dict[str, _UnitView] = {}
        self._watched: set[str] = set()
        self._jobs = _Jobs()

    async def open(self) -> None:
        """Connect and subscribe to the manager's signals."""
        await self.bus.open()
        try:
            for member in ("JobRemoved", "Reloading"):
                await self.bus.match(f"path='{MANAGER.path}',interface='{MANAGER.interface}',member='{member}'")
        except BaseException:
            await self.bus.close()
            raise

    async def close(self) -> None:
        """Close the connection; waits for jobs fail, `lost` is not called."""
        self._jobs.abandon("the agent has closed its connection")
        await self.bus.close()

    async def state(self, name: str) -> UnitState:
        """The state of a unit, watched from now on."""
        view = self._views.get(self._paths.get(name, ""))
        if view is None or view.load != "loaded":  # installing or unmasking a unit makes no signal
            self._paths.pop(name, None)
            view = await self._read(name, await self._path(name))
        return view.state

    async def ends_at_once(self, name: str) -> bool:
        """Whether a unit is inactive as soon as its start is done, so its state cannot show that it was started."""
        await self.state(name)
        return self._views[self._paths[name]].momentary

    def restarts(self, name: str) -> int:
        """The restarts of a unit by systemd within the last minute; 0 also for a single one, which may have helped."""
        view = self._views.get(self._paths.get(name, ""))
        return 0 if view is None else view.restarts.within_window(time.monotonic())

    @asynccontextmanager
    async def held(self, name: str) -> AsyncIterator[None]:
        """Keep systemd from unloading a unit, and losing the result of its last job, as soon as it is inactive."""
        path = await self._path(name)
        await self.bus.call(name, unit(path), "Ref")
        try:
            yield
        finally:
            with suppress(RelocdError):  # a reference ends with the connection
                await self.bus.call(name, unit(path), "Unref")

    async def job(self, method: str, name: str, limit_s: float) -> str | None:
        """Start a job and return its result, None when it takes longer; raises `Unavailable` when the bus is lost."""
        with self._jobs.expected():
            (path,) = await self.bus.call(name, MANAGER, method, name, "replace")
            return await self._jobs.result(name, path, limit_s)

    async def was_skipped(self, name: str) -> bool:
        """Whether a held unit does not run after its start, because its conditions are not met."""
        path = await self._path(name)
        if await self.bus.property(name, unit(path), "ConditionResult"):
            return False
        return await self.bus.property(name, unit(path), "ActiveState") in {"inactive", "failed"}

    async def why(self, name: str) -> str:
        """The result of a unit's last run, as a part of a message; empty for success or an unknown result."""
        kind = name.rpartition(".")[2].capitalize()
        try:
            result = await self.bus.property(name, unit(await self._path(name), kind), "Result")
        except RelocdError:  # targets have none; and it only adds to an error that is reported anyway
            return ""
        return "" if result == "success" else f" (Result: {result})"

    async def _path(self, name: str) -> str:
        if not name:
            raise Invalid("an empty name names no unit")  # to systemd it means the unit of the agent itself
        if name not in self._paths:
            (self._paths[name],) = await self.bus.call(name, MANAGER, "LoadUnit", name)
        return self._paths[name]

    async def _read(self, name: str, path: str) -> _UnitView:
        """Subscribe first, then read: a signal that comes before the answer is at least as new."""
        service = unit(path, "Service")
        if path not in self._watched:
            for interface in (unit(path).interface, *([service.interface] if name.endswith(".service") else ())):
                await self.bus.match(f"path='{path}',member='PropertiesChanged',arg0='{interface}'")
            self._watched.add(path)
        view = self._views[path] = _UnitView()
        load, active = await asyncio.gather(
            self.bus.property(name, unit(path), "LoadState"), self.bus.property(name, unit(path), "ActiveState")
        )
        if load == "loaded" and name.endswith(".service"):
            await self._read_service(name, service, view)
        view.load = load
        view.active = view.active or active
        return view

    async def _read_service(self, name: str, service: Remote, view: _UnitView) -> None:
        kind, remains, restarts = await asyncio.gather(
            *(self.bus.property(name, service, each) for each in ("Type", "RemainAfterExit", "NRestarts"))
        )
        view.momentary = kind == "oneshot" and not remains
        view.restarts.note(restarts, time.monotonic())

    def _receive(self, path: str, member: str, body: list[Any]) -> None:
        match member, body:
            case "JobRemoved", [_, job, _, result]:
                self._jobs.finish(job, result)
            case "PropertiesChanged", [_, changed, _] if "ActiveState" in changed:
                self._see(path, changed["ActiveState"].value)
            case "PropertiesChanged", [_, changed, _] if "NRestarts" in changed:
                self._count(path, changed["NRestarts"].value)
            case "Reloading", [False]:
                self._paths.clear()
                self._views.clear()
                self._changed()

    def _see(self, path: str, active: str) -> None:
        view = self._views.get(path)
        if view is not None and view.active != active:
            view.active = active
            self._changed()

    def _count(self, path: str, restarts: int) -> None:
        if path in self._views:
            self._views[path].restarts.note(restarts, time.monotonic())
            self._changed()

    def _end(self, reason: str) -> None:
        self._jobs.abandon(reason)
        self._lost(reason)


@dataclass(frozen=True, slots=True)
class _Abandoned:
    """The reason why there will be no result."""

    reason: str


class _Jobs:
    """Results of jobs by path.

    A result can arrive before the reply with the path of the job: while any call is open, all results are kept.
    """

    def __init__(self) -> None:
        self._results: dict[str, asyncio.Future[str | _Abandoned]] = {}
        self._open = 0
        self._end: _Abandoned | None = None

    @contextmanager
    def expected(self) -> Iterator[None]:
        """Keep all results within this block."""
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            if not self._open:
                self._results.clear()

    async def result(self, name: str, path: str, limit_s: float) -> str | None:
        """The result of a unit's job, None when it takes longer; several may wait for one job.

        Raises `Unavailable` when there will be none.
        """
        future = self._result(path)
        await asyncio.wait((future,), timeout=limit_s)
        result = future.result() if future.done() else None
        if isinstance(result, _Abandoned):
            raise Unavailable(f"{name}: systemd continues the job, but its result is unknown: {result.reason}")
        return result

    def finish(self, path: str, result: str) -> None:
        """Take a result."""
        if self._open and not self._result(path).done():
            self._result(path).set_result(result)

    def abandon(self, reason: str) -> None:
        """Fail all present and future waits: no result will arrive."""
        self._end = _Abandoned(reason)
        for future in self._results.values():
            if not future.done():
                future.set_result(self._end)

    def _result(self, path: str) -> asyncio.Future[str | _Abandoned]:
        if path not in self._results:
            future = self._results[path] = asyncio.get_running_loop().create_future()
            if self._end is not None:
                future.set_result(self._end)
        return self._results[path]
