"""One simulated server: the machine with its address and units, and what its agent remembers while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from relocd.model.entries import EntryUUID
from relocd.plan.sight import GivesWay, Life, State
from tests.simulation.sight import Direct

__all__ = ["Memory", "Server", "Verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the witnesses said of another server, and when."""

    life: Life
    judged_at: int


@dataclass(slots=True)
class Memory:
    """What is gone when the agent ends.

    `seen` is how far it has followed its provider. `sent_at` is its heartbeat that has not come back yet, `confirmed`
    when the last one that did was sent, `back_at` when one came back after a lease without. `said` is the state as it
    stands since `changed_at`; `repeats` is how often this server has asked again since then.
    """

    view: Direct
    seen: int
    began_at: int
    believes: bool = False
    parts: Iterator[None] | None = None
    failed_in: int | None = None
    sulks: bool = False
    settled_at: int | None = None
    sent_at: int | None = None
    confirmed: int | None = None
    back_at: int = 0
    said: State | None = None
    changed_at: int = 0
    repeats: int = 0
    watch: dict[EntryUUID, tuple[int, int]] = field(default_factory=dict)
    verdicts: dict[EntryUUID, Verdict] = field(default_factory=dict)


@dataclass(slots=True)
class Server:
    """The machine; `address` is what the wire answers, whatever its agent believes.

    `expires` is when the kernel drops the address of a service that is released.
    """

    name: EntryUUID
    memory: Memory
    provider: int = 0
    up: bool = True
    hung: bool = False
    cut: bool = False
    ready: bool = True
    failing: bool = False
    drained: bool = False
    displaced: bool = False
    address: bool = False
    units: bool = False
    expires: int = 0

    @property
    def acts(self) -> bool:
        """Whether its agent runs."""
        return self.up and not self.hung

    @property
    def serves(self) -> bool:
        """Whether clients are served here."""
        return self.address and self.units

    @property
    def able(self) -> bool:
        """Whether the service could be activated here."""
        return self.up and self.ready and not self.failing and not self.displaced

    def gives_way(self, *, fenced: bool) -> GivesWay | None:
        """Why it lets the service go although it is linked."""
        if fenced:
            return GivesWay.FENCED
        if self.displaced:
            return GivesWay.DISPLACED
        return GivesWay.DRAINED if self.drained else None

    def power_off(self) -> None:
        """The address is gone with the machine, and all that the agent knew."""
        self.up = self.hung = self.address = self.units = False
        self.memory.parts = None
