"""The port `Units` without a service manager: argument lists from the local configuration stand for each unit.

The status command has the last word: a unit runs when it exits 0 and does not when it exits otherwise. Its answer is
kept, and asked for again every `poll_s` and after each action of ours. What it cannot say (it hangs, is missing, or is
killed) is not taken for a state: the answer that was kept is dropped, and whoever asks next gets the error. A unit
without a status command is what the last start or stop has made it (`relocd.adapters.units.unit_records`).

A start command has to leave its service in the background, as an init script does.
"""

from __future__ import annotations

import asyncio
import logging
import shlex
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from relocd.adapters.units.commands import ended
from relocd.adapters.units.unit_records import UnitRecords
from relocd.errors import Failed, RelocdError
from relocd.model.host import UnitState, no_unit
from relocd.model.settings import ScriptUnit, UnitSettings

__all__ = ["ScriptUnits"]

_log = logging.getLogger(__name__)

# The status of a unit that was just started or stopped is polled after the first delay, doubling up to the second.
_SOON_S: Final = 0.005
_LATER_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class _Action:
    """An action on a unit: the state `meanwhile`, and the state that proves it `done`."""

    word: str
    meanwhile: UnitState
    done: UnitState


_START: Final = _Action("started", UnitState.ACTIVATING, UnitState.ACTIVE)
_STOP: Final = _Action("stopped", UnitState.DEACTIVATING, UnitState.INACTIVE)
_RELOAD: Final = _Action("reloaded", UnitState.ACTIVE, UnitState.ACTIVE)


class ScriptUnits:
    """The units of `[units.script]`, polled between `open` and `close`; neither starts or stops a unit.

    `records` is a folder for those without a status command.
    """

    def __init__(self, settings: UnitSettings, records: Path) -> None:
        self._settings = settings
        self._records = UnitRecords(records)
        self._watchers: list[Callable[[], None]] = []
        self._states: dict[str, UnitState] = {}
        self._asked: set[str] = set()
        # Actions on one unit and readings of its state are serialised: no old answer replaces a newer one.
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._polling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Start to poll the units that are asked for."""
        self._polling = asyncio.create_task(self._poll())

    async def close(self) -> None:
        """Stop polling."""
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.wait((self._polling,))

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` in the event loop after a unit that was asked for was seen in another state."""
        self._watchers.append(changed)

    async def state(self, name: str) -> UnitState:
        """The state as last seen, UNKNOWN for a unit that is not configured.

        Raises `Failed` when the status command cannot say.
        """
        if name not in self._settings.script:
            return UnitState.UNKNOWN
        self._asked.add(name)
        if name in self._states:
            return self._states[name]
        async with self._locks[name]:
            if name not in self._states:
                self._states[name] = await self._seen(name)
            return self._states[name]

    async def check(self, name: str) -> None:
        """Raise `Failed` when a unit without a status command could not be started, since no record can be written."""
        if not self._unit(name).status:
            self._records.check(name)

    async def trouble(self, name: str) -> str:
        """The problem of a unit that is not configured; empty where it is."""
        return "" if name in self._settings.script else no_unit(name)

    async def start(self, name: str) -> None:
        """Start and wait until it runs; raises `Failed`, also after the time limit."""
        unit = self._unit(name)
        async with self._locks[name]:
            await self._do(_START, name, unit.start)

    async def stop(self, name: str) -> None:
        """Stop and wait until it has stopped; raises `Failed` likewise."""
        unit = self._unit(name)
        async with self._locks[name]:
            await self._do(_STOP, name, unit.stop)

    async def reload(self, name: str) -> None:
        """Reload, or restart where no reload is configured; raises `Failed` likewise."""
        unit = self._unit(name)
        if not unit.reload:
            await self.restart(name)
            return
        async with self._locks[name]:
            await self._do(_RELOAD, name, unit.reload)

    async def restart(self, name: str) -> None:
        """Stop, then start and wait until it runs; raises `Failed` likewise."""
        unit = self._unit(name)
        async with self._locks[name]:
            await self._do(_STOP, name, unit.stop)
            await self._do(_START, name, unit.start)

    def _unit(self, name: str) -> ScriptUnit:
        if name not in self._settings.script:
            raise Failed(f'{name} is not configured: add [units.script."{name}"] with start, stop and status')
        return self._settings.script[name]

    async def _do(self, action: _Action, name: str, command: Sequence[str]) -> None:
        self._states[name] = action.meanwhile
        try:
            await self._carry_out(action, name, command)
        except RelocdError as error:
            raise Failed(f"{name} was not {action.word}: {error}", error.words) from error
        finally:
            del self._states[name]
        self._keep(name, action.done)

    async def _carry_out(self, action: _Action, name: str, command: Sequence[str]) -> None:
        """Run the command and wait for the state that it should lead to, both within the time limit."""
        deadline = asyncio.get_running_loop().time() + self._settings.timeout_s
        recorded = action.meanwhile is not action.done and not self._settings.script[name].status
        if recorded:
            self._records.begin(name)
        result = await ended(command, self._settings.timeout_s)
        if result.status != 0:
            raise Failed(f"{shlex.join(command)} {result.reason}", result.output)
        if recorded:
            self._records.end(name, action.done)
        delay_s = _SOON_S
        while (state := await self._seen(name)) is not action.done:
            left_s = deadline - asyncio.get_running_loop().time()
            if left_s <= 0:
                status = shlex.join(self._settings.script[name].status)
                raise Failed(f"after {self._settings.timeout_s:g} s it is still {state}, says {status}")
            await asyncio.sleep(min(delay_s, left_s))
            delay_s = min(delay_s * 2, _LATER_S)

    async def _seen(self, name: str) -> UnitState:
        command = self._settings.script[name].status
        if not command:
            return self._records.state(name)
        result = await ended(command, self._settings.timeout_s)
        if result.status < 0:
            raise Failed(f"the state of {name} is unknown: {shlex.join(command)} {result.reason}", result.output)
        return UnitState.INACTIVE if result.status else UnitState.ACTIVE

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._settings.poll_s)
            idle = [name for name in sorted(self._asked) if not self._locks[name].locked()]
            await asyncio.gather(*(self._look(name) for name in idle))

    async def _look(self, name: str) -> None:
        async with self._locks[name]:
            try:
                self._keep(name, await self._seen(name))
            except RelocdError as error:
                if self._states.pop(name, None) is not None:
                    _log.warning("unit state lost", extra={"fields": {"unit": name, "problem": str(error)}})
                    self._tell()

    def _keep(self, name: str, state: UnitState) -> None:
        before = self._states.get(name)
        self._states[name] = state
        if state is not before:
            _log.debug("unit state changed", extra={"fields": {"unit": name, "state": state}})
            self._tell()

    def _tell(self) -> None:
        for changed in self._watchers:
            changed()
