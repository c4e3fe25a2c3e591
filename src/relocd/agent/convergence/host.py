"""The server on which the agent acts: its ports, what its configuration allows, and which goal has what of it.

An address, file or unit belongs to the first goal that claims it (`Claims`); others report a problem. Of two goals that
begin at once the first to act has it. When a goal gives something up, the goals that were refused it are told. An
address is claimed by its IP, whatever its prefix length. A unit that services only reload or restart is shared: for
example one daemon with a file from each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, cast

from relocd.model.entries import ServiceAddress
from relocd.model.figures import Health
from relocd.model.template_set import Role, UnitAction
from relocd.ports.host import (
    Addresses,
    Commands,
    Files,
    HeartbeatRecord,
    Ledger,
    Probes,
    Renderer,
    TemplateSets,
    Units,
    Wire,
)
from relocd.ports.reports import Meter
from relocd.reconcile.desired import Desired, DesiredUnit, Footprint, Placed
from relocd.reconcile.goals import GoalId, SetFacts
from relocd.reconcile.guards import Guards
from relocd.reconcile.spec import Spec

__all__ = [
    "Claims",
    "Claim",
    "claims_of_footprint",
    "claims_of_spec",
    "desired_without",
    "footprint_without",
    "UNMEASURED",
    "Host",
    "sets_of",
]

Claim = tuple[str, str]
"""A kind and a name: `("address", "192.0.2.10")`."""


class Claims:
    """Claims by goal, kept as the footprints are; no call goes through those of all goals."""

    def __init__(self) -> None:
        self._owners: dict[Claim, tuple[GoalId, str]] = {}
        self._claimed: dict[GoalId, dict[Claim, None]] = {}  # the same by goal, in the order of claiming
        self._refused: dict[Claim, set[GoalId]] = {}
        self._beside: dict[GoalId, frozenset[GoalId]] = {}
        self._freed: Callable[[GoalId], None] | None = None

    def watch(self, freed: Callable[[GoalId], None]) -> None:
        """Call `freed` with each goal that was refused what another has given up since."""
        self._freed = freed

    def adopt(self, footprints: Mapping[GoalId, Footprint]) -> Mapping[GoalId, Footprint]:
        """Take over what an earlier agent left here; what two footprints name belongs to the first."""
        found: dict[GoalId, Footprint] = {}
        for goal, footprint in sorted(footprints.items(), key=lambda each: (each[1].role is not Role.ACTIVE, each[0])):
            others = frozenset(claim for claim in claims_of_footprint(footprint) if self._is_anothers(goal, claim))
            found[goal] = footprint_without(footprint, others) if others else footprint
            self.keep(goal, found[goal])
        return found

    def allow(self, goal: GoalId, displaced: Iterable[GoalId]) -> None:
        """Let a goal and those that it displaces claim the same: they are never active here together."""
        self._beside[goal] = frozenset(displaced)

    def problems(self, goal: GoalId, wanted: Iterable[Claim]) -> tuple[str, ...]:
        """Why a goal cannot have what it wants: who has it, and what to do."""
        refused = sorted(claim for claim in wanted if self._is_anothers(goal, claim))
        for claim in refused:
            self._refused.setdefault(claim, set()).add(goal)
        return tuple(_refusal(claim, self._owners[claim][1]) for claim in refused)

    def take(self, goal: GoalId, name: str, wanted: Iterable[Claim]) -> None:
        """Claim what no other goal has; `name` is the service's, for messages."""
        for claim in wanted:
            if claim not in self._owners:
                self._give(claim, goal, name)

    def take_over(self, goal: GoalId, name: str, wanted: Iterable[Claim]) -> None:
        """Claim for a goal that becomes active: also what the goals have that it displaces."""
        for claim in wanted:
            if not self._is_anothers(goal, claim):
                self._give(claim, goal, name)

    def others(self, goal: GoalId) -> Container[Claim]:
        """What other goals have, which this one must not stop, drop or remove; also of those that it displaces."""
        return _Others(self._owners, goal)

    def keep(self, goal: GoalId, footprint: Footprint | None) -> None:
        """Claim what a footprint names, and give up everything else."""
        for claim in self._drop(goal, footprint):
            for other in self._refused.pop(claim, ()):
                if self._freed is not None and other != goal:
                    self._freed(other)

    def restore(self, goal: GoalId, footprint: Footprint) -> None:
        """The same after nothing was done, without telling others: two that refuse each other would retry for ever."""
        self._drop(goal, footprint)

    def pass_on(self, former: GoalId, heir: GoalId) -> None:
        """Pass all claims of a goal on to another."""
        for claim in tuple(self._claimed.get(former, ())):
            self._give(claim, heir, self._owners[claim][1])

    def left_to(self, goal: GoalId, addresses: Iterable[ServiceAddress]) -> tuple[ServiceAddress, ...]:
        """Those of the addresses that no other goal has here."""
        return tuple(each for each in addresses if not self._is_anothers(goal, ("address", str(each.ip))))

    def _drop(self, goal: GoalId, footprint: Footprint | None) -> list[Claim]:
        kept = frozenset[Claim]() if footprint is None else claims_of_footprint(footprint)
        if footprint is not None:
            self.take(goal, footprint.name, kept)
        dropped = [claim for claim in self._claimed.get(goal, ()) if claim not in kept]
        for claim in dropped:
            self._take_away(claim)
        return dropped

    def _give(self, claim: Claim, goal: GoalId, name: str) -> None:
        self._take_away(claim)
        self._owners[claim] = (goal, name)
        self._claimed.setdefault(goal, {})[claim] = None

    def _take_away(self, claim: Claim) -> None:
        owner, _ = self._owners.pop(claim, (None, ""))
        if owner is not None:
            del self._claimed[owner][claim]
            if not self._claimed[owner]:
                del self._claimed[owner]

    def _is_anothers(self, goal: GoalId, claim: Claim) -> bool:
        owner, _ = self._owners.get(claim, (goal, ""))
        beside = owner in self._beside.get(goal, ()) or goal in self._beside.get(owner, ())
        return owner != goal and not beside


