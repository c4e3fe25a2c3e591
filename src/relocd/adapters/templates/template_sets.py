"""The port `TemplateSets`: folders of template sets, read when first asked for and again after they changed.

A set, or the error in it, is stored until a file changes. A set that the system could not read, for example for lack of
descriptors, is read again after a second. Watching the folders is retried likewise.

A name is searched in the configured folders in order and then among the sets shipped with relocd; the first folder of
that name is used, even when it is broken. Shipped sets are exempt from the check of owners and modes: they lie beside
relocd's own code, and a user who can change the one can change the other.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from relocd.adapters.templates.folder_watch import FolderWatch
from relocd.adapters.templates.manifest import template_set
from relocd.adapters.templates.set_folder import read_folder, translated
from relocd.errors import Failed, Invalid, RelocdError, Unavailable
from relocd.model.template_set import TemplateSet

__all__ = ["FolderTemplateSets"]

_log = logging.getLogger(__name__)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_RETRY_S: Final = 1.0


class FolderTemplateSets:
    """The sets in `folders` and `shipped`; each is stored, or the error in it, until a file changes."""

    def __init__(self, folders: Sequence[Path], shipped: Path) -> None:
        self._folders = tuple(folders)
        self._shipped = shipped
        self._known: dict[str, TemplateSet | Invalid | Unavailable] = {}
        self._listeners: list[Callable[[], None]] = []
        self._watch: FolderWatch | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._logged = ""

    def get(self, name: str) -> TemplateSet:
        """The set of that name.

        Raises `Invalid` when there is none or something in it is wrong, `Unavailable` when it cannot be read now.
        """
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = self._read(name)
        if isinstance(found, Unavailable):
            self._read_again(name)
        if isinstance(found, RelocdError):
            raise type(found)(str(found))
        return found

    def names(self) -> Sequence[str]:
        """Every name that some folder has, whether or not its set can be used; raises as `get` does."""
        found: set[str] = set()
        for folder in (*self._folders, self._shipped):
            with translated(str(folder)):
                if folder.is_dir():
                    found |= {entry.name for entry in folder.iterdir() if entry.is_dir()}
        return sorted(name for name in found if _NAME.fullmatch(name))

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` in the event loop, debounced, after any set changed on disk."""
        self._listeners.append(changed)
        if self._watch is None:
            self._begin_watch()
            self._known.clear()  # they were read before the watch began

    def close(self) -> None:
        """Stop watching."""
        self._listeners.clear()
        if self._retry is not None:
            self._retry.cancel()
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _begin_watch(self) -> None:
        watch: FolderWatch | None = None
        try:
            watch = FolderWatch((*self._folders, self._shipped), self._changed)
            watch.start()
        except Failed as error:
            if watch is not None:
                watch.close()
            self._warn_once(str(error))
            self._retry_soon()
        else:
            self._watch = watch

    def _warn_once(self, problem: str) -> None:
        if problem != self._logged:
            self._logged = problem
            _log.warning("template sets are not watched", extra={"fields": {"problem": problem}})

    def _read_again(self, name: str) -> None:
        """Read a set again after a second where a listener waits for it, else with the next `get`."""
        if self._listeners:
            self._retry_soon()
        else:
            del self._known[name]

    def _retry_soon(self) -> None:
        if self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(_RETRY_S, self._retry_now)

    def _retry_now(self) -> None:
        """Retry what the system refused; call the listeners when something works now."""
        self._retry = None
        improved = False
        if self._watch is None:
            self._begin_watch()
            improved = self._watch is not None
        for name in [name for name, found in self._known.items() if isinstance(found, Unavailable)]:
            found = self._known[name] = self._read(name)
            improved |= not isinstance(found, Unavailable)
        if improved:
            self._changed()
        if any(isinstance(found, Unavailable) for found in self._known.values()):
            self._retry_soon()

    def _changed(self) -> None:
        self._known.clear()
        for listener in self._listeners:
            listener()

    def _read(self, name: str) -> TemplateSet | Invalid | Unavailable:
        try:
            return self._template_set(name)
        except (Invalid, Unavailable) as error:
            return type(error)(f"template set {name}: {error}")

    def _template_set(self, name: str) -> TemplateSet:
        if not _NAME.fullmatch(name):
            raise Invalid("a set has a name of a-z, 0-9, _ and -, never a path")
        for folder in (*self._folders, self._shipped):
            if _exists(folder / name):
                guarded = folder != self._shipped
                return template_set(read_folder(Path(os.path.realpath(folder)) / name, guarded=guarded))
        searched = ", ".join(str(folder) for folder in (*self._folders, self._shipped))
        raise Invalid(f"no folder of that name in {searched}; correct relocTemplateSet or install the set")


def _exists(path: Path) -> bool:
    """Whether there is anything, readable or not: a set that cannot be read hides the shipped one."""
    with translated(str(path)):
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True
