"""What a round has come to, and whether that is good. Pure; times in milliseconds unless their names say otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from tests.lab.faults.observer import INTERVAL_MS, Sample
from tests.lab.judgement import Probe, doubles, gaps_ns, outage_ns, runs_ns
from tests.lab.timeline import Claim

__all__ = ["HEALED_CUT_MS", "Excuse", "Observation", "Outcome", "Result", "Terms", "judged"]

HEALED_CUT_MS: Final = 100.0
"""For how long two may answer after the cable of a holder that kept serving is back, and another has taken over."""
_NOTICEABLE_NS: Final = 150_000_000
_JOINED_NS: Final = 20_000_000
_MS: Final = 1e-6

Excuse = tuple[int, int]
"""A time (from, to) in which the disturbance itself makes two answer, so that it proves nothing."""


@dataclass(frozen=True, slots=True)
class Observation:
    """All that was seen of one round: by the client, in the kernels, and by whoever disturbed it.

    `settled_ns` is None when the servers did not come to rest after the healing. `lost` are orders and changes of the
    directory that nobody followed. `logs` are the last words of the agents where something failed.
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
    """The figures of one round; `recovery_ms` is None when it did not recover, `logs` the last words of the agents."""

    outage_ms: float
    double_ms: float
    recovery_ms: float | None
    lost: Sequence[str]
    claims: Sequence[Claim]
    logs: str = ""

    def faults(self, terms: Terms) -> list[str]:
        """Why this round is not good; empty when it is."""
        found = [f"lost: {each}" for each in self.lost]
        if terms.double_ms is not None and self.double_ms > terms.double_ms:
            found.append(f"two at once for {self.double_ms:.0f} ms")
        if self.recovery_ms is None:
            found.append("did not recover")
        elif self.recovery_ms > terms.lease_s * 1000:
            found.append(f"recovered after {self.recovery_ms / 1000:.1f} s, the lease is {terms.lease_s:g} s")
        return found + [f"{each.text}: {each.seen}" for each in self.claims if not each.holds]


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


def judged(seen: Observation) -> Outcome:
    """The figures of a round from what was seen of it."""
    return Outcome(
        outage_ms=outage_ns(seen.probes, seen.began_ns, seen.ended_ns) * _MS,
        double_ms=max(end - begin for begin, end in (*_doubles(seen), (0, 0))) * _MS,
        recovery_ms=_recovery_ms(seen),
        lost=tuple(seen.lost),
        claims=tuple(seen.claims),
        logs=seen.logs,
    )


def _recovery_ms(seen: Observation) -> float | None:
    """From the healing until the client is answered without a gap, and by one server only."""
    if seen.settled_ns is None:
        return None
    gaps = gaps_ns(seen.probes, seen.healed_ns, seen.settled_ns, _NOTICEABLE_NS)
    troubles = [end for _, end in (*gaps, *_doubles(seen)) if end > seen.healed_ns]
    return max((end - seen.healed_ns for end in troubles), default=0) * _MS


def _doubles(seen: Observation) -> Sequence[tuple[int, int]]:
    """When two had the address or ran a unit that only one may run."""

    def counts(at: int) -> bool:
        return not any(begin <= at <= end for begin, end in seen.excuses)

    answered = [at for at in doubles(seen.probes) if counts(at)]
    spans = [(begin, end + int(INTERVAL_MS * 1e6)) for begin, end in runs_ns(answered, _JOINED_NS)]
    spans += _shared(seen.samples, lambda sample: [sample.holders], counts)
    return [*spans, *_shared(seen.samples, lambda sample: sample.running.values(), counts)]


def _shared(
    samples: Sequence[Sample], sets: Callable[[Sample], Iterable[frozenset[str]]], counts: Callable[[int], bool]
) -> list[tuple[int, int]]:
    """The times between looks into the kernels that follow each other and both show two servers.

    One look alone proves nothing: it takes one kernel after the other, and a move is quicker.
    """
    twice = [any(len(names) > 1 for names in sets(each)) and counts(each.at_ns) for each in samples]
    moments = zip(samples, twice, strict=True)
    pairs = [(one.at_ns, other.at_ns) for (one, was), (other, still) in pairwise(moments) if was and still]
    return _joined(pairs)


def _joined(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for begin, end in pairs:
        if spans and spans[-1][1] == begin:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((begin, end))
    return spans
