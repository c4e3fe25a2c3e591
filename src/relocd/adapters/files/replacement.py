"""One file on its way to its target: staged beside it, then renamed over it, or rolled back.

Everything happens relative to the open folder of the target, whose real place was compared with the allowed folders
once it was open; so a symbolic link on the way cannot lead elsewhere, not even one that is changed meanwhile. All
functions here block and raise `OSError`, or `Invalid` for what stays wrong; `files` translates the former.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

from relocd.errors import Invalid
from relocd.model.host import FileState, NewFile

__all__ = ["Mark", "Replacement", "TargetFolder", "content", "owner_ids", "state"]

# Hidden, so that programs which read a whole folder skip it; the extension stays, for checks that need it.
_NEW: Final = ".relocd-new."
_OLD: Final = ".relocd-old."
_ORIGINAL: Final = ".relocd-orig"
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Mark(NamedTuple):
    """The identity and state of a staged file: it changes with any alteration, by its ctime."""

    device: int
    inode: int
    size: int
    changed_ns: int


class TargetFolder:
    """The open folder of a target; `path` is where it really is. A context manager."""

    def __init__(self, target: str, allowed: Sequence[Path]) -> None:
        self.name = Path(target).name
        try:
            self.fd = os.open(Path(target).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            folder = Path(target).parent
            raise Invalid(f"{target}: the folder {folder} does not exist; create it: mkdir -p {folder}") from error
        try:
            self.path = self._real_path(target, allowed)
        except BaseException:
            self.close()
            raise

    def _real_path(self, target: str, allowed: Sequence[Path]) -> Path:
        path = Path(f"/proc/self/fd/{self.fd}").readlink()
        if not any(path.is_relative_to(os.path.realpath(folder)) for folder in allowed):
            folders = ", ".join(map(str, allowed)) or "none"
            raise Invalid(
                f"{target} would be written in {path}, which is not below one of the allowed folders ({folders}); "
                "correct the symbolic link on the way, or [guards] folders"
            )
        return path

    def close(self) -> None:
        """Close the folder."""
        os.close(self.fd)

    def remove(self, name: str) -> bool:
        """Remove an entry; return whether there was one."""
        try:
            os.unlink(name, dir_fd=self.fd)
        except FileNotFoundError:
            return False
        return True

    def keep(self) -> None:
        """Link a file or symbolic link to another name, so that replacing it loses nothing."""
        found = os.stat(self.name, dir_fd=self.fd, follow_symlinks=False)
        if not stat.S_ISREG(found.st_mode) and not stat.S_ISLNK(found.st_mode):
            return  # the next installation reports it
        for number in count():
            kept = f"{self.name}{_ORIGINAL}" + (f".{number}" if number else "")
            try:
                os.link(self.name, kept, src_dir_fd=self.fd, dst_dir_fd=self.fd, follow_symlinks=False)
            except FileExistsError:
                if os.path.samestat(found, os.stat(kept, dir_fd=self.fd, follow_symlinks=False)):
                    return
                continue
            self.sync()
            return

    def clean(self) -> None:
        """Remove what a crashed installation of this target has left."""
        self.remove(_NEW + self.name)
        self.remove(_OLD + self.name)

    def sync(self) -> None:
        """Sync the folder to disk."""
        os.fsync(self.fd)


class Replacement:
    """A new file for a target, and the steps of its installation in the order of the methods."""

    def __init__(self, file: NewFile, allowed: Sequence[Path]) -> None:
        self.file = file
        self._owner, self._group = owner_ids(file.owner, file.group, file.target)
        self.folder = TargetFolder(file.target, allowed)
        self._old_kept: bool | None = None

    @property
    def staged_path(self) -> str:
        """The path of the new file until it is installed."""
        return str(self.folder.path / (_NEW + self.folder.name))

    def stage(self) -> bool:
        """Write the new file beside the target; return False without writing when the content is right already."""
        self.folder.clean()
        self._check_replaceable()
        if self._has_content():
            return False
        fd = os.open(_NEW + self.folder.name, _CREATE, 0o600, dir_fd=self.folder.fd)
        with os.fdopen(fd, "wb") as stream:
            self._set_owner_and_mode(fd)
            stream.write(self.file.content)
            stream.flush()
            os.fsync(fd)
        return True

    def mark(self) -> Mark:
        """The mark of the staged file."""
        found = os.stat(_NEW + self.folder.name, dir_fd=self.folder.fd, follow_symlinks=False)
        return Mark(found.st_dev, found.st_ino, found.st_size, found.st_ctime_ns)

    def is_as_left(self, mark: Mark | None) -> bool:
        """Whether the staged file still has that mark or, without one, the target still has the content."""
        self._check_replaceable()
        return self._has_content() if mark is None else self.mark() == mark

    def correct(self) -> None:
        """Set owner and mode of a target whose content is right."""
        with os.fdopen(os.open(self.folder.name, _READ, dir_fd=self.folder.fd), "rb") as stream:
            self._set_owner_and_mode(stream.fileno())

    def keep_old(self) -> None:
        """Link the old file to a second name, so that `undo` can restore it."""
        name, fd = self.folder.name, self.folder.fd
        try:
            os.link(name, _OLD + name, src_dir_fd=fd, dst_dir_fd=fd, follow_symlinks=False)
            self._old_kept = True
        except FileNotFoundError:
            self._old_kept = False

    def put(self) -> None:
        """Rename the new file over the target."""
        self._rename(_NEW + self.folder.name, self.folder.name)

    def undo(self) -> None:
        """Undo `put` as far as `keep_old` allows."""
        if self._old_kept:
            self._rename(_OLD + self.folder.name, self.folder.name)
        elif self._old_kept is False:
            self.folder.remove(self.folder.name)

    def close(self, *, keep: bool = False) -> None:
        """Remove a file that is not installed, unless it is to be kept, and close the folder."""
        if not keep:
            with suppress(OSError):  # the next installation removes it
                self.folder.clean()
        self.folder.close()

    def _rename(self, old: str, new: str) -> None:
        os.rename(old, new, src_dir_fd=self.folder.fd, dst_dir_fd=self.folder.fd)

    def _check_replaceable(self) -> None:
        try:
            mode = os.stat(self.folder.name, dir_fd=self.folder.fd, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
            raise Invalid(f"{self.file.target} is not a regular file; move it away or correct the target")

    def _has_content(self) -> bool:
        try:
            fd = os.open(self.folder.name, _READ, dir_fd=self.folder.fd)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ELOOP}:
                return False
            raise
        with os.fdopen(fd, "rb"):
            return _digest(fd) == self.file.digest

    def _set_owner_and_mode(self, fd: int) -> None:
        """Set owner and mode where they differ; the owner first, since that may clear bits of the mode."""
        found = os.fstat(fd)
        if (found.st_uid, found.st_gid) != (self._owner, self._group):
            os.fchown(fd, self._owner, self._group)
        if stat.S_IMODE(found.st_mode) != self.file.mode:
            os.fchmod(fd, self.file.mode)


def state(target: str) -> FileState | None:
    """The state of a target; None where there is nothing. Only a regular file has a digest."""
    try:
        found = os.lstat(target)
    except (FileNotFoundError, NotADirectoryError):
        return None
    fd = _opened(target) if stat.S_ISREG(found.st_mode) else None
    digest = ""
    if fd is not None:
        with os.fdopen(fd, "rb"):
            found = os.fstat(fd)
            digest = _digest(fd)
    return FileState(digest, _user(found.st_uid), _group(found.st_gid), stat.S_IMODE(found.st_mode))


def content(target: str) -> bytes | None:
    """The content at a target; None where there is no regular file."""
    fd = _opened(target)
    if fd is None:
        return None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return None
    with os.fdopen(fd, "rb") as stream:
        return stream.read()


def _opened(target: str) -> int | None:
    try:
        return os.open(target, _READ)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO}:
            return None
        raise


def _digest(fd: int) -> str:
    digest = sha256()
    while block := os.read(fd, 1 << 16):
        digest.update(block)
    return digest.hexdigest()


def owner_ids(owner: str, group: str, target: str) -> tuple[int, int]:
    """The numbers of a user and a group; raises `Invalid` naming the target when this server has none of that name."""
    return _number(target, "owner", owner, _user_number), _number(target, "group", group, _group_number)


def _number(target: str, key: str, name: str, find: Callable[[str], int]) -> int:
    try:
        return find(name)
    except (KeyError, ValueError) as error:  # the latter for a name with a NUL
        kind = "user" if key == "owner" else "group"
        message = f"{target}: this server has no {kind} {name!r}; create it or correct {key} in the manifest"
        raise Invalid(message) from error


def _user_number(name: str) -> int:
    return pwd.getpwnam(name).pw_uid


def _group_number(name: str) -> int:
    return grp.getgrnam(name).gr_gid


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
