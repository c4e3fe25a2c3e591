"""One simulated server: the machine with its address and units, and what its agent remembers while it runs."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

from relocd.agent.liveness.provider_clock import ProviderClock
from relocd.election.eligibility import OwnershipView
from relocd.election.observation import Life, State, YieldReason
from relocd.model.entries import EntryUUID
from tests.simulation.kind import LEASE
from tests.simulation.view import Direct

__all__ = ["Memory", "Server", "Sign", "Verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The last verdict on another server, and when."""

    life: Life
    judged_at: int


@dataclass(frozen=True, slots=True)
class Sign:
    """What an agent has seen of another's heartbeat: which, when it was read last, since when it stands still, and the
    last read before it was seen to change."""

    beat: tuple[int, int, int]
    read_at: int
    since: int
    moved_at: int | None = None


@dataclass(slots=True)
class Memory:
    """What is gone when the agent ends.

    `seen` is how far it has followed its provider. `sent_at` and `stamp` are of its heartbeat that has not come
    back yet, `confirmed` is when the last one that did was sent, `back_at` when one came back after a lease
    without, `clock` what those since then show of the provider's. `said` is the state as it stands since
    `changed_at`; `repeats` is how often this server has asked again since then. `resumed_at` is when it went on
    from the heartbeats of an agent before it, `other_at` when it last heard of another agent of its name. In the
    generation `handed_in` it has seen how it became the holder, `taken_in` is the last one in which it swapped
    itself in. `failing` and `passing` are the checks of the service in a row, `failed_by_health` is what follows.
    `links` is how it was chosen, `moves` when the service moved for its health, as far as it has seen. Until
    `kept_until` nothing is released that could not be, and then again after a longer `pause`.
    """

    view: Direct
    seen: int
    began_at: int
    agent: int = 0
    found: tuple[int, int, int] = (0, 0, 0)
    believes: bool = False
    parts: Generator[None] | None = None
    linked: bool = False
    orphaned: bool = False
    failed_in: int | None = None
    unlinked_in: int | None = None
    failed_here: bool = False
    settled_at: int | None = None
    sent_at: int | None = None
    stamp: int = 0
    confirmed: int | None = None
    back_at: int = 0
    clock: ProviderClock = field(default_factory=lambda: ProviderClock(LEASE))
    said: State | None = None
    handed_in: int | None = None
    taken_in: int | None = None
    changed_at: int = 0
    repeats: int = 0
    resumed_at: int | None = None
    other_at: int | None = None
    signs: dict[EntryUUID, Sign] = field(default_factory=dict)
    failing: int = 0
    passing: int = 0
    failed_by_health: bool = False
    links: frozenset[str] = frozenset()
    moves: list[int] = field(default_factory=list)
    pause: int = 0
    kept_until: int = 0
    watch: dict[EntryUUID, tuple[tuple[int, int, int], int]] = field(default_factory=dict)
    verdicts: dict[EntryUUID, Verdict] = field(default_factory=dict)

    def note_link(self, ownership: OwnershipView) -> None:
        """Keep who deleted the server's link: `orphaned` is another server."""
        before, self.linked = self.linked, ownership.me in ownership.links
        if self.linked or before:
            self.orphaned = ownership.unlinked_by_other

    def note_holder(self, me: EntryUUID, before: State | None, now: State) -> None:
        """Take in that another server, which was the holder, has handed the service over."""
        handed = before is not None and before.holder not in {None, me}
        if now.holder == me and handed and self.taken_in != now.generation:
            self.handed_in = now.generation


@dataclass(slots=True)
class Server:
    """The machine; `address` is what it has, whatever its agent believes; the wire hears it while it is `plugged`.

    `sick`: the service does not work here, `hangs`: its check gets no answer, `flaps`: it works now and then,
    `ill`: the whole server does not work. `copy`: somebody has put the address there, or it does not look any more
    as the agent has made it. `sticks`: its units do not stop. `was_cut`: its cable was out since it raised the
    address; `heals`: it asks the wire about that. `half_fenced`: it runs, and was fenced while its provider could
    not be told. `former` is what an agent before this one knew of its heartbeats, `agents` are all that have run
    here.

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
    sick: bool = False
    hangs: bool = False
    flaps: bool = False
    ill: bool = False
    copy: bool = False
    sticks: bool = False
    plugged: bool = True
    was_cut: bool = False
    heals: bool = False
    half_fenced: bool = False
    former: tuple[int, int] | None = None
    agents: set[int] = field(default_factory=set)
    address: bool = False
    units: bool = False
    expires: int = 0

    @property
    def acts(self) -> bool:
        """Whether its agent runs."""
        return self.up and not self.hung

    @property
    def answers(self) -> bool:
        """Whether the address answers here that its agent has raised."""
        return self.address and self.plugged

    @property
    def fit(self) -> bool:
        """Whether it can raise the address, and all else that it needs is there."""
        return self.ready and not (self.copy and not self.address)

    @property
    def serves(self) -> bool:
        """Whether clients are served here."""
        return self.address and self.units

    @property
    def has_failed(self) -> bool:
        """Whether its agent takes the service as failed here by its health."""
        return self.ill or self.memory.failed_by_health

    @property
    def able(self) -> bool:
        """Whether the service could be activated here."""
        remains = self.sticks and self.units and not self.address
        return self.up and self.fit and not self.failing and not self.displaced and not remains

    def yield_reason(self, *, fenced: bool, moves: bool = False) -> YieldReason | None:
        """Why it lets the service go although it is linked; `moves`: for its health, too."""
        if fenced:
            return YieldReason.FENCED
        if self.displaced:
            return YieldReason.DISPLACED
        if self.drained:
            return YieldReason.DRAINED
        return YieldReason.UNHEALTHY if self.has_failed and moves else None

    def remove_copy(self) -> None:
        """Somebody removes an address that the agent has not raised, or that has no mark of it any more."""
        if self.copy:
            self.copy = self.address = self.was_cut = False
            self.memory.kept_until = self.memory.pause = 0  # a change here is a reason to try again
            self.memory.failed_here = self.memory.failed_by_health = False

    def power_off(self) -> None:
        """The address is gone with the machine, and all that the agent knew."""
        self.up = self.hung = self.address = self.units = self.copy = self.was_cut = self.heals = False
        self.former = None
        self.memory.parts = None
