"""The port `Files`: configuration files replaced whole, all of one installation or none.

All new files are written beside their targets, with their owner and mode, and made to last; all checks run on them;
then all are renamed. What already has the wanted content, owner and mode is not touched.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from relocd.adapters.replacement import Replacement, TargetFolder, content, state
from relocd.errors import Failed, Invalid
from relocd.model.host import FileState, NewFile
from relocd.ports import Commands

__all__ = ["DiskFiles"]

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

_MOUNTED: Final = "it is a mount point; mount its folder instead of the file"
_ADVICE: Final[Mapping[int, str]] = {
    errno.EROFS: "the file system is read-only; mount it writable",
    errno.ENOSPC: "the file system is full; make room",
    errno.EDQUOT: "the quota is used up; make room",
    errno.EACCES: "permission denied; the agent needs to be root for this",
    errno.EPERM: "not permitted; the agent needs to be root, and the file must not be immutable (see lsattr)",
    errno.EBUSY: _MOUNTED,
    errno.EXDEV: _MOUNTED,
}


class DiskFiles:
    """Files below the allowed `folders`; `commands` runs the checks."""

    def __init__(self, commands: Commands, folders: Sequence[str]) -> None:
        self._commands = commands
        self._folders = tuple(Path(folder) for folder in folders)

    async def states(self, targets: Iterable[str]) -> Mapping[str, FileState | None]:
        """What is at each target now; None where there is no file."""
        return await asyncio.to_thread(_states, tuple(targets))

    async def content(self, target: str) -> bytes | None:
        """The content at a target, for showing a difference; None where there is no file."""
        with _translated(target):
            return await asyncio.to_thread(content, target)

    async def install(self, files: Sequence[NewFile]) -> None:
        """Write all beside their targets, check all, then rename all; an error leaves every old file in place."""
        if len({file.target for file in files}) < len(files):
            raise Invalid(f"two files have one target among {', '.join(sorted(file.target for file in files))}")
        installation = _Installation(files, self._folders)
        if not any(file.checks for file in files):
            await _in_thread(installation.at_once)  # each way into a thread and back costs as much as a small file
            return
        try:
            await _in_thread(installation.stage)
            for replacement in installation.staged:
                await self._check(replacement.file, replacement.staged_path)
            await _in_thread(installation.commit)
        finally:
            await _in_thread(installation.close)

    async def remove(self, target: str) -> None:
        """Remove the file; nothing happens where there is none."""
        await _in_thread(lambda: self._remove(target))

    def _remove(self, target: str) -> None:
        if not os.path.lexists(target):
            return
        with _translated(target):
            folder = TargetFolder(target, self._folders)
            try:
                folder.clean()
                if folder.remove(folder.name):
                    folder.sync()
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
                    raise Failed(f"{refused}; its words are not shown, because the file holds a secret") from None
                raise Failed(f"{refused}: {error}") from error


class _Installation:
    """The replacements of one `install`, each step for all of them."""

    def __init__(self, files: Sequence[NewFile], folders: Sequence[Path]) -> None:
        self._files = files
        self._folders = folders
        self._right: list[Replacement] = []
        self.staged: list[Replacement] = []

    def stage(self) -> None:
        for file in self._files:
            with _translated(file.target):
                replacement = Replacement(file, self._folders)
                self._right.append(replacement)
                if replacement.stage():
                    self.staged.append(self._right.pop())

    def commit(self) -> None:
        """Rename all; the old files are kept until the last one, after which nothing can fail that would need them.

        The contents are on disk; the renames need not be: if the server crashes now, the next start finds the old
        file or the new one and goes on from there.
        """
        put: list[Replacement] = []
        try:
            for replacement in self.staged:
                with _translated(replacement.file.target):
                    if replacement is not self.staged[-1]:
                        replacement.keep_old()
                    replacement.put()
                put.append(replacement)
        except Failed:
            _undo(put)
            raise
        for replacement in self._right:
            with _translated(replacement.file.target):
                replacement.correct()

    def at_once(self) -> None:
        """All steps, where nothing is to be checked in between."""
        try:
            self.stage()
            self.commit()
        finally:
            self.close()

    def close(self) -> None:
        for replacement in (*self._right, *self.staged):
            replacement.close()


def _undo(put: Sequence[Replacement]) -> None:
    """Bring every old file back; one that cannot be brought back does not keep the others."""
    for replacement in reversed(put):
        try:
            with _translated(replacement.file.target):
                replacement.undo()
        except Failed as error:
            _log.error("an old file could not be put back", extra={"fields": {"problem": str(error)}})


def _states(targets: Iterable[str]) -> Mapping[str, FileState | None]:
    states = {}
    for target in targets:
        with _translated(target):
            states[target] = state(target)
    return states


@contextmanager
def _translated(target: str) -> Iterator[None]:
    """`OSError` as `Failed`, naming the target and what to do."""
    try:
        yield
    except OSError as error:
        raise Failed(f"{target}: {_ADVICE.get(error.errno or 0, error.strerror)}") from error


async def _in_thread(work: Callable[[], _T]) -> _T:
    """The result of blocking work, which is waited for even when the caller is cancelled: it cannot be stopped."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        task.exception()  # seen; the caller is gone
        raise
