"""What the parts of one agent know of each other: each fact has one part that writes it, and every part may read it."""

from __future__ import annotations

from dataclasses import dataclass, field

from relocd.model.entries import EntryUUID
from relocd.model.status import Mode
from relocd.reconcile.desired import Footprint
from relocd.reconcile.goals import GoalId

__all__ = ["SharedState"]


@dataclass(slots=True)
class SharedState:
    """The facts, with who writes them.

    - `mode`: what an administrator has ordered (`relocd pause`, `relocd drain`); the agent.
    - `providers`: how many providers the directory has, as far as is known; the agent, after each batch of the search.
    - `unread_secrets`: services that were linked here just now and whose secrets have not been read since; `Backfill`.
    - `footprints`: what each goal has on this server; the worker of the goal.
    """

    mode: Mode = Mode.NORMAL
    providers: int = 1
    unread_secrets: set[EntryUUID] = field(default_factory=set)
    footprints: dict[GoalId, Footprint] = field(default_factory=dict)
