"""What became of script units that have no status command, as systemd's `RemainAfterExit=` has it: one file for each.

From a start that succeeded to a stop that succeeded a unit runs. In between, also after the agent was killed, it is on
its way: it is started anew where it shall run, and stopped where it shall not. The files are gone after a boot.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from relocd.errors import Failed
from relocd.model.host import UnitState

__all__ = ["UnitRecords"]


class UnitRecords:
    """Records below `folder`, which is made when it is missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def state(self, name: str) -> UnitState:
        """ACTIVE, INACTIVE, or DEACTIVATING for what was begun and not ended."""
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
        """Raise `Failed` when nothing could be recorded of a unit now; its record stays as it is."""
        trial = self._path(name).with_name(f".{self._path(name).name}.trial")
        try:
            self._folder.mkdir(exist_ok=True, parents=True)
            trial.write_text(UnitState.DEACTIVATING)
            trial.unlink()
        except OSError as error:
            raise _unwritable(self._path(name), error) from error

    def begin(self, name: str) -> None:
        """A start or a stop begins."""
        self._write(name, UnitState.DEACTIVATING)

    def end(self, name: str, state: UnitState) -> None:
        """It has succeeded, and the unit is ACTIVE or INACTIVE."""
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
            raise _unwritable(self._path(name), error) from error

    def _path(self, name: str) -> Path:
        return self._folder / quote(name, safe="@")


def _unwritable(path: Path, error: OSError) -> Failed:
    return Failed(f"{path} cannot be written ({error.strerror}); free or correct that folder")
