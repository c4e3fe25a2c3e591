"""What the rules of `relocd.election.rules` are based on: what a server sees of a service, and its own local state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from relocd.model.entries import EntryUUID

__all__ = ["Eligible", "YieldReason", "LocalState", "Life", "Observation", "State"]


class Life(StrEnum):
    """What is known of another server: it was heard of within its lease, or was not, or is dead for certain."""

    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"


class YieldReason(StrEnum):
    """Why a server that is chosen for a service releases it all the same.

    `UNHEALTHY` is one of the holder alone: another server may take it, and it serves on where none does.
    """

    DRAINED = "drained"
    DISPLACED = "displaced"
    FENCED = "fenced"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class State:
    """The state entry of a service; all None and 0 where there is none yet."""

    holder: EntryUUID | None = None
    candidate: EntryUUID | None = None
    previous: EntryUUID | None = None
    generation: int = 0

    @property
    def asking(self) -> EntryUUID | None:
        """The candidate, unless that is the holder: then no server asks for the service.

        Two providers that took writes at the same moment may leave both names (see `relocd.election.rules`).
        """
        return None if self.candidate == self.holder else self.candidate


@dataclass(frozen=True, slots=True)
class Eligible:
    """The servers that may run a service.

    `direct` link to it, `by_cluster` are the active servers of clusters that do: these are *chosen*. `standby` are the
    other members of such clusters: a service may be failed back to them, and they ask for nothing.
    """

    direct: frozenset[EntryUUID] = frozenset()
    by_cluster: frozenset[EntryUUID] = frozenset()
    standby: frozenset[EntryUUID] = frozenset()

    @property
    def all(self) -> frozenset[EntryUUID]:
        """Every chosen server."""
        return self.direct | self.by_cluster


@dataclass(frozen=True, slots=True)
class Observation:
    """What a server sees of a service: `state` is None while it is unknown; a server not in `lives` is suspect.

    `failed` are the servers that publish that the service has failed there, as far as they were looked at.
    """

    me: EntryUUID
    state: State | None
    eligible: Eligible
    lives: Mapping[EntryUUID, Life] = field(default_factory=dict)
    failed: frozenset[EntryUUID] = frozenset()

    def life(self, server: EntryUUID) -> Life:
        """What is known of a server; of this one itself, that it is alive."""
        return Life.ALIVE if server == self.me else self.lives.get(server, Life.SUSPECT)


@dataclass(frozen=True, slots=True)
class LocalState:
    """What is true on the server that decides.

    - `active`: the service was brought up completely and runs.
    - `up`: something of it may be up here.
    - `ready`: everything that the service needs is here and passes its checks.
    - `steady`: no other server can be about to act on this one's death. Its heartbeat has been in the directory, since
      it was last missing for a lease, for longer than another server takes from finding it dead to acting on that; or
      since before it became the holder. Without this, a server that hung could read that it is the holder, and activate
      at the moment at which another one swaps itself in.
    - `failed`: an activation in this generation has failed.
    - `failed_here`: an activation has failed, or the service by its health, and nothing has changed since.
    - `unlinked`: the previous holder's link was deleted in this generation; a link that is there is a new order.
    - `settled`: the candidacy has stood for as long as two providers may disagree.
    - `waited`: the state has been unchanged for a lease, so another provider may have missed a write; never with one.
    - `orphaned`: another server, and no person, has deleted this one's link; seen with several providers only.
    - `expired`: its heartbeat has been missing for almost a lease, and the service has isolation `release`.
    - `yield_reason`: why the server has to release the service although it is chosen.
    """

    active: bool
    up: bool
    ready: bool
    steady: bool
    failed: bool = False
    failed_here: bool = False
    unlinked: bool = False
    settled: bool = False
    waited: bool = False
    orphaned: bool = False
    expired: bool = False
    yield_reason: YieldReason | None = None
