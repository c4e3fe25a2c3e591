"""The port `TemplateSets`: folders of template sets, read when first asked for and again after they changed.

A name is looked for in the configured folders in order and then among the sets shipped with relocd; the first
folder of that name counts, also when it is broken. Shipped sets are exempt from the check of owners and modes: they
lie beside relocd's own code, and whoever can change the one can change the other.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from relocd.adapters.folder_watch import FolderWatch
from relocd.adapters.manifest import template_set
from relocd.adapters.set_folder import read_folder
from relocd.errors import Invalid
from relocd.model.template_set import TemplateSet

__all__ = ["FolderTemplateSets"]

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class FolderTemplateSets:
    """The sets in `folders` and `shipped`; what was read, or why it cannot be, is kept until something changes."""

    def __init__(self, folders: Sequence[Path], shipped: Path) -> None:
        self._folders = tuple(folders)
        self._shipped = shipped
        self._known: dict[str, TemplateSet | Invalid] = {}
        self._listeners: list[Callable[[], None]] = []
        self._watch: FolderWatch | None = None

    def get(self, name: str) -> TemplateSet:
        """The set of that name; raises `Invalid` when there is none or its manifest is wrong."""
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = self._read(name)
        if isinstance(found, Invalid):
            raise Invalid(str(found))
        return found

    def names(self) -> Sequence[str]:
        """Every name that some folder has, whether or not its set can be used."""
        folders = [folder for folder in (*self._folders, self._shipped) if folder.is_dir()]
        found = {entry.name for folder in folders for entry in folder.iterdir() if entry.is_dir()}
        return sorted(name for name in found if _NAME.fullmatch(name))

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` in the event loop, debounced, after any set changed on disk."""
        self._listeners.append(changed)
        if self._watch is None:
            self._watch = FolderWatch((*self._folders, self._shipped), self._changed)
            self._watch.start()
            self._known.clear()  # read before anybody watched

    def close(self) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _changed(self) -> None:
        self._known.clear()
        for listener in self._listeners:
            listener()

    def _read(self, name: str) -> TemplateSet | Invalid:
        try:
            return self._found(name)
        except Invalid as error:
            return Invalid(f"template set {name}: {error}")

    def _found(self, name: str) -> TemplateSet:
        if not _NAME.fullmatch(name):
            raise Invalid("a set is named with a-z, 0-9, _ and -, never by a path")
        for folder in (*self._folders, self._shipped):
            if os.path.lexists(folder / name):
                guarded = folder != self._shipped
                return template_set(read_folder(folder.resolve() / name, guarded=guarded))
        searched = ", ".join(str(folder) for folder in (*self._folders, self._shipped))
        raise Invalid(f"no folder of that name in {searched}; correct relocTemplateSet or install the set")
