"""The ledger: one JSON file for each footprint, below the state folder, replaced as a whole and synced to disk."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from relocd.adapters.files.durable import replace_file
from relocd.adapters.templates.set_folder import translated
from relocd.errors import Failed, Invalid
from relocd.model.template_set import First, Role, UnitAction
from relocd.reconcile.desired import DesiredUnit, Footprint, Placed
from relocd.reconcile.goals import GoalId

__all__ = ["JsonLedger", "footprint_json", "footprint_of"]

_log = logging.getLogger(__name__)


class JsonLedger:
    """Footprints below `folder`, which is created if it is missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[GoalId, Footprint] = {}

    def all(self) -> Mapping[GoalId, Footprint]:
        """Every footprint; a damaged file is renamed to `.damaged` and logged.

        Raises `Unavailable` while they cannot be read: what runs here is unknown then, so nothing is started.
        """
        found: dict[GoalId, Footprint] = {}
        with translated(str(self._folder)):
            paths = sorted(self._folder.glob("*.json"))
        for path in paths:
            try:
                with translated(str(path)):
                    text = path.read_text(encoding="utf-8")
                content = json.loads(text)
                found[GoalId(str(content["id"]))] = footprint_of(content)
            except (Invalid, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                _set_aside(path, error)
        self._kept = dict(found)
        return found

    async def intend(self, goal: GoalId, footprint: Footprint) -> None:
        """Store a footprint without waiting for the disk; raises `Failed` naming the file.

        It is written in the event loop: the way into a thread and back would take several times as long.
        """
        if self._kept.get(goal) != footprint:
            self._kept.pop(goal, None)
            replace_file(self._path(goal), _content(goal, footprint), durable=False)

    async def save(self, goal: GoalId, footprint: Footprint) -> None:
        """Store a footprint if it has changed, and wait for the disk; raises `Failed` naming the file."""
        if self._kept.get(goal) != footprint:
            await asyncio.to_thread(replace_file, self._path(goal), _content(goal, footprint))
            self._kept[goal] = footprint

    async def forget(self, goal: GoalId) -> None:
        """Remove a footprint; raises `Failed` naming the file."""
        self._kept.pop(goal, None)
        path = self._path(goal)
        try:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        except OSError as error:
            raise Failed(f"{path}: cannot be removed ({error.strerror}); correct that folder") from error

    def _path(self, goal: GoalId) -> Path:
        return self._folder / (goal.replace(":", "-") + ".json")


def _set_aside(path: Path, error: Exception) -> None:
    fields = {"file": str(path), "problem": f"{type(error).__name__}: {error}"}
    _log.warning("damaged footprint renamed; its service is read from scratch", extra={"fields": fields})
    try:
        path.rename(path.with_suffix(".damaged"))
    except OSError as refused:
        _log.warning(
            "damaged footprint cannot be renamed", extra={"fields": {"file": str(path), "problem": str(refused)}}
        )


def _content(goal: GoalId, footprint: Footprint) -> bytes:
    return json.dumps({"id": goal} | footprint_json(footprint)).encode()  # with an indent Python encodes it, not C


def footprint_json(footprint: Footprint) -> dict[str, Any]:
    """A footprint as JSON values."""
    return {
        "name": footprint.name,
        "role": footprint.role,
        "files": sorted(footprint.files),
        "applied": dict(footprint.applied),
        "addresses": [[placed.interface, str(placed.address)] for placed in sorted(footprint.addresses, key=str)],
        "units": [[unit.name, unit.enter, unit.change, unit.removed, unit.early] for unit in footprint.units],
        "first": footprint.first,
        "owes_change": footprint.owes_change,
    }


def footprint_of(content: Mapping[str, Any]) -> Footprint:
    """The footprint that JSON values describe; raises ValueError, KeyError or TypeError when they do not.

    A ledger of an older version has no owed commands.
    """
    return Footprint(
        name=str(content["name"]),
        role=None if content["role"] is None else Role(content["role"]),
        files=frozenset(map(str, content["files"])),
        applied={str(target): str(digest) for target, digest in content["applied"].items()},
        addresses=frozenset(Placed(str(name), ip_interface(text)) for name, text in content["addresses"]),
        units=tuple(_unit(*words) for words in content["units"]),
        first=First(content["first"]),
        owes_change=bool(content.get("owes_change", False)),
    )


def _unit(name: object, enter: str, change: str, removed: str, early: object = False) -> DesiredUnit:
    """A unit; a ledger of an older version has no early ones."""
    return DesiredUnit(str(name), UnitAction(enter), UnitAction(change), UnitAction(removed), bool(early))
