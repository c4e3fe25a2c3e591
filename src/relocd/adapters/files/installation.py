"""The files of one installation: staged, installed or rolled back together.

All functions here block and raise `Failed` or `Invalid`, naming the target.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from relocd.adapters.files.replacement import Mark, Replacement, TargetFolder
from relocd.errors import Failed, Invalid
from relocd.model.host import NewFile

__all__ = ["Installation", "Marks", "clean", "translated"]

_log = logging.getLogger(__name__)

Marks = Mapping[str, Mark | None]
"""Prepared files by target: the mark of the staged file, None where the target was right already."""

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


class Installation:
    """The replacements of one `install`; it must be closed after any of its steps, also after a failure."""

    def __init__(self, files: Sequence[NewFile], folders: Sequence[Path]) -> None:
        self._files = files
        self._folders = folders
        self._right: list[Replacement] = []
        self.staged: list[Replacement] = []
        self.keeps_staged = False

    def stage(self) -> None:
        """Write all files beside their targets, but for those whose content is right."""
        for file in self._files:
            with translated(file.target):
                replacement = Replacement(file, self._folders)
                self._right.append(replacement)
                if replacement.stage():
                    self.staged.append(self._right.pop())

    def marks(self) -> Marks:
        """The staged files, to be taken up later; with `keeps_staged` they outlive `close`."""
        marks: dict[str, Mark | None] = {each.file.target: None for each in self._right}
        for each in self.staged:
            with translated(each.file.target):
                marks[each.file.target] = each.mark()
        return marks

    def resume(self, marks: Marks) -> bool:
        """Take up files staged before; return False when one has changed or cannot be reached."""
        with suppress(Failed, Invalid):
            return all(self._resumes(file, marks[file.target]) for file in self._files)
        return False

    def _resumes(self, file: NewFile, mark: Mark | None) -> bool:
        with translated(file.target):
            replacement = Replacement(file, self._folders)
            (self._right if mark is None else self.staged).append(replacement)
            return replacement.is_as_left(mark)

    def commit(self) -> None:
        """Rename all; the old files are kept until the last one, after which nothing can fail that would need them.

        The contents are on disk; the renames need not be: if the server crashes now, the next start finds the old
        file or the new one and goes on from there.
        """
        put: list[Replacement] = []
        try:
            for replacement in self.staged:
                with translated(replacement.file.target):
                    if replacement is not self.staged[-1]:
                        replacement.keep_old()
                    replacement.put()
                put.append(replacement)
        except Failed:
            _undo(put)
            raise
        for replacement in self._right:
            with translated(replacement.file.target):
                replacement.correct()

    def at_once(self) -> None:
        """All steps, where there is no check between them."""
        try:
            self.stage()
            self.commit()
        finally:
            self.close()

    def close(self) -> None:
        """Close all; staged files are removed, unless `keeps_staged`."""
        for replacement in (*self._right, *self.staged):
            replacement.close(keep=self.keeps_staged)


def clean(targets: Iterable[str], folders: Sequence[Path]) -> None:
    """Remove the staged files of these targets; one that cannot be removed goes with the next installation."""
    for target in targets:
        with suppress(OSError, Invalid):
            folder = TargetFolder(target, folders)
            try:
                folder.clean()
            finally:
                folder.close()


def _undo(put: Sequence[Replacement]) -> None:
    """Restore every old file; one that cannot be restored does not stop the others."""
    for replacement in reversed(put):
        try:
            with translated(replacement.file.target):
                replacement.undo()
        except Failed as error:
            _log.error("an old file could not be restored", extra={"fields": {"problem": str(error)}})


@contextmanager
def translated(target: str) -> Iterator[None]:
    """`OSError` as `Failed`, naming the target and what to do."""
    try:
        yield
    except OSError as error:
        raise Failed(f"{target}: {_ADVICE.get(error.errno or 0, error.strerror)}") from error
