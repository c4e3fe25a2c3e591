"""Folders watched for changes with watchdog (inotify), also folders that do not exist yet.

A folder is watched with everything in it, and so is the nearest existing folder above it, for entries only: that is
where it appears, is removed or replaced. After every change the watches are compared with what is wanted now. Watchdog
calls from a thread of its own; a series of its events reaches the event loop as one call, after the last of them.

No folder has two watches: from version 7 on watchdog has one inotify instance for all, where the kernel keeps for each
folder only the kinds of event that were asked for last.
"""

from __future__ import annotations

import asyncio
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from relocd.errors import Failed

__all__ = ["FolderWatch"]

_log = logging.getLogger(__name__)

_QUIET_S: Final = 0.1
_LONGEST_S: Final = 1.0
_ATTEMPTS: Final = 5
# Reading a file is an event, too; the agent's own reads would wake it again and again.
_READS: Final = frozenset({"opened", "closed_no_write"})
# Links are files: a symbolic link in the path may be replaced.
_ENTRIES: Final[list[type[FileSystemEvent]]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
]

_Identity = tuple[int, int, bool]


class FolderWatch:
    """Calls `changed` in the event loop, 100 ms after the last of a series of changes and after 1 s at the latest.

    Raises `Failed` when the kernel has no inotify instance left.
    """

    def __init__(self, folders: Sequence[Path], changed: Callable[[], None]) -> None:
        self._folders = tuple(folder.absolute() for folder in folders)
        self._changed = changed
        self._observer = _observer(self._folders)
        self._watches: dict[Path, tuple[_Identity, ObservedWatch]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._began = 0.0
        self._closed = False

    def start(self) -> None:
        """Start to watch, inside the event loop; raises `Failed` when the kernel has no watch left."""
        self._loop = asyncio.get_running_loop()
        # Watchdog 7 adds a folder twice that appears while its parent, new too, is walked through, and warns that it
        # replaces a callback: by the same one, so nothing is lost. Raised as an error it would end watchdog's thread.
        warnings.filterwarnings("ignore", "Callback with id .* already exists", RuntimeWarning, r"watchdog\.")
        self._observer.start()
        self._arm()

    def close(self) -> None:
        """End the threads; no call follows."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()

    def _arm(self) -> None:
        """Watch what is wanted; repeated, because a folder may appear before its watch begins."""
        for _ in range(_ATTEMPTS):
            wanted = self._wanted()
            if wanted == {path: identity for path, (identity, _) in self._watches.items()}:
                return
            self._drop([path for path, (identity, _) in self._watches.items() if wanted.get(path) != identity])
            for path in wanted.keys() - self._watches.keys():
                self._add(path, wanted[path])

    def _wanted(self) -> dict[Path, _Identity]:
        """The folders to watch, each with its identity, and whether everything below it is watched."""
        wanted: dict[Path, _Identity] = {}
        for folder in self._paths():
            above = _real(next(parent for parent in folder.parents if parent.is_dir()))
            for path, deep in ((above, False), (_real(folder), True)):
                identity = _identity(path, deep=deep)
                if identity is not None and not wanted.get(path, (0, 0, False))[2]:
                    wanted[path] = identity
        whole = {path for path, identity in wanted.items() if identity[2]}
        return {path: identity for path, identity in wanted.items() if whole.isdisjoint(path.parents)}

    def _paths(self) -> Iterator[Path]:
        """The folders by their configured paths, and by their real paths where symbolic links lead to others."""
        for folder in self._folders:
            yield folder
            if (real := _real(folder)) != folder:
                yield real

    def _add(self, path: Path, identity: _Identity) -> None:
        *_, deep = identity
        handler = _EventHandler(self._event_in_thread, tuple(self._paths()))
        try:
            watch = self._observer.schedule(
                handler, str(path), recursive=deep, event_filter=None if deep else list(_ENTRIES)
            )
        except FileNotFoundError:
            return
        except OSError as error:
            raise _exhausted(str(path), error) from error
        self._watches[path] = (identity, watch)

    def _drop(self, paths: Sequence[Path]) -> None:
        for path in paths:
            _, watch = self._watches.pop(path)
            self._observer.unschedule(watch)

    def _event_in_thread(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._debounce, self._loop)

    def _debounce(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._closed:
            return
        if self._timer is None:
            self._began = loop.time()
        else:
            self._timer.cancel()
        self._timer = loop.call_at(min(loop.time() + _QUIET_S, self._began + _LONGEST_S), self._report)

    def _report(self) -> None:
        self._timer = None
        try:
            self._arm()
        except Failed as error:
            _log.warning("changes of template sets may go unnoticed", extra={"fields": {"problem": str(error)}})
        self._changed()


class _EventHandler(FileSystemEventHandler):
    """Reports the events of a folder, of everything in it, and of the folders above it."""

    def __init__(self, report: Callable[[], None], folders: Sequence[Path]) -> None:
        self._report = report
        self._folders = folders

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in _READS:
            return
        paths = [Path(str(path)) for path in (event.src_path, event.dest_path) if path]
        if any(
            path.is_relative_to(folder) or folder.is_relative_to(path) for path in paths for folder in self._folders
        ):
            self._report()


def _observer(folders: Sequence[Path]) -> BaseObserver:
    """An observer; watchdog 7 asks the kernel for its inotify instance here, version 6 for one with each watch."""
    try:
        return Observer()
    except OSError as error:
        raise _exhausted(", ".join(map(str, folders)), error) from error


def _real(path: Path) -> Path:
    """The path without symbolic links; unlike `Path.resolve` it raises no error where links form a loop."""
    return Path(os.path.realpath(path))


def _exhausted(what: str, error: OSError) -> Failed:
    return Failed(f"cannot watch {what}: {error.strerror}; raise fs.inotify.max_user_watches or max_user_instances")


def _identity(path: Path, *, deep: bool) -> _Identity | None:
    try:
        found = path.stat()
    except OSError:
        return None  # missing or not readable: nothing to watch
    return found.st_dev, found.st_ino, deep
