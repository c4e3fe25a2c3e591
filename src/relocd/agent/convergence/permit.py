"""The permission to serve: asked for before anything is raised that only one server may have.

`relocd.agent.liveness.lease_guard` issues it, after a direct read of the directory. A refusal is an error of its own,
`NotPermitted`, so that a convergence can tell it from every other failure.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from relocd.errors import Busy
from relocd.reconcile.goals import Goal

__all__ = ["NotPermitted", "PermitSource", "Reach", "ServePermit"]

Reach = Callable[[], Awaitable[None]]
"""Returns once the directory has answered; raises `Unavailable` or `Failed` when it could take no write now."""


class NotPermitted(Busy):
    """The service may not be raised on this server now: nothing is raised, and it is asked for again soon."""


@dataclass(frozen=True, slots=True)
class ServePermit:
    """The permission to raise an exclusive service: valid until when (monotonic clock), and for how long it lasts.

    With isolation `release` the kernel itself drops the addresses `lifetime_s` after they were raised.
    """

    until: float = math.inf
    lifetime_s: int | None = None


class PermitSource(Protocol):
    """Issues permits to serve."""

    async def permit(self, goal: Goal) -> ServePermit:
        """A permit for the goal's service, from a direct read of the directory; raises `NotPermitted`."""
        ...
