"""What a person has told the agent of a server to do, beside what the directory says."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Mode"]


class Mode(StrEnum):
    """`normal`; `paused`: watch and do nothing; `drained`: hold no exclusive service, give away what is held."""

    NORMAL = "normal"
    PAUSED = "paused"
    DRAINED = "drained"
