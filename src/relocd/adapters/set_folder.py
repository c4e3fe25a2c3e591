"""The folder of one template set on disk: which files it has, their digest, and whether they can be trusted.

What stands in a template set is run as root. So a folder counts only while nobody but root, or the user the agent
runs as, can change anything in it, and while nothing in it leads elsewhere.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from relocd.errors import Invalid

__all__ = ["MANIFEST", "SetFolder", "read_folder"]

MANIFEST: Final = "manifest.toml"
_ROOT: Final = 0
_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class SetFolder:
    """A folder that was read: its `files` relative to it, the digest over all their content, the manifest's text."""

    path: Path
    files: frozenset[str]
    digest: str
    manifest: str


def read_folder(folder: Path, *, guarded: bool) -> SetFolder:
    """Read a set; `guarded` asks for safe owners and modes. Raises `Invalid` naming the file that is wrong.

    Hidden files and those ending in `~` are what editors leave behind: they do not count.
    """
    try:
        if guarded:
            _check_not_link(folder)
            _check_guarded(folder.parent)
            _check_guarded(folder)
        return _read(folder, guarded=guarded)
    except OSError as error:
        raise Invalid(f"{error.filename or folder} cannot be read: {error.strerror}") from error


def _read(folder: Path, *, guarded: bool) -> SetFolder:
    digest = sha256()
    names = set()
    manifest = b""
    for path in _files(folder, folder, guarded=guarded):
        name = path.relative_to(folder).as_posix()
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
        names.add(name)
        manifest = content if name == MANIFEST else manifest
    return SetFolder(folder, frozenset(names), digest.hexdigest(), _text(folder / MANIFEST, manifest, names))


def _text(path: Path, content: bytes, names: set[str]) -> str:
    if MANIFEST not in names:
        raise Invalid(f"{path} is missing; it says what the templates beside it are for")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Invalid(f"{path} is not UTF-8; convert it") from error


def _files(folder: Path, root: Path, *, guarded: bool) -> Iterator[Path]:
    """Every regular file below a folder, in the order of names."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.endswith("~"):
            continue
        _check_stays(path, root)
        if guarded:
            _check_guarded(path)
        if path.is_dir() and not path.is_symlink():
            yield from _files(path, root, guarded=guarded)
        elif path.is_file():
            yield path
        else:
            raise Invalid(f"{path} is no regular file; move it out of the template set")


def _check_not_link(folder: Path) -> None:
    if folder.is_symlink():
        raise Invalid(f"{folder} is a symbolic link; a template set is a real folder, so move or copy it here")


def _check_stays(path: Path, root: Path) -> None:
    if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
        raise Invalid(f"{path} is a symbolic link that leads out of the template set; put the file itself here")


def _check_guarded(path: Path) -> None:
    found = path.stat()
    if found.st_uid not in {_ROOT, os.geteuid()}:
        raise Invalid(f"{path} belongs to {_user(found.st_uid)}, who could change what runs; run: chown root {path}")
    if found.st_mode & _WRITABLE_BY_OTHERS:
        raise Invalid(f"{path} can be written by others than its owner; run: chmod go-w {path}")


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user number {uid}"
