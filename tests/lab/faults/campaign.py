"""The campaign: each kind on a rig of its own, round by round, observed from outside."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from subprocess import SubprocessError
from typing import Final

import ldap

from tests.lab.deadline import until
from tests.lab.faults.kind import Kind
from tests.lab.faults.observer import Observer
from tests.lab.faults.rig import Rig
from tests.lab.faults.verdict import Excuse, Observation, Outcome, Result, Terms, judged
from tests.lab.hosts.stage import Stage
from tests.lab.interrupts import Interrupts
from tests.lab.timeline import Claim

__all__ = ["Campaign", "Case", "cases"]

_REST_S: Final = {1: 10.0, 2: 80.0}
"""How long servers may take to come to rest beyond a lease.

Of two providers, one whose state was newer than that of its peer after a crash asks that again only after a minute.
"""
_QUIET_S: Final = 0.3
_EXPECTED: Final = (AssertionError, OSError, RuntimeError, SubprocessError, ldap.LDAPError)
"""What waiting, programs and directories raise when something does not come about."""
_WORDS: Final = 1500
_LINES, _WIDTH = 6, 240
_LATE_NS: Final = 20_000_000  # what is on its way when the disturbance has been undone


@dataclass(frozen=True, slots=True)
class Case:
    """A kind with one isolation and one number of providers."""

    kind: type[Kind]
    isolation: str
    providers: int

    @property
    def title(self) -> str:
        more = "s" * (self.providers > 1)
        return f"{self.kind.name}, {self.isolation}, {self.providers} provider{more}: {self.kind.what}"


def cases(kinds: Sequence[type[Kind]], isolations: Sequence[str], providers: Sequence[int]) -> Iterator[Case]:
    """All that are asked for and make a difference."""
    for kind in kinds:
        for number in (each for each in kind.providers if each in providers):
            yield from (Case(kind, each, number) for each in kind.isolations if each in isolations)


@dataclass(slots=True)
class Campaign:
    """Runs cases; `tell` says what happens."""

    rounds: int
    lease_s: float
    seed: int
    interrupts: Interrupts
    tell: Callable[[str], None]

    def result(self, case: Case) -> Result:
        """All rounds of a case; one that does not recover leaves the rest out. Without a rig there is none."""
        kind, outcomes = case.kind, list[Outcome]()
        terms = Terms(self.lease_s, kind.double_ms(case.isolation, case.providers))
        self.tell(case.title)
        try:
            for outcome in self._outcomes(case):
                outcomes.append(outcome)
                self._report(len(outcomes), outcome, terms)
        except _EXPECTED as error:
            self.tell(f"    NOT GOOD: there is no rig: {shortened(str(error))}")
        return Result(kind.name, case.isolation, case.providers, terms, outcomes)

    def _outcomes(self, case: Case) -> Iterator[Outcome]:
        kind = case.kind
        stage = Stage(kind.servers, lease_s=self.lease_s, providers=case.providers)
        with self.interrupts.around(stage), ExitStack() as stack:
            rig = Rig(stage, case.isolation, random.Random(f"{self.seed} {case.title}"))  # noqa: S311
            stage.tables = kind.prepare(rig, stack)
            rig.open(kind.facts, [name for name in kind.servers if name not in kind.spare])
            for number in range(1, self.rounds + 1):
                outcome = _round(kind, rig, number)
                yield outcome
                if outcome.recovery_ms is None:
                    break

    def _report(self, number: int, outcome: Outcome, terms: Terms) -> None:
        recovery = "never" if outcome.recovery_ms is None else f"{outcome.recovery_ms:.0f} ms"
        figures = f"no answer {outcome.outage_ms:.0f} ms, two at once {outcome.double_ms:.0f} ms, recovery {recovery}"
        self.tell(f"  round {number}: {figures}")
        for fault in outcome.faults(terms):
            self.tell(f"    NOT GOOD: {shortened(fault)}")


def shortened(text: str) -> str:
    """The first lines of some evidence, for a terminal."""
    return "\n      ".join(line[:_WIDTH] for line in text.splitlines()[:_LINES])


@dataclass(slots=True)
class _Notes:
    """What the one who disturbs notes of a round."""

    began_ns: int
    healed_ns: int = 0
    settled_ns: int | None = None
    lost: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    clean_ns: int = 0
    logs: str = ""

    def failed(self, what: str, rig: Rig) -> None:
        self.healed_ns = self.healed_ns or time.monotonic_ns()
        self.claims = (*self.claims, Claim(what, holds=False, found=rig.described()))
        self.logs = rig.stage.log_text()


def _round(kind: type[Kind], rig: Rig, number: int) -> Outcome:
    """Disturb, heal, wait for rest, and see whether orders and changes are followed still."""
    with Observer(rig.stage, rig.cut, kind.alone) as observer:
        notes = _Notes(time.monotonic_ns())
        with _caught(notes, rig):
            _play(kind(rig, number), notes)
        ended_ns = time.monotonic_ns()
    excuses: list[Excuse] = [(notes.began_ns, notes.clean_ns + _LATE_NS)] if kind.answers_twice else []
    return judged(
        Observation(
            probes=observer.probes,
            samples=observer.samples,
            began_ns=notes.began_ns,
            healed_ns=notes.healed_ns,
            settled_ns=notes.settled_ns,
            ended_ns=ended_ns,
            excuses=excuses,
            lost=notes.lost,
            claims=notes.claims,
            logs=notes.logs,
        )
    )


@contextmanager
def _caught(notes: _Notes, rig: Rig) -> Iterator[None]:
    """Whatever fails is a finding with its evidence, and the campaign goes on."""
    try:
        yield
    except _EXPECTED as error:
        notes.failed(f"{type(error).__name__} {str(error)[:_WORDS]}", rig)


def _play(kind: Kind, notes: _Notes) -> None:
    rig = kind.rig
    rig.watch_for(_QUIET_S)
    try:
        kind.disturb()
    finally:
        notes.healed_ns = time.monotonic_ns()
        kind.heal()
        notes.clean_ns = time.monotonic_ns()
    wanted = kind.ends_at()
    server = _rest(rig, wanted, notes.healed_ns)
    notes.settled_ns = time.monotonic_ns() if server else None
    if not server:
        notes.lost = (f"the order that {' or '.join(wanted)} serves",)
        notes.failed("did not come to rest", rig)
        return
    notes.claims = tuple(kind.claims())
    notes.lost = tuple(_lost(rig, server))
    rig.watch_for(_QUIET_S)


def _rest(rig: Rig, wanted: Sequence[str], healed_ns: int) -> str:
    """Where all is at rest, once the providers have replicated again."""
    try:
        return until(
            lambda: rig.has_met(healed_ns) and rig.settled_at(wanted), rig.lease_s + _REST_S[rig.stage.providers]
        )
    except AssertionError:
        return ""


def _lost(rig: Rig, server: str) -> Iterator[str]:
    """A change of the directory and a move, after all: what is not followed within a lease."""
    word = rig.write(at=server)
    if not rig.watch_for(rig.lease_s, lambda: rig.has_heard(server, word)):
        yield f"a change of the directory, at {server}: {rig.described()}"
    new = rig.other(server)
    rig.order(new)
    if not rig.watch_for(rig.lease_s, lambda: rig.settled_at([new])):
        yield f"a move from {server} to {new}: {rig.described()}"