@dataclass(frozen=True, slots=True)
class _Others:
    """The claims of all goals but one."""

    owners: Mapping[Claim, tuple[GoalId, str]]
    goal: GoalId

    def __contains__(self, claim: object) -> bool:
        owner, _ = self.owners.get(cast("Claim", claim), (self.goal, ""))
        return owner != self.goal


def _refusal(claim: Claim, owner: str) -> str:
    kind, what = claim
    return f"the {kind} {what} is {owner}'s here; give one of the two another, or run them on different servers"


def claims_of_spec(spec: Spec) -> frozenset[Claim]:
    """What a goal is going to have here."""
    return frozenset(_claims(spec.desired.addresses, (file.spec.target for file in spec.files), spec.desired.units))


def claims_of_footprint(footprint: Footprint) -> frozenset[Claim]:
    """What a goal has here, or may have."""
    return frozenset(_claims(footprint.addresses, footprint.files, footprint.units))


def footprint_without(footprint: Footprint, claims: Container[Claim]) -> Footprint:
    """A footprint without what other services claim."""
    return replace(
        footprint,
        files=frozenset(target for target in footprint.files if ("file", target) not in claims),
        applied={target: digest for target, digest in footprint.applied.items() if ("file", target) not in claims},
        addresses=frozenset(placed for placed in footprint.addresses if _address(placed) not in claims),
        units=tuple(unit for unit in footprint.units if ("unit", unit.name) not in claims),
    )


def desired_without(desired: Desired, claims: Container[Claim]) -> Desired:
    """What is desired without what other services claim: a standby service touches nothing of an active one."""
    files = desired.files
    return replace(
        desired,
        files=None if files is None else tuple(file for file in files if ("file", file.target) not in claims),
        addresses=tuple(placed for placed in desired.addresses if _address(placed) not in claims),
        units=tuple(unit for unit in desired.units if ("unit", unit.name) not in claims),
    )


def _claims(addresses: Iterable[Placed], targets: Iterable[str], units: Iterable[DesiredUnit]) -> Iterable[Claim]:
    yield from map(_address, addresses)
    yield from (("file", target) for target in targets)
    yield from (("unit", unit.name) for unit in units if _is_exclusive(unit))


def _address(placed: Placed) -> Claim:
    return "address", str(placed.address.ip)


def _is_exclusive(unit: DesiredUnit) -> bool:
    return unit.enter in {UnitAction.START, UnitAction.STOP} or unit.removed is UnitAction.STOP


class _Unmeasured:
    """The meter of an agent without metrics."""

    def acted(self, step: str, took_s: float, outcome: str) -> None:
        """Nothing is kept."""

    def searched(self) -> None:
        """Nothing is kept."""

    def confirmed(self, age_s: float) -> None:
        """Nothing is kept."""

    def check_failed(self, service: str, check: str) -> None:
        """Nothing is kept."""

    def stand(self, reason: Health) -> None:
        """Nothing is kept."""

    def will_send(self, what: str) -> None:
        """Nothing is kept."""

    def sent(self, what: str, outcome: str) -> None:
        """Nothing is kept."""


UNMEASURED: Final[Meter] = _Unmeasured()


@dataclass(frozen=True, slots=True)
class Host:
    """The ports of one server, what its configuration allows, and the claims; `probing`: probes are sent at all."""

    guards: Guards
    probing: bool
    sets: TemplateSets
    renderer: Renderer
    files: Files
    addresses: Addresses
    wire: Wire
    units: Units
    commands: Commands
    probes: Probes
    ledger: Ledger
    heartbeats: HeartbeatRecord
    meter: Meter = UNMEASURED
    claims: Claims = field(default_factory=Claims)


def sets_of(host: Host) -> Callable[[str], SetFacts | None]:
    """The facts of a template set of this host by its name, None while it cannot be read."""

    def facts(name: str) -> SetFacts | None:
        try:
            found = host.sets.get(name)
        except Exception:  # noqa: BLE001 - also for a defect: the worker of the service meets it again and reports it
            return None
        return SetFacts(found.scope, found.reads_services)

    return facts
