"""The port `Units` without a service manager: argument lists from the local configuration stand for each unit.

With a status command, that command decides: a unit runs when it exits 0 and does not when it exits otherwise. Its
answer is stored, and read again every `poll_s` and after each action of ours. When it gives no answer (it hangs, is
missing, or is killed), the stored answer is dropped, and the next question for the state raises the error.

Without one, a unit is what its last start or stop has made it, which is recorded in a file (`UnitRecords`).

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
from urllib.parse import quote

from relocd.adapters.units.commands import ended
from relocd.errors import Failed, RelocdError
from relocd.model.host import UnitState, no_unit
from relocd.model.settings import ScriptUnit, UnitSettings

__all__ = ["ScriptUnits", "UnitRecords"]

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
            await self._run(action, name, command)
        except RelocdError as error:
            raise Failed(f"{name} was not {action.word}: {error}", error.words) from error
        finally:
            del self._states[name]
        self._store(name, action.done)

    async def _run(self, action: _Action, name: str, command: Sequence[str]) -> None:
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
            await asyncio.gather(*(self._refresh(name) for name in idle))

    async def _refresh(self, name: str) -> None:
        async with self._locks[name]:
            try:
                self._store(name, await self._seen(name))
            except RelocdError as error:
                if self._states.pop(name, None) is not None:
                    _log.warning("unit state lost", extra={"fields": {"unit": name, "problem": str(error)}})
                    self._notify()

    def _store(self, name: str, state: UnitState) -> None:
        before = self._states.get(name)
        self._states[name] = state
        if state is not before:
            _log.debug("unit state changed", extra={"fields": {"unit": name, "state": state}})
            self._notify()

    def _notify(self) -> None:
        for changed in self._watchers:
            changed()


class UnitRecords:
    """Records of units without a status command, one file each, as with `RemainAfterExit=` of systemd.

    From a start that succeeded to a stop that succeeded a unit runs. Between the two, also after the agent was killed,
    it is DEACTIVATING: it is started again where it should run, and stopped where it should not. The files are gone
    after a boot. `folder` is created if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def state(self, name: str) -> UnitState:
        """ACTIVE, INACTIVE, or DEACTIVATING for an action that was begun and not completed."""
        try:
            return (
                UnitState.ACTIVE
                if self._path(name).read_bytes() == UnitState.ACTIVE.encode()
                else UnitState.DEACTIVATING
            )
        except FileNotFoundError:
            return UnitState.INACTIVE
        except OSError as error:
            raise Failed(f"{self._path(name)} cannot be read ({error.strerror}); correct that folder") from error

    def check(self, name: str) -> None:
        """Raise `Failed` when the record of a unit could not be written now; it is not changed."""
        trial = self._path(name).with_name(f".{self._path(name).name}.trial")
        try:
            self._folder.mkdir(exist_ok=True, parents=True)
            trial.write_text(UnitState.DEACTIVATING)
            trial.unlink()
        except OSError as error:
            raise _not_writable(self._path(name), error) from error

    def begin(self, name: str) -> None:
        """Record that a start or a stop begins."""
        self._write(name, UnitState.DEACTIVATING)

    def end(self, name: str, state: UnitState) -> None:
        """Record that it has succeeded: the unit is ACTIVE or INACTIVE."""
        if state is UnitState.ACTIVE:
            self._write(name, state)
        else:
            try:
                self._path(name).unlink(missing_ok=True)
            except OSError as error:
                raise Failed(f"{self._path(name)} cannot be removed ({error.strerror}); correct that folder") from error

    def _write(self, name: str, state: UnitState) -> None:
        try:
            self._folder.mkdir(exist_ok=True, parents=True)
            self._path(name).write_text(state)
        except OSError as error:
            raise _not_writable(self._path(name), error) from error

    def _path(self, name: str) -> Path:
        return self._folder / quote(name, safe="@")


def _not_writable(path: Path, error: OSError) -> Failed:
    return Failed(f"{path} cannot be written ({error.strerror}); free or correct that folder")
