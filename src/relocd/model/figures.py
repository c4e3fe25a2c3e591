"""How the agent stands, in figures for whoever watches it from outside."""

from __future__ import annotations

from dataclasses import dataclass

from relocd.model.status import Mode

__all__ = ["CheckHealth", "Health", "ServiceHealth"]


@dataclass(frozen=True, slots=True)
class CheckHealth:
    """What a health check says: its state in a word."""

    name: str
    state: str


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """How one service stands here: its state in a word; of an exclusive one, whether it is held, and its generation.

    `holds` is None where nobody need hold it: it is shared, nobody is chosen for it, or it rests beside another one.
    `failed`: it counts as failed here by its health.
    """

    name: str
    state: str
    holds: bool | None = None
    generation: int | None = None
    checks: tuple[CheckHealth, ...] = ()
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """How the agent stands: its services, how many problems there are, its mode, and the directory.

    `current` says that a refresh is complete and the search goes on: what the agent knows is the directory's last word.
    """

    services: tuple[ServiceHealth, ...] = ()
    problems: int = 0
    mode: Mode = Mode.NORMAL
    current: bool = False
    checks: tuple[CheckHealth, ...] = ()
