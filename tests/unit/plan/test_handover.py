"""The rules R1 to R9 as a table: what a server sees, how it stands itself, and the step that follows, with its reason.

That they keep what they promise when many servers follow them is for `tests/simulation`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relocd.model.entries import EntryUUID
from relocd.plan.handover import next_step, watched
from relocd.plan.sight import Choice, GivesWay, Here, Life, Sight, State

NAMES = ME, TWIN, THIRD = tuple(map(EntryUUID, ("me", "twin", "third")))

READY = Here(active=False, up=False, ready=True, steady=True)
UNREADY = replace(READY, ready=False)
SETTLED = replace(READY, settled=True)
LEFT_UP = replace(READY, up=True)
SERVING = Here(active=True, up=True, ready=False, steady=True)
IDLE = Here(active=False, up=False, ready=False, steady=True)
SHAKY = replace(IDLE, steady=False)
FAILED = replace(IDLE, failed=True, sulks=True)
SULKING = replace(READY, sulks=True)
WAITED = replace(SETTLED, waited=True)
DRAINED, DISPLACED, FENCED = (replace(SERVING, gives_way=way) for way in GivesWay)
GONE = replace(FENCED, active=False, up=False)


def state(holder=None, candidate=None, previous=None):
    return State(holder, candidate, previous, 7)


@dataclass(frozen=True)
class Case:
    """What a server sees; the other servers are alive unless they are `silent` or `dead`. All by their names."""

    state: State | None
    here: Here
    direct: str = ""
    by_cluster: str = ""
    standby: str = ""
    silent: str = ""
    dead: str = ""

    @property
    def sight(self):
        links = (frozenset(map(EntryUUID, names.split())) for names in (self.direct, self.by_cluster, self.standby))
        lives = {name: self._life(name) for name in NAMES[1:]}
        return Sight(ME, self.state, Choice(*links), lives)

    def _life(self, name):
        return Life.DEAD if name in self.dead else Life.SILENT if name in self.silent else Life.ALIVE


def shown(step):
    """A step as text: what it does, to whom, and why."""
    to = getattr(step, "to", getattr(step, "server", getattr(step, "generation", "")))
    return f"{type(step).__name__} {to}".strip() + f": {step.reason}"


VACANT, MINE, THEIRS = state(), state(ME), state(TWIN)
ASKED = state(ME, TWIN)

TABLE = {
    "R1 no holder: ask": (Case(VACANT, READY, "me twin"), "BecomeCandidate: no holder"),
    "R1 by a cluster": (Case(VACANT, READY, by_cluster="me", standby="twin"), "BecomeCandidate: no holder"),
    "R1 another asks": (Case(state(None, TWIN), READY, "me twin"), "Keep: another candidate waits"),
    "R1 another asked and is silent": (
        Case(state(None, TWIN), READY, "me twin", silent="twin"),
        "BecomeCandidate: no holder",
    ),
    "R1 settling": (Case(state(None, ME), READY, "me"), "Keep: candidate: settling before the takeover"),
    "R1 settled: swap in": (Case(state(None, ME), SETTLED, "me"), "SwapIn: no holder"),
    "R1 has failed here before": (Case(state(None, ME), replace(SETTLED, sulks=True), "me"), "SwapIn: no holder"),
    "R1 another asks for a lease and does not act": (
        Case(state(None, TWIN), WAITED, "me twin"),
        "BecomeCandidate: no holder, and the candidate does not take it",
    ),
    "R1 not ready": (Case(VACANT, UNREADY, "me"), "Keep: not ready"),
    "R1 not chosen": (Case(VACANT, READY, "twin"), "Keep: not chosen"),
    "R1 standing by": (Case(VACANT, READY, standby="me twin"), "Keep: not chosen"),
    "R1 displaced": (Case(VACANT, replace(READY, gives_way=GivesWay.DISPLACED), "me"), "Keep: displaced"),
    "R1 left up by an earlier run: ask before it is stopped": (
        Case(VACANT, LEFT_UP, "me"),
        "BecomeCandidate: no holder",
    ),
    "R2 ready": (Case(THEIRS, READY, "me twin"), "BecomeCandidate: ready to take over"),
    "R2 not ready": (Case(THEIRS, UNREADY, "me twin"), "Keep: not ready"),
    "R2 another candidate waits": (Case(state(TWIN, THIRD), READY, "me twin third"), "Keep: another candidate waits"),
    "R2 the candidate is silent": (
        Case(state(TWIN, THIRD), READY, "me twin third", silent="third"),
        "BecomeCandidate: ready to take over",
    ),
    "R2 the candidate is not chosen": (
        Case(state(TWIN, THIRD), READY, "me twin"),
        "BecomeCandidate: ready to take over",
    ),
    "R2 the candidate is by a cluster, I am direct": (
        Case(state(TWIN, THIRD), READY, "me", by_cluster="third"),
        "BecomeCandidate: ready to take over",
    ),
    "R2 the candidate is direct, I am by a cluster": (
        Case(state(TWIN, THIRD), READY, "third", by_cluster="me"),
        "Keep: another candidate waits",
    ),
    "R2 I am previous": (
        Case(state(TWIN, None, ME), READY, "me twin"),
        "Keep: the previous holder waits for the new one",
    ),
    "R2 waiting": (Case(state(TWIN, ME), SETTLED, "me twin"), "Keep: candidate: the holder will let go"),
    "R2 not ready any more": (Case(state(TWIN, ME), UNREADY, "me twin"), "Withdraw: not ready"),
    "R2 not chosen any more": (Case(state(TWIN, ME), READY, "twin"), "Withdraw: not chosen"),
    "R2 failed here": (Case(THEIRS, SULKING, "me twin"), "Keep: failed here, and nothing has changed"),
    "R2 failed here, and candidate": (Case(state(TWIN, ME), SULKING, "me twin"), "Withdraw: failed here"),
    "R2 withdraws where there is no holder either": (Case(state(None, ME), UNREADY, "me"), "Withdraw: not ready"),
    "R2 a candidate that is the holder is none": (
        Case(state(TWIN, TWIN), READY, "me twin"),
        "BecomeCandidate: ready to take over",
    ),
    "R2 a cluster's, and a candidate that is the holder": (
        Case(state(TWIN, TWIN), READY, "twin", by_cluster="me"),
        "BecomeCandidate: ready to take over",
    ),
    "R2 waiting for a lease: the holder's provider may not know": (
        Case(state(TWIN, ME), WAITED, "me twin"),
        "BecomeCandidate: still ready to take over: the holder's provider may not have been told",
    ),
    "R2 previous for a lease: the holder's provider may know otherwise": (
        Case(state(TWIN, None, ME), WAITED, "me twin"),
        "BecomeCandidate: ready to take over",
    ),
    "R2 another candidate waits for a lease": (
        Case(state(TWIN, THIRD), WAITED, "me twin third"),
        "Keep: another candidate waits",
    ),
    "R3 hand over": (Case(ASKED, SERVING, "me twin"), "HandOver twin: a candidate is ready"),
    "R3 a candidate that is not chosen and has not withdrawn for a lease": (
        Case(ASKED, replace(SERVING, waited=True), "me"),
        "ClearCandidate: the candidate is not chosen, and has not withdrawn",
    ),
    "R3 a candidate that is chosen may wait": (
        Case(ASKED, replace(SERVING, waited=True), "me", by_cluster="twin"),
        "Keep: holds and serves",
    ),
    "R3 the candidate is silent": (Case(ASKED, SERVING, "me twin", silent="twin"), "Keep: holds and serves"),
    "R3 the candidate is not chosen": (Case(ASKED, SERVING, "me"), "Keep: holds and serves"),
    "R3 a direct holder does not yield to a cluster's": (
        Case(ASKED, SERVING, "me", by_cluster="twin"),
        "Keep: holds and serves",
    ),
    "R3 a cluster's holder yields to a direct one": (
        Case(ASKED, SERVING, "twin", by_cluster="me"),
        "HandOver twin: a candidate is ready",
    ),
    "R3 nobody asks": (Case(MINE, SERVING, "me twin"), "Keep: holds and serves"),
    "R4 activate": (Case(MINE, IDLE, "me"), "Activate 7: is the holder"),
    "R4 a candidate waits until it has been tried": (Case(ASKED, IDLE, "me twin"), "Activate 7: is the holder"),
    "R4 unsteady": (Case(MINE, SHAKY, "me"), "Keep: waits until its own heartbeat is steady again"),
    "R4 the previous one's link goes first": (
        Case(state(ME, None, TWIN), SERVING, "me twin"),
        "DeleteLink twin: the service runs here now",
    ),
    "R4 then the previous one": (
        Case(state(ME, None, TWIN), SERVING, "me"),
        "ClearPrevious twin: the service runs here now",
    ),
    "R4 a previous one by a cluster has no link to delete": (
        Case(state(ME, None, TWIN), SERVING, "me", by_cluster="twin"),
        "ClearPrevious twin: the service runs here now",
    ),
    "R4 before anybody else gets it": (
        Case(state(ME, THIRD, TWIN), SERVING, "me twin third"),
        "DeleteLink twin: the service runs here now",
    ),
    "R4 a previous one that is me": (
        Case(state(ME, None, ME), SERVING, "me"),
        "ClearPrevious me: the service runs here now",
    ),
    "unsteady: serves on and does not hand over": (
        Case(ASKED, replace(SERVING, steady=False), "me twin"),
        "Keep: waits until its own heartbeat is steady again",
    ),
    "unsteady: does not give back": (
        Case(state(ME, None, TWIN), replace(FAILED, steady=False), "me twin"),
        "Keep: waits until its own heartbeat is steady again",
    ),
    "unsteady: does not let go": (
        Case(MINE, replace(SERVING, steady=False)),
        "Keep: waits until its own heartbeat is steady again",
    ),
    "unsteady and fenced: stops": (Case(MINE, replace(FENCED, steady=False), "me twin"), "Stop: fenced here"),
    "unsteady and fenced, stopped, candidate: does not step down yet": (
        Case(state(ME, ME), replace(GONE, steady=False, settled=True), "me twin"),
        "Keep: waits until its own heartbeat is steady again",
    ),
    "fenced and stopped: asks, as others do that take it for dead": (
        Case(MINE, GONE, "me twin"),
        "BecomeCandidate: fenced here: about to step down",
    ),
    "fenced, settling": (Case(state(ME, ME), GONE, "me twin"), "Keep: fenced here: settling before it steps down"),
    "fenced, settled": (Case(state(ME, ME), replace(GONE, settled=True), "me twin"), "StepDown: fenced here"),
    "fenced, and another takes over": (Case(ASKED, GONE, "me twin"), "Keep: fenced here: the candidate takes over"),
    "fenced, and the candidate is silent": (
        Case(ASKED, GONE, "me twin", silent="twin"),
        "BecomeCandidate: fenced here: about to step down",
    ),
    "R5 give back": (
        Case(state(ME, None, TWIN), FAILED, "me twin"),
        "GiveBack twin: it could not be activated here",
    ),
    "R5 give back to a member that stands by": (
        Case(state(ME, None, TWIN), FAILED, by_cluster="me", standby="twin"),
        "GiveBack twin: it could not be activated here",
    ),
    "R5 the previous one's link is gone": (
        Case(state(ME, None, TWIN), FAILED, "me"),
        "Activate 7: could not be activated, and nobody else can take it: trying again",
    ),
    "R5 the previous one is silent, a candidate waits": (
        Case(state(ME, THIRD, TWIN), FAILED, "me twin third", silent="twin"),
        "Activate 7: could not be activated, and nobody else can take it: trying again",
    ),
    "R5 the previous one is dead, a candidate waits": (
        Case(state(ME, THIRD, TWIN), FAILED, "me twin third", dead="twin"),
        "HandOver third: it could not be activated here, and a candidate is ready",
    ),
    "R5 a candidate alone": (
        Case(ASKED, FAILED, "me twin"),
        "HandOver twin: it could not be activated here, and a candidate is ready",
    ),
    "R5 a candidate by a cluster, too": (
        Case(ASKED, FAILED, "me", by_cluster="twin"),
        "HandOver twin: it could not be activated here, and a candidate is ready",
    ),
    "R5 nobody else": (
        Case(MINE, FAILED, "me"),
        "Activate 7: could not be activated, and nobody else can take it: trying again",
    ),
    "R6 the previous one waits": (
        Case(state(ME, None, TWIN), SERVING, "twin"),
        "GiveBack twin: not chosen any more, and the previous holder waits",
    ),
    "R6 the previous one only stands by": (
        Case(state(ME, None, TWIN), SERVING, "third", standby="twin"),
        "Keep: not chosen any more, but keeps serving until another is ready",
    ),
    "R6 a candidate waits": (
        Case(ASKED, SERVING, "twin"),
        "HandOver twin: not chosen any more, and a candidate is ready",
    ),
    "R6 another is chosen and not ready": (
        Case(MINE, SERVING, "twin"),
        "Keep: not chosen any more, but keeps serving until another is ready",
    ),
    "R6 another is chosen and not ready, and it does not run": (
        Case(MINE, IDLE, "twin"),
        "Activate 7: not chosen any more, but no other is ready",
    ),
    "R6 the same, unsteady": (
        Case(MINE, SHAKY, "twin"),
        "Keep: not chosen any more, but keeps serving until another is ready",
    ),
    "R6 nobody is chosen": (Case(MINE, SERVING), "LetGo: nobody is chosen any more"),
    "R6 nobody is chosen, the others stand by": (
        Case(state(ME, None, TWIN), SERVING, standby="me twin"),
        "LetGo: nobody is chosen any more",
    ),
    "R6 drained, a candidate waits": (
        Case(ASKED, DRAINED, "me twin"),
        "HandOver twin: drained, and a candidate is ready",
    ),
    "R6 drained, the other is not ready": (
        Case(MINE, DRAINED, "me twin"),
        "Keep: drained, but keeps serving until another is ready",
    ),
    "R6 drained, nobody else": (Case(MINE, DRAINED, "me"), "StepDown: drained, and nobody else may run it"),
    "R6 displaced": (Case(ASKED, DISPLACED, "me twin"), "StepDown: displaced here"),
    "R6 fenced": (Case(MINE, FENCED, "me twin"), "Stop: fenced here"),
    "R7 another is the holder": (Case(THEIRS, LEFT_UP, "me twin"), "Stop: another server is the holder"),
    "R7 a dead one, too": (Case(THEIRS, LEFT_UP, "me", dead="twin"), "Stop: another server is the holder"),
    "R7 nobody is, and I am not chosen": (Case(VACANT, LEFT_UP, "twin"), "Stop: no holder, and not chosen"),
    "R7 unknown is not 'not holder'": (Case(None, LEFT_UP, "me"), "Keep: the state is unknown"),
    "R7 the lease is over": (
        Case(MINE, replace(SERVING, expired=True), "me"),
        "Stop: its own lease has run out",
    ),
    "R7 the lease is over, and the state is unknown": (
        Case(None, replace(SERVING, expired=True)),
        "Stop: its own lease has run out",
    ),
    "R8 the holder is dead": (Case(THEIRS, READY, "me twin", dead="twin"), "BecomeCandidate: the holder is dead"),
    "R8 it is only silent": (
        Case(state(TWIN, ME), SETTLED, "me", silent="twin"),
        "Keep: candidate: the holder will let go",
    ),
    "R8 settling": (
        Case(state(TWIN, ME), READY, "me twin", dead="twin"),
        "Keep: candidate: settling before the takeover",
    ),
    "R8 its link goes first": (
        Case(state(TWIN, ME), SETTLED, "me twin", dead="twin"),
        "DeleteLink twin: its server is dead",
    ),
    "R8 then it is swapped in": (Case(state(TWIN, ME), SETTLED, "me", dead="twin"), "SwapIn: the holder is dead"),
    "R8 one that is not ready withdraws, in favour of others": (
        Case(state(TWIN, ME), UNREADY, "me twin third", dead="twin"),
        "Withdraw: not ready",
    ),
    "R8 another candidate is alive": (
        Case(state(TWIN, THIRD), READY, "me third", dead="twin"),
        "Keep: another candidate waits",
    ),
    "R8 another candidate is alive and does not act": (
        Case(state(TWIN, THIRD), WAITED, "me third", dead="twin"),
        "BecomeCandidate: the holder is dead, and the candidate does not take it",
    ),
    "R8 also the previous one": (
        Case(state(TWIN, None, ME), READY, "me twin", dead="twin"),
        "BecomeCandidate: the holder is dead",
    ),
    "R8 also one that failed": (Case(THEIRS, SULKING, "me", dead="twin"), "BecomeCandidate: the holder is dead"),
    "R9 the candidate is me": (Case(state(ME, ME), SERVING, "me"), "ClearCandidate: the holder needs no candidacy"),
    "R9 another one's, seen by one that is not ready": (
        Case(state(TWIN, TWIN), replace(UNREADY, waited=True), "me twin"),
        "ClearCandidate: the holder needs no candidacy",
    ),
    "R9 another one's: first it has time itself": (Case(state(TWIN, TWIN), UNREADY, "me twin"), "Keep: not ready"),
    "R9 a fenced holder's": (
        Case(state(TWIN, TWIN), replace(UNREADY, waited=True), "me twin", dead="twin"),
        "Keep: not ready",
    ),
    "R9 also when I am not chosen": (Case(state(ME, ME), SERVING), "ClearCandidate: the holder needs no candidacy"),
}


@pytest.mark.parametrize(("case", "expected"), [pytest.param(*row, id=rule) for rule, row in TABLE.items()])
def test_next_step(case, expected):
    step = next_step(case.sight, case.here)
    assert shown(step) == expected
    assert getattr(step, "state", case.state) == case.state, "what is compared is what was seen"


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        pytest.param(Case(None, READY, "me"), "", id="nothing is known"),
        pytest.param(Case(VACANT, READY, "me twin"), "", id="nobody holds and nobody asks"),
        pytest.param(Case(state(None, TWIN), READY, "me twin"), "twin", id="somebody asks"),
        pytest.param(Case(state(TWIN, THIRD, ME), READY, "me"), "twin third", id="not holder: all but me"),
        pytest.param(Case(state(ME, TWIN, THIRD), SERVING, "me"), "twin third", id="holder that serves"),
        pytest.param(Case(state(ME, TWIN, THIRD), FAILED, "me"), "twin third", id="holder that failed"),
        pytest.param(Case(state(ME, TWIN, THIRD), IDLE, "me"), "", id="holder that has yet to try"),
        pytest.param(Case(state(ME, TWIN, THIRD), IDLE, "twin"), "twin third", id="holder that is not chosen"),
        pytest.param(
            Case(state(ME, TWIN), replace(IDLE, gives_way=GivesWay.DRAINED), "me"), "twin", id="holder that gives way"
        ),
    ],
)
def test_watched(case, expected):
    assert watched(case.sight, case.here) == set(expected.split())


_named = st.none() | st.sampled_from(NAMES)
_several = st.frozensets(st.sampled_from(NAMES))
_sights = st.builds(
    Sight,
    st.just(ME),
    st.none() | st.builds(State, _named, _named, _named, st.just(7)),
    st.builds(Choice, _several, _several, _several),
    st.fixed_dictionaries({TWIN: st.sampled_from(Life), THIRD: st.sampled_from(Life)}),
)
_flag = st.booleans()
_heres = st.builds(
    Here,
    *[_flag] * 9,
    gives_way=st.none() | st.sampled_from(GivesWay),
)


@given(_sights, _heres)
def test_a_step_depends_on_the_life_of_nobody_but_the_watched(sight, here):
    """So that nobody else is asked about."""
    asked = {server: sight.lives[server] for server in watched(sight, here)}
    assert next_step(sight, here) == next_step(replace(sight, lives=asked), here)


@given(_sights, _heres)
def test_every_step_has_a_reason_and_fits_who_the_server_is(sight, here):
    step, state = next_step(sight, here), sight.state
    holds = state is not None and state.holder == ME
    assert step.reason
    match type(step).__name__:
        case "ClearCandidate" if not holds:  # left over from two providers, and whoever is not ready takes it away
            assert state.candidate == state.holder
            assert not here.ready
        case "HandOver" | "GiveBack" | "LetGo" | "StepDown" | "ClearPrevious" | "ClearCandidate":
            assert holds
        case "Activate":
            assert holds
            assert here.steady
        case "BecomeCandidate" if holds:
            assert here.gives_way is GivesWay.FENCED
            assert not here.up
        case "SwapIn" | "BecomeCandidate":
            assert not holds
            assert here.ready
            assert ME in sight.choice.all
            assert here.gives_way is None
        case "Stop":
            assert here.up


@given(_sights, _heres)
def test_what_is_unknown_changes_nothing_but_a_lease_that_is_over(sight, here):
    step = next_step(replace(sight, state=None), here)
    assert type(step).__name__ == ("Stop" if here.up and here.expired else "Keep")


@given(_sights, _heres)
def test_a_holder_that_is_not_proved_dead_is_not_taken_from(sight, here):
    if type(next_step(sight, here)).__name__ == "SwapIn":
        assert sight.state.holder is None or sight.life(sight.state.holder) is Life.DEAD
