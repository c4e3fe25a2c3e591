"""What a round has come to, and whether that is good. Pure; times in milliseconds unless their names say otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.lab.faults.observer import INTERVAL_MS, Sample
from tests.lab.probers.judgement import Probe, doubles, gaps_ns, outage_ns, runs_ns
from tests.lab.timeline import Claim

__all__ = ["HEALED_CUT_MS", "Excuse", "Observation", "Outcome", "Result", "Terms", "judged"]

HEALED_CUT_MS: Final = 100.0
"""For how long two may answer after the cable of a holder that kept serving is back, and another has taken over."""
_NOTICEABLE_NS: Final = 150_000_000
_JOINED_NS: Final = 20_000_000
_LOOKS_APART_NS: Final = 30_000_000
_MS: Final = 1e-6

Excuse = tuple[int, int]
"""A time (from, to) in which the disturbance itself makes two answer, so that it proves nothing."""


@dataclass(frozen=True, slots=True)
class Observation:
    """All that was seen of one round: by the client, in the kernels, and by the fault itself.

    `settled_ns` is None when the servers did not come to rest after the healing. `lost` are orders and changes of the
    directory that no server followed. `logs` are the last words of the agents where something failed.
    """

    probes: Sequence[Probe]
    samples: Sequence[Sample]
    began_ns: int
    healed_ns: int
    settled_ns: int | None
    ended_ns: int
    excuses: Sequence[Excuse] = ()
    lost: Sequence[str] = ()
    claims: Sequence[Claim] = ()
    logs: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked of a kind: `double_ms` is how long two may answer, None where the figure is only shown."""

    lease_s: float
    double_ms: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The figures of one round; `recovery_ms` is None when it did not recover, `logs` the last words of the agents.

    `double_by` is who has seen the longest double: the client's frames, or the kernels.
    """

    outage_ms: float
    double_ms: float
    recovery_ms: float | None
    lost: Sequence[str]
    claims: Sequence[Claim]
    logs: str = ""
    double_by: str = ""

    def faults(self, terms: Terms) -> list[str]:
        """Why this round is not good; empty when it is."""
        found = [f"lost: {each}" for each in self.lost]
        if terms.double_ms is not None and self.double_ms > terms.double_ms:
            found.append(f"two at once for {self.double_ms:.0f} ms, by {self.double_by}")
        if self.recovery_ms is None:
            found.append("did not recover")
        elif self.recovery_ms > terms.lease_s * 1000:
            found.append(f"recovered after {self.recovery_ms / 1000:.1f} s, the lease is {terms.lease_s:g} s")
        return found + [f"{each.text}: {each.found}" for each in self.claims if not each.holds]


@dataclass(frozen=True, slots=True)
class Result:
    """A kind with one isolation and one number of providers, after all of its rounds."""

    kind: str
    isolation: str
    providers: int
    terms: Terms
    rounds: Sequence[Outcome]

    @property
    def faults(self) -> list[str]:
        """What was wrong in any round; empty when it is good."""
        each = [
            f"round {number}: {fault}" for number, one in enumerate(self.rounds, 1) for fault in one.faults(self.terms)
        ]
        return each or ([] if self.rounds else ["no round was done"])

    @property
    def outage_ms(self) -> float:
        return max((each.outage_ms for each in self.rounds), default=0.0)

    @property
    def double_ms(self) -> float:
        return max((each.double_ms for each in self.rounds), default=0.0)

    @property
    def recovery_ms(self) -> float | None:
        """The longest; None when a round did not recover."""
        known = [each.recovery_ms for each in self.rounds if each.recovery_ms is not None]
        return max(known, default=0.0) if len(known) == len(self.rounds) else None

    @property
    def lost(self) -> int:
        return sum(len(each.lost) for each in self.rounds)


def judged(observation: Observation) -> Outcome:
    """The figures of a round from what was seen of it."""
    longest = max(_doubles(observation), key=lambda each: each.end_ns - each.begin_ns, default=_Double(0, 0, ""))
    return Outcome(
        outage_ms=outage_ns(observation.probes, observation.began_ns, observation.ended_ns) * _MS,
        double_ms=(longest.end_ns - longest.begin_ns) * _MS,
        double_by=longest.seen_by,
        recovery_ms=_recovery_ms(observation),
        lost=tuple(observation.lost),
        claims=tuple(observation.claims),
        logs=observation.logs,
    )


def _recovery_ms(observation: Observation) -> float | None:
    """From the healing until the client is answered without a gap, and by one server only."""
    if observation.settled_ns is None:
        return None
    gaps = gaps_ns(observation.probes, observation.healed_ns, observation.settled_ns, _NOTICEABLE_NS)
    ends = [*(end for _, end in gaps), *(each.end_ns for each in _doubles(observation))]
    return max((end - observation.healed_ns for end in ends if end > observation.healed_ns), default=0) * _MS


@dataclass(frozen=True, slots=True)
class _Double:
    """A time in which two had the address, or ran a unit that only one may run."""

    begin_ns: int
    end_ns: int
    seen_by: str


def _doubles(observation: Observation) -> Sequence[_Double]:
    def counts(at: int) -> bool:
        return not any(begin <= at <= end for begin, end in observation.excuses)

    answered = runs_ns([at for at in doubles(observation.probes) if counts(at)], _JOINED_NS)
    return [
        *(_Double(begin, end + int(INTERVAL_MS * 1e6), "frames to both") for begin, end in answered),
        *(_Double(*span, "addresses in both kernels") for span in _shared(observation.samples, _holders, counts)),
        *(_Double(*span, "units that run on both") for span in _shared(observation.samples, _running, counts)),
    ]


def _holders(sample: Sample) -> Iterable[frozenset[str]]:
    return [sample.holders]


def _running(sample: Sample) -> Iterable[frozenset[str]]:
    return sample.running.values()


def _shared(
    samples: Sequence[Sample], sets: Callable[[Sample], Iterable[frozenset[str]]], counts: Callable[[int], bool]
) -> Sequence[Excuse]:
    """The times between looks into the kernels that follow each other and both show two servers.

    One look alone proves nothing: it takes one kernel after the other, and a move is quicker.
    """
    twice = [each.at_ns for each in samples if any(len(names) > 1 for names in sets(each)) and counts(each.at_ns)]
    return [span for span in runs_ns(twice, _LOOKS_APART_NS) if span[0] != span[1]]
