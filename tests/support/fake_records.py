"""What happens to a server in memory, in order, and what its agent keeps there: the ledger and the heartbeats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from relocd.errors import Failed
from relocd.model.host import SentHeartbeats
from relocd.reconcile.desired import Footprint
from relocd.reconcile.goals import GoalId

__all__ = ["FakeHeartbeatRecord", "FakeLedger", "Killed", "World"]


class Killed(BaseException):
    """The agent's process ends here; nothing of it catches that."""


@dataclass
class World:
    """What has happened, in order; it ends at the effect number `ends_at`, before it or right after it."""

    effects: list[str] = field(default_factory=list)
    ends_at: int | None = None
    ends_after: bool = False

    def happen(self, what: str, change: Callable[[], object]) -> None:
        """Change something, unless the world ends first."""
        last = self.ends_at == len(self.effects)
        if last and not self.ends_after:
            raise Killed(what)
        change()
        self.effects.append(what)
        if last:
            raise Killed(what)


class FakeLedger:
    """Footprints; with `refusal` the disk is full."""

    def __init__(self, world: World) -> None:
        self.stored: dict[GoalId, Footprint] = {}
        self.refusal = ""
        self._world = world

    def all(self) -> Mapping[GoalId, Footprint]:
        return dict(self.stored)

    async def intend(self, goal: GoalId, footprint: Footprint) -> None:
        await self.save(goal, footprint)

    async def save(self, goal: GoalId, footprint: Footprint) -> None:
        if self.stored.get(goal) != footprint:
            self._check()
            self._world.happen(f"keep {footprint.name}", lambda: self.stored.update({goal: footprint}))

    async def forget(self, goal: GoalId) -> None:
        self._check()
        if goal in self.stored:
            name = self.stored[goal].name
            self._world.happen(f"forget {name}", lambda: self.stored.pop(goal))

    def _check(self) -> None:
        if self.refusal:
            raise Failed(self.refusal)


class FakeHeartbeatRecord:
    """What an agent has left of its heartbeats; gone with the machine."""

    def __init__(self) -> None:
        self.kept = SentHeartbeats()

    def load(self) -> SentHeartbeats:
        return self.kept

    async def keep(self, sent: SentHeartbeats) -> None:
        self.kept = sent
