"""The port `Files`: configuration files, replaced as a whole, all of one installation or none.

All new files are written beside their targets, with their owner and mode, and made to last; all checks run on them;
then all are renamed. What already has the wanted content, owner and mode is not touched.

The first two steps can be taken ahead (`prepare`). What was prepared is only remembered here: nothing is kept open, and
all of it is looked at again before it is used, the folders and where they really are too.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from relocd.adapters.files.installation import Installation, Marks, clean, translated
from relocd.adapters.files.replacement import TargetFolder, content, state
from relocd.errors import Failed, Invalid
from relocd.model.host import FileState, NewFile
from relocd.ports.host import Commands

__all__ = ["DiskFiles"]

_T = TypeVar("_T")


class DiskFiles:
    """Files below the allowed `folders`; `commands` runs the checks."""

    def __init__(self, commands: Commands, folders: Sequence[str]) -> None:
        self._commands = commands
        self._folders = tuple(Path(folder) for folder in folders)
        self._prepared: dict[frozenset[NewFile], Marks] = {}

    async def states(self, targets: Iterable[str]) -> Mapping[str, FileState | None]:
        """The present state of each target; None where there is no file."""
        wanted = tuple(targets)
        return await asyncio.to_thread(_states, wanted) if wanted else {}

    async def content(self, target: str) -> bytes | None:
        """The content of a target, to show a difference; None where there is no file."""
        with translated(target):
            return await asyncio.to_thread(content, target)

    async def install(self, files: Sequence[NewFile]) -> None:
        """Write all beside their targets, check all, then rename all; an error leaves every old file in place.

        What was prepared exactly so, and still fits, is only renamed.
        """
        _refuse_twins(files)
        marks = self._prepared.pop(frozenset(files), None)
        if marks is not None and await _in_thread(lambda: self._put_prepared(files, marks)):
            return
        await self._withdraw(file.target for file in files)
        installation = Installation(files, self._folders)
        if not any(file.checks for file in files):
            await _in_thread(installation.at_once)  # a way into a thread and back costs as much as a small file
            return
        try:
            await self._stage(installation)
            await _in_thread(installation.commit)
        finally:
            await _in_thread(installation.close)

    async def prepare(self, files: Sequence[NewFile]) -> None:
        """Write all beside their targets and check all, and leave them there; an error leaves none.

        Nothing is written or checked when these are prepared already. It replaces what was prepared for any of the
        targets before.
        """
        _refuse_twins(files)
        marks = self._prepared.get(frozenset(files))
        if marks is not None and await _in_thread(lambda: self._is_prepared(files, marks)):
            return
        await self._withdraw(file.target for file in files)
        installation = Installation(files, self._folders)
        try:
            await self._stage(installation)
            self._prepared[frozenset(files)] = await _in_thread(installation.marks)
            installation.keeps_staged = True
        finally:
            await _in_thread(installation.close)

    async def discard(self, targets: Iterable[str]) -> None:
        """Remove the files prepared for any of these targets, with all that were prepared together with them.

        Never an error: what cannot be removed now is hidden, and removed by the next installation of that target.
        """
        targets = frozenset(targets)
        await self._withdraw(targets)
        await _in_thread(lambda: clean(targets, self._folders))  # also those of an agent before this one

    async def keep(self, target: str) -> None:
        """Link a foreign file at a target to `TARGET.relocd-orig` as well, unless that exists."""
        await _in_thread(lambda: self._in_folder(target, TargetFolder.keep))

    async def remove(self, target: str) -> None:
        """Remove the file if there is one."""
        await _in_thread(lambda: self._in_folder(target, _removed))

    async def _stage(self, installation: Installation) -> None:
        await _in_thread(installation.stage)
        for replacement in installation.staged:
            await self._check(replacement.file, replacement.staged_path)

    def _put_prepared(self, files: Sequence[NewFile], marks: Marks) -> bool:
        """Install what was prepared; return False, with nothing of it left, when it no longer fits."""
        installation = Installation(files, self._folders)
        try:
            fits = installation.resume(marks)
            if fits:
                installation.commit()
        finally:
            installation.close()
        if not fits:
            clean(marks, self._folders)
        return fits

    def _is_prepared(self, files: Sequence[NewFile], marks: Marks) -> bool:
        installation = Installation(files, self._folders)
        installation.keeps_staged = True
        try:
            return installation.resume(marks)
        finally:
            installation.close()

    async def _withdraw(self, targets: Iterable[str]) -> None:
        """Remove all files that were prepared together with any of these targets."""
        wanted = frozenset(targets)
        stale = [files for files, marks in self._prepared.items() if not wanted.isdisjoint(marks)]
        if stale:
            gone = [target for files in stale for target in self._prepared.pop(files)]
            await _in_thread(lambda: clean(gone, self._folders))

    def _in_folder(self, target: str, work: Callable[[TargetFolder], None]) -> None:
        """Call a function with the folder of a target, if there is anything at the target."""
        if not os.path.lexists(target):
            return
        with translated(target):
            folder = TargetFolder(target, self._folders)
            try:
                work(folder)
            finally:
                folder.close()

    async def _check(self, file: NewFile, path: str) -> None:
        for check in file.checks:
            command = [argument.replace("{file}", path) for argument in check]
            try:
                await self._commands.run(command, file.check_timeout_s)
            except Failed as error:
                refused = f"{file.target}: the check {' '.join(check)!r} refused the new file"
                if file.secret:
                    raise Failed(f"{refused}; its output is not shown, because the file has a secret") from None
                raise Failed(f"{refused}: {error}", error.words) from error


def _refuse_twins(files: Sequence[NewFile]) -> None:
    if len({file.target for file in files}) < len(files):
        raise Invalid(f"two files have the same target among {', '.join(sorted(file.target for file in files))}")


def _removed(folder: TargetFolder) -> None:
    folder.clean()
    if folder.remove(folder.name):
        folder.sync()


def _states(targets: Iterable[str]) -> Mapping[str, FileState | None]:
    states = {}
    for target in targets:
        with translated(target):
            states[target] = state(target)
    return states


async def _in_thread(work: Callable[[], _T]) -> _T:
    """The result of blocking work; it is waited for even when the caller is cancelled, since it cannot be stopped."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        task.exception()  # retrieved; the caller is gone
        raise
