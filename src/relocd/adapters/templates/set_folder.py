"""The folder of one template set on disk: which files it has, their digest, and whether they can be trusted.

The commands of a template set run as root. So a folder is used only while no user but root, and the user that the agent
runs as, can change anything in it, and while no symbolic link leads out of it. Templates can read no other files than
these (`relocd.adapters.templates.render_worker`).
"""

from __future__ import annotations

import errno
import os
import pwd
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from relocd.errors import Invalid, Unavailable

__all__ = ["MANIFEST", "SetFolder", "read_folder", "translated"]

MANIFEST: Final = "manifest.toml"
_ROOT: Final = 0
_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_MOST_BYTES: Final = 16 << 20
_MOST_FILES: Final = 1000
_READS_SERVICES: Final = re.compile(rb"\{[{%#].*?\bservices\b", re.DOTALL)
_DEEPEST: Final = 8
# Errors that the files of a set cause. Any other error, such as a lack of descriptors, is one of the system.
_ERRORS_OF_FILES: Final = frozenset(
    {errno.EACCES, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.EPERM}
)


@dataclass(frozen=True, slots=True)
class SetFolder:
    """A folder that was read: its `files` relative to it, the digest over all their content, the manifest's text.

    `reads_services`: in some file the word `services` follows the beginning of an expression, a statement or a comment
    of Jinja. Without it no template can read that value, for there is no other way to name it.
    """

    path: Path
    files: frozenset[str]
    digest: str
    manifest: str
    reads_services: bool


def read_folder(folder: Path, *, guarded: bool) -> SetFolder:
    """Read a set; `guarded` asks for safe owners and modes.

    Raises `Invalid` naming the file that is wrong, `Unavailable` when the system could not read now. Hidden files and
    those ending in `~` are ignored: editors leave them behind.
    """
    with translated(str(folder)):
        if guarded:
            _check_not_link(folder)
            _check_guarded(folder.parent)
            _check_guarded(folder)
        return _read(folder, guarded=guarded)


@contextmanager
def translated(subject: str) -> Iterator[None]:
    """Translate errors of the operating system: `Invalid` where the files of a set cause them, else `Unavailable`."""
    try:
        yield
    except OSError as error:
        kind = Invalid if error.errno in _ERRORS_OF_FILES else Unavailable
        raise kind(f"{error.filename or subject} cannot be read: {error.strerror or error}") from error


def _read(folder: Path, *, guarded: bool) -> SetFolder:
    digest = sha256()
    names: set[str] = set()
    manifest, room, reads = b"", _MOST_BYTES, False
    for path in _files(folder, folder, guarded=guarded):
        name = path.relative_to(folder).as_posix()
        content = _content(path, room)
        room -= len(content)
        if len(names) == _MOST_FILES:
            raise Invalid(f"{folder} has more than {_MOST_FILES} files; move what is not needed out of it")
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
        names.add(name)
        manifest = content if name == MANIFEST else manifest
        reads = reads or _READS_SERVICES.search(content) is not None
    return SetFolder(folder, frozenset(names), digest.hexdigest(), _text(folder / MANIFEST, manifest, names), reads)


def _content(path: Path, room: int) -> bytes:
    with path.open("rb") as file:
        content = file.read(room + 1)
    if len(content) > room:
        raise Invalid(f"{path} makes the set larger than {_MOST_BYTES >> 20} MiB; move what is not needed out of it")
    return content


def _text(path: Path, content: bytes, names: set[str]) -> str:
    if MANIFEST not in names:
        raise Invalid(f"{path} is missing; add it: it declares what the templates beside it are for")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Invalid(f"{path} is not UTF-8; convert it") from error


def _files(folder: Path, root: Path, *, guarded: bool) -> Iterator[Path]:
    """Every regular file below a folder, in the order of names."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.endswith("~"):
            continue
        _check_name(path, root)
        _check_inside(path, root)
        if guarded:
            _check_guarded(path)
        if path.is_dir() and not path.is_symlink():
            yield from _files(path, root, guarded=guarded)
        elif path.is_file():
            yield path
        else:
            raise Invalid(f"{path} is not a regular file; move it out of the template set")


def _check_not_link(folder: Path) -> None:
    if folder.is_symlink():
        raise Invalid(f"{folder} is a symbolic link; a template set is a real folder, so move or copy it here")


def _check_name(path: Path, root: Path) -> None:
    if not path.name.isprintable():  # a name that is not UTF-8 is not printable either
        raise Invalid(f"{path.parent} has the file name {os.fsencode(path.name)!r}; rename it, in printable UTF-8")
    if len(path.relative_to(root).parts) > _DEEPEST:
        raise Invalid(f"{path} lies more than {_DEEPEST} folders deep; move it up")


def _check_inside(path: Path, root: Path) -> None:
    if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise Invalid(f"{path} is a symbolic link that leads out of the template set; put the file itself here")


def _check_guarded(path: Path) -> None:
    found = path.stat()
    if found.st_uid not in {_ROOT, os.geteuid()}:
        raise Invalid(
            f"{path} belongs to {_user(found.st_uid)}, who could change what root runs; run: chown root {path}"
        )
    if found.st_mode & _WRITABLE_BY_OTHERS:
        raise Invalid(f"{path} can be written by others than its owner; run: chmod go-w {path}")


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user number {uid}"
