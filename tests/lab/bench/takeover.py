"""`./dev bench takeover`: the holder of a service is off, cut off or hung; how soon does the next server answer?

Two servers take turns: in each round the one that serves fails in the way of the series and the other is linked, by
plain `ldapmodify`; then the failed one returns and the round is over when it has found its place. The client asks once
a millisecond.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console

from tests.lab.bench.takeover_tables import table
from tests.lab.deadline import until
from tests.lab.hosts.stage import Stage
from tests.lab.interrupts import INTERRUPTED, Interrupts
from tests.lab.machine import machine
from tests.lab.probers.figures import summary
from tests.lab.probers.judgement import Probe, doubles, holding
from tests.lab.probers.watch import Watch
from tests.lab.slapd.ldif import fence_ldif, link_ldif, server_dn
from tests.lab.slapd.reading import attributes, heartbeat_ns, links, state

__all__ = ["SERIES", "add_arguments", "run"]

ANSWER: Final = "trigger to first answer"
SILENCE: Final = "last heartbeat to first answer"
GONE: Final = "last heartbeat to address gone"
NOBODY: Final = "address gone to first answer"

_SERVICE: Final = "web"
_READY_S: Final = 20.0
_SLACK_S: Final = 20.0
Limit = Callable[[float], float] | None


def _fenced(stage: Stage, old: str, new: str) -> int:
    """Its machine is off, and its power-off is written together with the link."""
    stage.lan[old].cut()
    return _modify(stage, link_ldif(_SERVICE, new) + "\n" + fence_ldif(old))


def _dead(stage: Stage, old: str, new: str) -> int:
    """Its machine has just gone, and nothing more is known."""
    stage.lan[old].cut()
    return _modify(stage, link_ldif(_SERVICE, new))


def _long_dead(stage: Stage, old: str, new: str) -> int:
    """Its machine has been gone for longer than its lease when the trigger comes."""
    stage.lan[old].cut()
    until(lambda: time.monotonic_ns() > heartbeat_ns(stage.slapd, old) + stage.lease_s * 1e9, stage.lease_s + _SLACK_S)
    return _modify(stage, link_ldif(_SERVICE, new))


def _hung(stage: Stage, old: str, new: str) -> int:
    """Its agent does nothing any more, its machine goes on."""
    stage.nodes[old].pause()
    return _modify(stage, link_ldif(_SERVICE, new))


def _modify(stage: Stage, ldif: str) -> int:
    sent_ns = time.monotonic_ns()
    stage.slapd.modify(ldif)
    return sent_ns


def _at_once(_: float) -> float:
    return 50.0


def _soon(_: float) -> float:
    return 500.0


def _lease_and_a_second(lease_s: float) -> float:
    return (lease_s + 1) * 1000


@dataclass(frozen=True, slots=True)
class Series:
    """One way to fail, until the trigger has been sent.

    `figures` with their upper limits in ms, given the lease in s.
    """

    title: str
    isolation: str
    fail: Callable[[Stage, str, str], int]
    figures: Mapping[str, Limit]

    def targets(self, lease_s: float) -> Mapping[str, float]:
        """The figures that have an upper limit."""
        return {name: limit(lease_s) for name, limit in self.figures.items() if limit is not None}


SERIES: Final = {
    "fenced": Series("off and fenced", "keep", _fenced, {ANSWER: _at_once}),
    "dead": Series("dead, linked at once", "keep", _dead, {SILENCE: _lease_and_a_second}),
    "long-dead": Series("dead, linked later", "keep", _long_dead, {ANSWER: _soon}),
    "hung": Series("agent hangs, release", "release", _hung, {GONE: _lease_and_a_second, NOBODY: None, SILENCE: None}),
}


@dataclass(slots=True)
class Result:
    """What a series has come to: the figures of each round in ms, and how often two servers answered at once."""

    series: Series
    rounds: list[Mapping[str, float]] = field(default_factory=list)
    doubles: int = 0

    def as_json(self, lease_s: float) -> dict[str, object]:
        collected = {name: [each[name] for each in self.rounds] for name in self.series.figures}
        return {
            "title": self.series.title,
            "targets": self.series.targets(lease_s),
            "doubles": self.doubles,
            "summaries": {name: asdict(summary(values)) for name, values in collected.items()},
            "rounds": self.rounds,
        }

    def is_good(self, lease_s: float) -> bool:
        """Whether every round has kept to the targets, and no two servers have ever answered at once."""
        targets = self.series.targets(lease_s)
        return not self.doubles and all(each[name] <= most for each in self.rounds for name, most in targets.items())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("--rounds", type=int, default=5, help="of each series [5]")
    parser.add_argument("--lease", type=float, default=10.0, metavar="S", help="the lease of the agents [10]")
    parser.add_argument("--series", nargs="+", choices=SERIES, default=list(SERIES), help="only these")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure to a file")


def run(chosen: argparse.Namespace) -> int:
    """Measure and print; the exit code is 0, 1 when a target is missed, or 130 when interrupted."""
    console = Console()
    interrupts = Interrupts()
    interrupts.begin()
    results = {name: Result(SERIES[name]) for name in chosen.series}
    before = os.getloadavg()
    try:
        for isolation in ("keep", "release"):
            _measure(chosen, [each for each in results.values() if each.series.isolation == isolation], interrupts)
    except KeyboardInterrupt:
        console.print("interrupted; everything is removed")
        return INTERRUPTED
    document = {
        "unit": "milliseconds",
        "machine": machine(before),
        "lease_s": chosen.lease,
        "rounds": chosen.rounds,
        "series": {name: result.as_json(chosen.lease) for name, result in results.items()},
    }
    console.print(table(document))
    if chosen.json:
        chosen.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if all(result.is_good(chosen.lease) for result in results.values()) else 1


def _measure(chosen: argparse.Namespace, results: list[Result], interrupts: Interrupts) -> None:
    """All rounds of the series that share a kind of isolation, on one stage."""
    if not results:
        return
    print("building two servers, a client and a directory", flush=True)
    with interrupts.around(Stage(lease_s=chosen.lease)) as stage:
        stage.opens(_SERVICE, relocIsolation=results[0].series.isolation)
        _await_lease(stage, stage.names[-1])
        for result in results:
            for number in range(chosen.rounds):
                print(f"{result.series.title}, round {number + 1}", flush=True)
                _round(stage, result)


def _round(stage: Stage, result: Result) -> None:
    """Fail, be succeeded, return."""
    old = state(stage.slapd, _SERVICE).holder
    new = next(name for name in stage.names if name != old)
    with stage.watch() as watch:
        _await(stage, watch, old, _READY_S)
        sent_ns = result.series.fail(stage, old, new)
        answered_ns = _await(stage, watch, new, 2 * stage.lease_s + _SLACK_S)
    beat_ns = heartbeat_ns(stage.slapd, old)
    result.rounds.append(_figures(watch.probes, old, sent_ns, beat_ns, answered_ns))
    result.doubles += len(doubles(watch.probes))
    _return(stage, old, new, hung=result.series.fail is _hung)


def _await(stage: Stage, watch: Watch, server: str, timeout_s: float) -> int:
    """When a server answered the client first."""
    change = watch.until(server, timeout_s)
    if change is None:
        raise TimeoutError(f"{server} did not answer within {timeout_s:g} s\n{stage.log_text()}")
    return change.answered_ns


def _figures(probes: list[Probe], old: str, sent_ns: int, beat_ns: int, answered_ns: int) -> Mapping[str, float]:
    """All figures of a round; one that is cut off has its address for the client no longer."""
    gone_ns = holding(probes, old)[-1]
    moments = {
        ANSWER: (sent_ns, answered_ns),
        SILENCE: (beat_ns, answered_ns),
        GONE: (beat_ns, gone_ns),
        NOBODY: (gone_ns, answered_ns),
    }
    return {name: (after - before) / 1e6 for name, (before, after) in moments.items()}


def _return(stage: Stage, old: str, new: str, *, hung: bool) -> None:
    """The failed server is back, has let go, is not fenced any more and was heard of for a lease."""
    if hung:
        stage.nodes[old].resume()
    else:
        stage.lan[old].heal()
    until(lambda: stage.holders() == [new] and not stage.service_status(old, _SERVICE), _SLACK_S)
    until(lambda: not links(stage.slapd, old) and not state(stage.slapd, _SERVICE).previous, _SLACK_S)
    until(lambda: "relocFenced" not in attributes(stage.slapd, server_dn(old)), _SLACK_S)
    _await_lease(stage, old)


def _await_lease(stage: Stage, server: str) -> None:
    """Wait until a server was heard of for a lease: before that it may find a holder dead up to a lease later."""
    heard_ns = time.monotonic_ns() + stage.lease_s * 1e9
    until(lambda: heartbeat_ns(stage.slapd, server) > heard_ns, stage.lease_s + _SLACK_S)
