"""What probes say about a move, as pure functions. Every time is CLOCK_MONOTONIC in nanoseconds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

__all__ = [
    "Probe",
    "doubles",
    "first_answer",
    "gaps_ns",
    "holding",
    "outage_ns",
    "overlap_ns",
    "read_probes",
    "runs_ns",
    "written",
]


@dataclass(frozen=True, slots=True)
class Probe:
    """One question and who answered it, None for no host; `asked` is empty when it went where the client's neighbour
    table says, else the host whose MAC it was sent to."""

    sent_ns: int
    asked: str = ""
    host: str | None = None
    answered_ns: int | None = None


def written(probes: Iterable[Probe]) -> str:
    """Probes as JSON lines."""
    return "".join(json.dumps([p.sent_ns, p.asked, p.host, p.answered_ns]) + "\n" for p in probes)


def read_probes(path: Path) -> list[Probe]:
    """The probes of a file of JSON lines."""
    return [Probe(*json.loads(line)) for line in path.read_text().splitlines()]


def first_answer(probes: Iterable[Probe], host: str, after_ns: int) -> Probe | None:
    """The first answer of a host to a probe of the client that was sent after a moment."""
    mine = (p for p in probes if not p.asked and p.host == host and p.sent_ns >= after_ns and p.answered_ns)
    return min(mine, key=lambda probe: probe.answered_ns or 0, default=None)


def outage_ns(probes: Iterable[Probe], start_ns: int, end_ns: int) -> int:
    """The longest time in a span in which the client got no answer; without any, the whole span."""
    answers = sorted(p.answered_ns for p in probes if not p.asked and p.answered_ns is not None)
    inside = [at for at in answers if start_ns <= at <= end_ns]
    return max(after - before for before, after in pairwise([start_ns, *inside, end_ns]))


def holding(probes: Iterable[Probe], host: str) -> Sequence[int]:
    """When a host proved that it had the address: the send times of the frames to its MAC that it answered."""
    return sorted(p.sent_ns for p in probes if p.asked == host and p.host == host)


def doubles(probes: Iterable[Probe], within_ns: int = 1_000_000) -> Sequence[int]:
    """When two hosts proved, within less than an interval of the probes, that both had the address: never, if all is
    well."""
    held = sorted((p.sent_ns, p.asked) for p in probes if p.asked and p.host == p.asked)
    return [at for (before, one), (at, other) in pairwise(held) if one != other and at - before < within_ns]


def runs_ns(moments: Iterable[int], apart_ns: int) -> Sequence[tuple[int, int]]:
    """Moments joined to spans (first, last): those of one span follow each other by at most `apart_ns`."""
    spans: list[tuple[int, int]] = []
    for at in sorted(moments):
        if spans and at - spans[-1][1] <= apart_ns:
            spans[-1] = (spans[-1][0], at)
        else:
            spans.append((at, at))
    return spans


def gaps_ns(probes: Iterable[Probe], start_ns: int, end_ns: int, least_ns: int) -> Sequence[tuple[int, int]]:
    """The times (begin, end) of a span in which the client got no answer for longer than `least_ns`."""
    answers = sorted(p.answered_ns for p in probes if not p.asked and p.answered_ns is not None)
    inside = [start_ns, *(at for at in answers if start_ns <= at <= end_ns), end_ns]
    return [(before, after) for before, after in pairwise(inside) if after - before > least_ns]


def overlap_ns(probes: Sequence[Probe], old: str, new: str, start_ns: int, end_ns: int) -> int | None:
    """For how long both hosts had the address in a span with one move; negative when for a time no host had it.

    None when one of the two never proved that it had it. It is as exact as the probes are far apart.
    """
    left = [at for at in holding(probes, old) if start_ns <= at <= end_ns]
    came = [at for at in holding(probes, new) if start_ns <= at <= end_ns]
    return left[-1] - came[0] if left and came else None
