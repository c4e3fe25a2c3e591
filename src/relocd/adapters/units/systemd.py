"""The port `Units` over systemd's D-Bus interface (org.freedesktop.systemd1(5)).

Start, stop, restart and reload are jobs of systemd, awaited by the signal JobRemoved. A job that takes too long stays
systemd's: what is given up is only the waiting. The state of a unit that was asked for once is kept, and kept current
by systemd's signals. When the connection is lost everything kept goes with it; the next use connects again and
watches the same units again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from relocd.adapters.units.systemd_session import SystemdSession
from relocd.errors import Failed, Invalid
from relocd.model.host import UnitState, no_unit
from relocd.model.settings import UnitSettings

__all__ = ["SystemdUnits"]

_log = logging.getLogger(__name__)

# Longer than a daemon-reload of systemd, during which it answers no call.
_ANSWER_S: Final = 10.0

# The results of jobs, see the description of JobRemoved.
_RESULTS: Final[Mapping[str, str]] = {
    "failed": "it failed",
    "timeout": "its job has run into JobTimeoutSec=",
    "dependency": "a unit that it requires has failed; systemctl list-dependencies shows which",
    "canceled": "somebody else has cancelled the job, or asked for the opposite",
    "skipped": "systemd has skipped the job as there was nothing to do in the unit's state",
    "invalid": "the unit cannot do that in its state",
    "assert": "an Assert...= of the unit does not hold",
    "unsupported": "systemd does not support this type of unit here",
    "collected": "systemd has dropped the unit meanwhile",
    "once": "the unit runs once a boot, and has",
    "frozen": "the unit is frozen; systemctl thaw",
    "concurrency": "the limit of units in its slice is reached",
}


class SystemdUnits:
    """The units of the systemd at `bus_address` (default: the system bus); it connects on the first use."""

    def __init__(self, settings: UnitSettings, bus_address: str | None = None) -> None:
        self._limit_s = settings.timeout_s
        self._address = bus_address
        self._watchers: list[Callable[[], None]] = []
        self._asked: set[str] = set()
        self._connecting = asyncio.Lock()
        self._session: SystemdSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection; no unit is touched."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` in the event loop after a unit that was asked for has, or may have, changed."""
        self._watchers.append(changed)

    async def state(self, name: str) -> UnitState:
        """The state now; UNKNOWN for a unit that is masked or has no file, unless it still runs."""
        self._asked.add(name)
        session = await self._connected()
        return await session.state(name)

    async def check(self, name: str) -> None:
        """Never raise: nothing here could prevent a start."""

    async def trouble(self, name: str) -> str:
        """Why a unit is not reliable; empty where there is no known reason."""
        session = await self._connected()
        if await session.state(name) is UnitState.UNKNOWN:
            return no_unit(name)
        if await session.ends_at_once(name):
            return f"{name} is Type=oneshot and ends as soon as it has started; set RemainAfterExit=yes in it"
        count = session.restarts(name)
        crashes = f"{name} crashes: systemd has restarted it {count} times within a minute; see journalctl -u {name}"
        return crashes if count else ""

    async def start(self, name: str) -> None:
        """Start and wait until it runs; raises `Failed` with systemd's reason, also after the time limit."""
        await self._run("StartUnit", name, "started")

    async def stop(self, name: str) -> None:
        """Stop and wait until it has stopped; raises `Failed` likewise."""
        await self._run("StopUnit", name, "stopped")

    async def reload(self, name: str) -> None:
        """Reload, or restart where the unit cannot reload; raises `Failed` likewise."""
        await self._run("ReloadOrRestartUnit", name, "reloaded")

    async def restart(self, name: str) -> None:
        """Restart and wait until it runs; raises `Failed` likewise."""
        await self._run("RestartUnit", name, "restarted")

    async def _run(self, method: str, name: str, done: str) -> None:
        session = await self._connected()
        async with session.held(name):
            problem = await self._problem(session, method, name)
        if problem:
            raise Failed(f"{name} was not {done}{problem}; see journalctl -u {name}")

    async def _problem(self, session: SystemdSession, method: str, name: str) -> str:
        """Run a job; return its problem, empty when it has succeeded."""
        result = await session.job(method, name, self._limit_s)
        if result is None:
            return f" within {self._limit_s:g} s: it hangs, and systemd continues the job"
        if result != "done":
            return f": {_RESULTS.get(result, f'systemd says {result}')}{await session.why(name)}"
        if method != "StopUnit" and await session.was_skipped(name):
            return ": a Condition...= of it does not hold"
        return ""

    async def _connected(self) -> SystemdSession:
        async with self._connecting:
            if self._session is not None and self._session.bus.is_open:
                return self._session
            again = self._session is not None
            session = self._session = await self._opened()
        if again:
            self._changed()  # changes in between were missed
        return session

    async def _opened(self) -> SystemdSession:
        session = SystemdSession(self._address, min(_ANSWER_S, self._limit_s), self._changed, self._lost)
        await session.open()
        try:
            for name in sorted(self._asked):
                with suppress(Failed, Invalid):
                    await session.state(name)
        except BaseException:
            await session.close()
            raise
        return session

    def _lost(self, reason: str) -> None:
        _log.warning("systemd lost", extra={"fields": {"reason": reason}})
        self._changed()

    def _changed(self) -> None:
        for changed in self._watchers:
            changed()
