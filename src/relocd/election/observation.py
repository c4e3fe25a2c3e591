"""What the rules of `relocd.election.rules` go by: what a server sees of a service, and what is so on itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from relocd.model.entries import EntryUUID

__all__ = ["Eligible", "YieldReason", "LocalState", "Life", "Observation", "State"]


class Life(StrEnum):
    """What is known of another server: heard of within the lease, not heard of, or proved dead by two witnesses."""

    ALIVE = "alive"
    SILENT = "silent"
    DEAD = "dead"


class YieldReason(StrEnum):
    """Why a server lets a service go although it is linked to it."""

    DRAINED = "drained"
    DISPLACED = "displaced"
    FENCED = "fenced"


@dataclass(frozen=True, slots=True)
class State:
    """The state entry of a service."""

    holder: EntryUUID | None = None
    candidate: EntryUUID | None = None
    previous: EntryUUID | None = None
    generation: int = 0

    @property
    def asking(self) -> EntryUUID | None:
        """The candidate, unless that is the holder: then nobody asks for the service.

        Two providers that took writes at the same moment may leave both names (see `relocd.election.rules`).
        """
        return None if self.candidate == self.holder else self.candidate


@dataclass(frozen=True, slots=True)
class Eligible:
    """The servers that shall run a service: linked directly, or the active one of a cluster that links it.

    `standby` are the other members of such clusters: they may have it back, and ask for nothing.
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
    """What this server sees of a service: `state` is None while it is unknown; a server not in `lives` is silent."""

    me: EntryUUID
    state: State | None
    eligible: Eligible
    lives: Mapping[EntryUUID, Life] = field(default_factory=dict)

    def life(self, server: EntryUUID) -> Life:
        """What is known of a server; of this one itself, that it is alive."""
        return Life.ALIVE if server == self.me else self.lives.get(server, Life.SILENT)


@dataclass(frozen=True, slots=True)
class LocalState:
    """What is so on this server.

    `active`: the service was brought up whole and runs. `up`: something of it may be up here. `ready`: everything that
    the service needs is here and passes its checks. `failed`: an activation in this generation has failed.
    `failed_here`: one has failed, and nothing has changed since. `unlinked`: in this generation the previous holder's
    link was deleted, so that one which stands there is another. `settled`: the candidacy stands for as long as two
    providers may disagree. `waited`: what the state says has stood for a lease, so that another provider may say
    something else. `steady`: my own heartbeat has stood in the directory, since it was last missing for a lease, for
    longer than another server takes from finding me dead to acting on it, or since before I became holder. Without that
    a server that hung could read that it is the holder, and activate just when another one swaps itself in. `expired`:
    my heartbeat has been missing for a lease, and the service is one that is released then.
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
    expired: bool = False
    yield_reason: YieldReason | None = None
