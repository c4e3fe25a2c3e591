"""Records of script units without a status command, one file each, as with `RemainAfterExit=` of systemd.

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
    """Records below `folder`, which is created if it is missing."""

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
            raise _unwritable(self._path(name), error) from error

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
            raise _unwritable(self._path(name), error) from error

    def _path(self, name: str) -> Path:
        return self._folder / quote(name, safe="@")


def _unwritable(path: Path, error: OSError) -> Failed:
    return Failed(f"{path} cannot be written ({error.strerror}); free or correct that folder")
