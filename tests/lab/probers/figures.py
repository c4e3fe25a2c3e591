"""The figures of moves: of one, and of many together. Pure; every figure is in milliseconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Final

from tests.lab.probers.judgement import Probe, outage_ns, overlap_ns
from tests.lab.probers.trace import Steps

__all__ = ["ELSEWHERE", "STEPS", "Figures", "Summary", "as_json", "judged", "measured", "summaries", "summary"]

STEPS: Final = ("seen", "let go", "files", "probed", "raised", "unit", "modify")
_MS: Final = 1e-6
_BEFORE_NS: Final = 20_000_000
_AFTER_NS: Final = 150_000_000

ELSEWHERE: Final[Mapping[str, float]] = {
    "the address moved by hand over netlink": 0.7,
    "keepalived, priority lowered, an advertisement every 10 ms": 33,
    "vip-manager on etcd, interval 100 ms": 83,
    "Pacemaker, crm_resource --move": 245,
    "Heartbeat 3, hb_takeover": 1525,
    "keepalived, priority lowered, its default of 1 s": 3583,
}
"""Trigger to first answer of the new host, median, in the same kind of laboratory on another day: not measured here."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One move: when each step was done and each client got its first answer, after the command was started.

    `share` is the agent's own: from the change in its hands to the address raised, None where it had to wait for the
    wire in between. `outage` and `overlap` are judged from the probes once all are there; a negative overlap is a
    time in which no host had the address.
    """

    number: int
    old: str
    new: str
    sent_ns: int
    steps: Mapping[str, float | None]
    answers: Mapping[str, float | None]
    share: float | None
    outage: Mapping[str, float] = field(default_factory=dict)
    overlap: float | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """Many figures of one kind."""

    count: int
    median: float
    low: float
    high: float


def measured(
    number: int, route: tuple[str, str], sent_ns: int, accepted_ns: int, steps: Steps, answers: Mapping[str, int | None]
) -> Figures:
    """The figures of a move from its moments."""

    def after(moment_ns: int | None) -> float | None:
        return None if moment_ns is None else (moment_ns - sent_ns) * _MS

    moments = (
        steps.seen_ns,
        steps.dropped_ns,
        steps.written_ns,
        steps.probed_ns,
        steps.raised_ns,
        steps.started_ns,
        accepted_ns,
    )
    share = None
    if steps.probed_ns is None and steps.seen_ns is not None and steps.raised_ns is not None:
        share = (steps.raised_ns - steps.seen_ns) * _MS
    return Figures(
        number,
        *route,
        sent_ns,
        steps=dict(zip(STEPS, map(after, moments), strict=True)),
        answers={client: after(moment) for client, moment in answers.items()},
        share=share,
    )


def judged(figures: Figures, probes: Mapping[str, Sequence[Probe]]) -> Figures:
    """The figures with what the probes of each client say about the time around the move."""
    last = max((answer for answer in figures.answers.values() if answer is not None), default=0.0)
    start, end = figures.sent_ns - _BEFORE_NS, figures.sent_ns + int(last / _MS) + _AFTER_NS
    near = {client: [p for p in each if start <= p.sent_ns <= end] for client, each in probes.items()}
    outage = {client: outage_ns(each, start, end) * _MS for client, each in near.items()}
    overlaps = [overlap_ns(each, figures.old, figures.new, start, end) for each in near.values()]
    known = [each * _MS for each in overlaps if each is not None]
    return replace(figures, outage=outage, overlap=max(known, default=None))


def summaries(moves: Iterable[Figures]) -> dict[str, Summary]:
    """Every kind of figure summed up, by its name."""
    collected: dict[str, list[float]] = {}
    for move in moves:
        for name, value in _named(move):
            if value is not None:
                collected.setdefault(name, []).append(value)
    return {name: summary(values) for name, values in collected.items()}


def summary(values: Sequence[float]) -> Summary:
    """At least one figure of a kind summed up."""
    return Summary(len(values), median(values), min(values), max(values))


def _named(move: Figures) -> Iterable[tuple[str, float | None]]:
    yield from ((f"first answer, {client}", value) for client, value in move.answers.items())
    yield from ((f"outage, {client}", value) for client, value in move.outage.items())
    yield "both hold the address (negative: none)", move.overlap
    yield "agent: change received to address raised", move.share


def as_json(moves: Sequence[Figures]) -> dict[str, object]:
    """Moves and their summaries as plain JSON values."""
    return {
        "summaries": {name: asdict(summary) for name, summary in summaries(moves).items()},
        "moves": [asdict(move) for move in moves],
    }
