"""The rules R1 to R9 as a table: what a server sees, how it stands itself, and the step that follows, with its rule.

That they keep what they promise when many servers follow them is for `tests/simulation`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relocd.election.observation import Eligible, Life, LocalState, Observation, State, YieldReason
from relocd.election.rules import next_step, watched
from relocd.election.steps import Keep, Rule
from relocd.model.entries import EntryUUID

NAMES = ME, TWIN, THIRD = tuple(map(EntryUUID, ("me", "twin", "third")))

READY = LocalState(active=False, up=False, ready=True, steady=True)
UNREADY = replace(READY, ready=False)
SETTLED = replace(READY, settled=True)
LEFT_UP = replace(READY, up=True)
SERVING = LocalState(active=True, up=True, ready=False, steady=True)
IDLE = LocalState(active=False, up=False, ready=False, steady=True)
ORPHANED, ORPHANED_IDLE = replace(SERVING, orphaned=True), replace(IDLE, orphaned=True)
SHAKY = replace(IDLE, steady=False)
FAILED = replace(IDLE, failed=True, failed_here=True)
SULKING = replace(READY, failed_here=True)
WAITED = replace(SETTLED, waited=True)
DRAINED, DISPLACED, FENCED, UNHEALTHY = (replace(SERVING, yield_reason=way) for way in YieldReason)
UNHEALTHY_IDLE = replace(IDLE, yield_reason=YieldReason.UNHEALTHY)
UNHEALTHY_FAILED = replace(FAILED, yield_reason=YieldReason.UNHEALTHY)
GONE = replace(FENCED, active=False, up=False)


def state(holder=None, candidate=None, previous=None):
    return State(holder, candidate, previous, 7)


@dataclass(frozen=True)
class Case:
    """What a server sees; the other servers are alive unless they are `silent` or `dead`. All by their names.

    Those in `failed` publish that the service has failed there.
    """

    state: State | None
    here: LocalState
    direct: str = ""
    by_cluster: str = ""
    standby: str = ""
    silent: str = ""
    dead: str = ""
    failed: str = ""

    @property
    def sight(self):
        links = (frozenset(map(EntryUUID, names.split())) for names in (self.direct, self.by_cluster, self.standby))
        lives = {name: self._life(name) for name in NAMES[1:]}
        return Observation(ME, self.state, Eligible(*links), lives, frozenset(map(EntryUUID, self.failed.split())))

    def _life(self, name):
        return Life.DEAD if name in self.dead else Life.SUSPECT if name in self.silent else Life.ALIVE


def shown(step):
    """A step as its rule, its type and the server that it is about."""
    about = getattr(step, "to", getattr(step, "server", getattr(step, "generation", "")))
    return f"{step.rule or '--'} {type(step).__name__} {about}".strip()


VACANT, MINE, THEIRS = state(), state(ME), state(TWIN)
ASKED = state(ME, TWIN)

TABLE = {
    "R1 no holder: ask": (Case(VACANT, READY, "me twin"), "R1 BecomeCandidate"),
    "R1 by a cluster": (Case(VACANT, READY, by_cluster="me", standby="twin"), "R1 BecomeCandidate"),
    "R1 another asks": (Case(state(None, TWIN), READY, "me twin"), "R1 Keep"),
    "R1 another asked and is silent": (Case(state(None, TWIN), READY, "me twin", silent="twin"), "R1 BecomeCandidate"),
    "R1 settling": (Case(state(None, ME), READY, "me"), "R1 Keep"),
    "R1 settled: swap in": (Case(state(None, ME), SETTLED, "me"), "R1 SwapIn"),
    "R1 has failed here before": (Case(state(None, ME), replace(SETTLED, failed_here=True), "me"), "R1 SwapIn"),
    "R1 another asks for a lease and does not act": (Case(state(None, TWIN), WAITED, "me twin"), "R1 BecomeCandidate"),
    "R1 not ready": (Case(VACANT, UNREADY, "me"), "R1 Keep"),
    "R1 not chosen": (Case(VACANT, READY, "twin"), "-- Keep"),
    "R1 standing by": (Case(VACANT, READY, standby="me twin"), "-- Keep"),
    "R1 displaced": (Case(VACANT, replace(READY, yield_reason=YieldReason.DISPLACED), "me"), "R1 Keep"),
    "R1 left up by an earlier run: ask before it is stopped": (Case(VACANT, LEFT_UP, "me"), "R1 BecomeCandidate"),
    "R2 ready": (Case(THEIRS, READY, "me twin"), "R2 BecomeCandidate"),
    "R2 not ready": (Case(THEIRS, UNREADY, "me twin"), "R2 Keep"),
    "R2 another candidate waits": (Case(state(TWIN, THIRD), READY, "me twin third"), "R2 Keep"),
    "R2 the candidate is silent": (
        Case(state(TWIN, THIRD), READY, "me twin third", silent="third"),
        "R2 BecomeCandidate",
    ),
    "R2 the candidate is not chosen": (Case(state(TWIN, THIRD), READY, "me twin"), "R2 BecomeCandidate"),
    "R2 the candidate is by a cluster, I am direct": (
        Case(state(TWIN, THIRD), READY, "me", by_cluster="third"),
        "R2 BecomeCandidate",
    ),
    "R2 the candidate is direct, I am by a cluster": (
        Case(state(TWIN, THIRD), READY, "third", by_cluster="me"),
        "R2 Keep",
    ),
    "R2 I am previous": (Case(state(TWIN, None, ME), READY, "me twin"), "R2 Keep"),
    "R2 waiting": (Case(state(TWIN, ME), SETTLED, "me twin"), "R2 Keep"),
    "R2 not ready any more": (Case(state(TWIN, ME), UNREADY, "me twin"), "R2 Withdraw"),
    "R2 not chosen any more": (Case(state(TWIN, ME), READY, "twin"), "R2 Withdraw"),
    "R2 failed here": (Case(THEIRS, SULKING, "me twin"), "R2 Keep"),
    "R2 failed here, and candidate": (Case(state(TWIN, ME), SULKING, "me twin"), "R2 Withdraw"),
    "R2 withdraws where there is no holder either": (Case(state(None, ME), UNREADY, "me"), "R2 Withdraw"),
    "R2 a candidate that is the holder is none": (Case(state(TWIN, TWIN), READY, "me twin"), "R2 BecomeCandidate"),
    "R2 a cluster's, and a candidate that is the holder": (
        Case(state(TWIN, TWIN), READY, "twin", by_cluster="me"),
        "R2 BecomeCandidate",
    ),
    "R2 waiting for a lease: the holder's provider may not know": (
        Case(state(TWIN, ME), WAITED, "me twin"),
        "R2 BecomeCandidate",
    ),
    "R2 previous for a lease: the holder's provider may know otherwise": (
        Case(state(TWIN, None, ME), WAITED, "me twin"),
        "R2 BecomeCandidate",
    ),
    "R2 another candidate waits for a lease": (Case(state(TWIN, THIRD), WAITED, "me twin third"), "R2 Keep"),
    "R2 another candidate, where it has failed, waits": (
        Case(state(TWIN, THIRD), READY, "me twin third", failed="third"),
        "R2 Keep",
    ),
    "R2 the same for a lease: it has withdrawn at another provider": (
        Case(state(TWIN, THIRD), WAITED, "me twin third", failed="third"),
        "R2 BecomeCandidate",
    ),
    "R3 hand over": (Case(ASKED, SERVING, "me twin"), "R3 HandOver twin"),
    "R3 a candidate that is not chosen and has not withdrawn for a lease": (
        Case(ASKED, replace(SERVING, waited=True), "me"),
        "R3 ClearCandidate",
    ),
    "R3 a candidate that is chosen may wait": (
        Case(ASKED, replace(SERVING, waited=True), "me", by_cluster="twin"),
        "R3 Keep",
    ),
    "R3 the candidate is silent": (Case(ASKED, SERVING, "me twin", silent="twin"), "R3 Keep"),
    "R3 the candidate is not chosen": (Case(ASKED, SERVING, "me"), "R3 Keep"),
    "R3 a direct holder does not yield to a cluster's": (Case(ASKED, SERVING, "me", by_cluster="twin"), "R3 Keep"),
    "R3 a cluster's holder yields to a direct one": (Case(ASKED, SERVING, "twin", by_cluster="me"), "R3 HandOver twin"),
    "R3 nobody asks": (Case(MINE, SERVING, "me twin"), "R3 Keep"),
    "R4 activate": (Case(MINE, IDLE, "me"), "R4 Activate 7"),
    "R4 a candidate waits until it has been tried": (Case(ASKED, IDLE, "me twin"), "R4 Activate 7"),
    "R4 unsteady": (Case(MINE, SHAKY, "me"), "R4 Keep"),
    "R4 the previous one's link goes first": (Case(state(ME, None, TWIN), SERVING, "me twin"), "R4 DeleteLink twin"),
    "R4 then the previous one": (Case(state(ME, None, TWIN), SERVING, "me"), "R4 ClearPrevious twin"),
    "R4 a previous one by a cluster has no link to delete": (
        Case(state(ME, None, TWIN), SERVING, "me", by_cluster="twin"),
        "R4 ClearPrevious twin",
    ),
    "R4 before anybody else gets it": (Case(state(ME, THIRD, TWIN), SERVING, "me twin third"), "R4 DeleteLink twin"),
    "R4 a previous one that is me": (Case(state(ME, None, ME), SERVING, "me"), "R4 ClearPrevious me"),
    "unsteady: serves on and does not hand over": (Case(ASKED, replace(SERVING, steady=False), "me twin"), "R3 Keep"),
    "unsteady: does not give back": (Case(state(ME, None, TWIN), replace(FAILED, steady=False), "me twin"), "R5 Keep"),
    "unsteady: does not let go": (Case(MINE, replace(SERVING, steady=False)), "R6 Keep"),
    "unsteady and fenced: stops": (Case(MINE, replace(FENCED, steady=False), "me twin"), "R6 Stop"),
    "unsteady and fenced, stopped, candidate: does not step down yet": (
        Case(state(ME, ME), replace(GONE, steady=False, settled=True), "me twin"),
        "R6 Keep",
    ),
    "fenced and stopped: asks, as others do that take it for dead": (Case(MINE, GONE, "me twin"), "R6 BecomeCandidate"),
    "fenced, settling": (Case(state(ME, ME), GONE, "me twin"), "R6 Keep"),
    "fenced, settled": (Case(state(ME, ME), replace(GONE, settled=True), "me twin"), "R6 StepDown"),
    "fenced, and another takes over": (Case(ASKED, GONE, "me twin"), "R6 Keep"),
    "fenced, and the candidate is silent": (Case(ASKED, GONE, "me twin", silent="twin"), "R6 BecomeCandidate"),
    "R5 give back": (Case(state(ME, None, TWIN), FAILED, "me twin"), "R5 FailBack twin"),
    "R5 give back to a member that stands by": (
        Case(state(ME, None, TWIN), FAILED, by_cluster="me", standby="twin"),
        "R5 FailBack twin",
    ),
    "R5 the previous one's link is gone": (Case(state(ME, None, TWIN), FAILED, "me"), "R5 Activate 7"),
    "R5 the previous one is silent, a candidate waits": (
        Case(state(ME, THIRD, TWIN), FAILED, "me twin third", silent="twin"),
        "R5 Activate 7",
    ),
    "R5 the previous one is dead, a candidate waits": (
        Case(state(ME, THIRD, TWIN), FAILED, "me twin third", dead="twin"),
        "R5 HandOver third",
    ),
    "R5 a candidate alone": (Case(ASKED, FAILED, "me twin"), "R5 HandOver twin"),
    "R5 a candidate by a cluster, too": (Case(ASKED, FAILED, "me", by_cluster="twin"), "R5 HandOver twin"),
    "R5 nobody else": (Case(MINE, FAILED, "me"), "R5 Activate 7"),
    "R6 the previous one waits": (Case(state(ME, None, TWIN), SERVING, "twin"), "R6 FailBack twin"),
    "R6 the previous one only stands by": (Case(state(ME, None, TWIN), SERVING, "third", standby="twin"), "R6 Keep"),
    "R6 a candidate waits": (Case(ASKED, SERVING, "twin"), "R6 HandOver twin"),
    "R6 another is chosen and not ready": (Case(MINE, SERVING, "twin"), "R6 Keep"),
    "R6 another is chosen and not ready, and it does not run": (Case(MINE, IDLE, "twin"), "R6 Activate 7"),
    "R6 the same, unsteady": (Case(MINE, SHAKY, "twin"), "R6 Keep"),
    "R6 nobody is chosen": (Case(MINE, SERVING), "R6 Release"),
    "R6 nobody is chosen, the others stand by": (Case(state(ME, None, TWIN), SERVING, standby="me twin"), "R6 Release"),
    "R6 servers deleted the last links: serves on": (Case(MINE, ORPHANED), "R6 Keep"),
    "R6 the same, and it does not run": (Case(MINE, ORPHANED_IDLE), "R6 Activate 7"),
    "R6 servers deleted the last links, unsteady": (Case(MINE, replace(SHAKY, orphaned=True)), "R6 Keep"),
    "R6 the same, and a candidate waits": (Case(ASKED, ORPHANED, "twin"), "R6 HandOver twin"),
    "R6 the same, drained": (Case(MINE, replace(DRAINED, orphaned=True)), "R6 StepDown"),
    "R7 servers deleted the links, and another is the holder": (
        Case(THEIRS, replace(LEFT_UP, orphaned=True)),
        "R7 Stop",
    ),
    "R6 drained, a candidate waits": (Case(ASKED, DRAINED, "me twin"), "R6 HandOver twin"),
    "R6 drained, the other is not ready": (Case(MINE, DRAINED, "me twin"), "R6 Keep"),
    "R6 drained, nobody else": (Case(MINE, DRAINED, "me"), "R6 StepDown"),
    "R6 displaced": (Case(ASKED, DISPLACED, "me twin"), "R6 StepDown"),
    "R6 fenced": (Case(MINE, FENCED, "me twin"), "R6 Stop"),
    "R6 unhealthy, a candidate waits": (Case(ASKED, UNHEALTHY, "me twin"), "R6 HandOver twin"),
    "R6 unhealthy: it outranks nobody": (Case(ASKED, UNHEALTHY, "me", by_cluster="twin"), "R6 HandOver twin"),
    "R6 unhealthy, the candidate is silent": (Case(ASKED, UNHEALTHY, "me twin", silent="twin"), "R6 Keep"),
    "R6 unhealthy, the other is not ready": (Case(MINE, UNHEALTHY, "me twin"), "R6 Keep"),
    "R6 unhealthy, the others stand by": (Case(MINE, UNHEALTHY, by_cluster="me", standby="twin"), "R6 Keep"),
    "R6 unhealthy, nobody else": (Case(MINE, UNHEALTHY, "me"), "R6 Keep"),
    "R6 unhealthy and unsteady": (Case(ASKED, replace(UNHEALTHY, steady=False), "me twin"), "R6 Keep"),
    "R6 unhealthy before it runs, a candidate waits": (Case(ASKED, UNHEALTHY_IDLE, "me twin"), "R6 HandOver twin"),
    "R4 unhealthy before it runs, and the previous one waits": (
        Case(state(ME, THIRD, TWIN), UNHEALTHY_IDLE, "me twin third"),
        "R4 Activate 7",
    ),
    "R4 unhealthy before it runs, nobody else": (Case(MINE, UNHEALTHY_IDLE, "me"), "R4 Activate 7"),
    "R5 unhealthy, and could not be activated either": (
        Case(state(ME, None, TWIN), UNHEALTHY_FAILED, "me twin"),
        "R5 FailBack twin",
    ),
    "R4 unhealthy: finishes its move first": (
        Case(state(ME, THIRD, TWIN), UNHEALTHY, "me twin third"),
        "R4 DeleteLink twin",
    ),
    "R6 unhealthy and not chosen: as any other": (Case(ASKED, UNHEALTHY, "twin"), "R6 HandOver twin"),
    "R6 unhealthy, and nobody is chosen": (Case(MINE, UNHEALTHY, standby="me twin"), "R6 Release"),
    "R2 not the holder: its own health is no reason to yield": (
        Case(THEIRS, replace(READY, yield_reason=YieldReason.UNHEALTHY), "me twin"),
        "R2 BecomeCandidate",
    ),
    "R7 another is the holder": (Case(THEIRS, LEFT_UP, "me twin"), "R7 Stop"),
    "R7 a dead one, too": (Case(THEIRS, LEFT_UP, "me", dead="twin"), "R7 Stop"),
    "R7 nobody is, and I am not chosen": (Case(VACANT, LEFT_UP, "twin"), "R7 Stop"),
    "unknown is not 'not holder'": (Case(None, LEFT_UP, "me"), "-- Keep"),
    "the lease is over": (Case(MINE, replace(SERVING, expired=True), "me"), "-- Stop"),
    "the lease is over, and the state is unknown": (Case(None, replace(SERVING, expired=True)), "-- Stop"),
    "R8 the holder is dead": (Case(THEIRS, READY, "me twin", dead="twin"), "R8 BecomeCandidate"),
    "R8 it is only silent": (Case(state(TWIN, ME), SETTLED, "me", silent="twin"), "R8 Keep"),
    "R8 settling": (Case(state(TWIN, ME), READY, "me twin", dead="twin"), "R8 Keep"),
    "R8 its link goes first": (Case(state(TWIN, ME), SETTLED, "me twin", dead="twin"), "R8 DeleteLink twin"),
    "R8 then it is swapped in": (Case(state(TWIN, ME), SETTLED, "me", dead="twin"), "R8 SwapIn"),
    "R2 not ready any more, and the holder is dead: withdraws in favour of others": (
        Case(state(TWIN, ME), UNREADY, "me twin third", dead="twin"),
        "R2 Withdraw",
    ),
    "R8 another candidate is alive": (Case(state(TWIN, THIRD), READY, "me third", dead="twin"), "R8 Keep"),
    "R8 another candidate is alive and does not act": (
        Case(state(TWIN, THIRD), WAITED, "me third", dead="twin"),
        "R8 BecomeCandidate",
    ),
    "R8 also the previous one": (Case(state(TWIN, None, ME), READY, "me twin", dead="twin"), "R8 BecomeCandidate"),
    "R8 also one that failed": (Case(THEIRS, SULKING, "me", dead="twin"), "R8 BecomeCandidate"),
    "R9 the candidate is me": (Case(state(ME, ME), SERVING, "me"), "R9 ClearCandidate"),
    "R9 another one's, seen by one that is not ready": (
        Case(state(TWIN, TWIN), replace(UNREADY, waited=True), "me twin"),
        "R9 ClearCandidate",
    ),
    "R9 another one's: first it has time itself": (Case(state(TWIN, TWIN), UNREADY, "me twin"), "R2 Keep"),
    "R9 a fenced holder's": (Case(state(TWIN, TWIN), replace(UNREADY, waited=True), "me twin", dead="twin"), "R8 Keep"),
    "R9 also when I am not chosen": (Case(state(ME, ME), SERVING), "R9 ClearCandidate"),
}


@pytest.mark.parametrize(("case", "expected"), [pytest.param(*row, id=rule) for rule, row in TABLE.items()])
def test_next_step(case, expected):
    step = next_step(case.sight, case.here)
    assert shown(step) == expected
    assert getattr(step, "state", case.state) == case.state, "what is compared is what was seen"
    assert getattr(step, "me", ME) == ME


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
            Case(state(ME, TWIN), replace(IDLE, yield_reason=YieldReason.DRAINED), "me"),
            "twin",
            id="holder that gives way",
        ),
    ],
)
def test_watched(case, expected):
    assert watched(case.sight, case.here) == set(expected.split())


_named = st.none() | st.sampled_from(NAMES)
_several = st.frozensets(st.sampled_from(NAMES))
_sights = st.builds(
    Observation,
    st.just(ME),
    st.none() | st.builds(State, _named, _named, _named, st.just(7)),
    st.builds(Eligible, _several, _several, _several),
    st.fixed_dictionaries({TWIN: st.sampled_from(Life), THIRD: st.sampled_from(Life)}),
    st.frozensets(st.sampled_from((TWIN, THIRD))),
)
_flag = st.booleans()
_heres = st.builds(
    LocalState,
    *[_flag] * 11,
    yield_reason=st.none() | st.sampled_from(YieldReason),
)


@given(_sights, _heres)
def test_a_step_depends_on_the_life_of_nobody_but_the_watched(sight, here):
    """So that nobody else is asked about."""
    those = watched(sight, here)
    asked = replace(sight, lives={server: sight.lives[server] for server in those}, failed=sight.failed & those)
    assert next_step(sight, here) == next_step(asked, here)


@given(_sights, _heres)
def test_every_step_has_a_reason_and_fits_who_the_server_is(sight, here):
    step, state = next_step(sight, here), sight.state
    holds = state is not None and state.holder == ME
    assert step.reason
    match type(step).__name__:
        case "ClearCandidate" if not holds:  # left over from two providers, and whoever is not ready takes it away
            assert state.candidate == state.holder
            assert not here.ready
        case "HandOver" | "FailBack" | "Release" | "StepDown" | "ClearPrevious" | "ClearCandidate":
            assert holds
        case "Activate":
            assert holds
            assert here.steady
        case "BecomeCandidate" if holds:
            assert here.yield_reason is YieldReason.FENCED
            assert not here.up
        case "SwapIn" | "BecomeCandidate":
            assert not holds
            assert here.ready
            assert ME in sight.eligible.all
            assert here.yield_reason in {None, YieldReason.UNHEALTHY}
        case "Stop":
            assert here.up


@given(_sights, _heres)
def test_a_step_has_a_rule_where_the_server_is_linked_and_its_lease_has_not_run_out(sight, here):
    """What the lease and an unknown state decide, they decide before any rule."""
    step, state = next_step(sight, here), sight.state
    before_any_rule = state is None or (here.up and here.expired)
    unlinked = isinstance(step, Keep) and ME not in sight.eligible.all and state is not None and state.holder != ME
    assert (step.rule is None) == (before_any_rule or unlinked)


@given(_sights, _heres)
def test_the_rule_fits_who_the_server_is(sight, here):
    step, state = next_step(sight, here), sight.state
    match step.rule:
        case Rule.R3 | Rule.R4 | Rule.R5 | Rule.R6:
            assert state.holder == ME
        case Rule.R1:
            assert state.holder is None
        case Rule.R2 | Rule.R7:
            assert state.holder != ME
        case Rule.R8:
            assert sight.life(state.holder) is not Life.ALIVE


@given(_sights, _heres)
def test_what_is_unknown_changes_nothing_but_a_lease_that_is_over(sight, here):
    step = next_step(replace(sight, state=None), here)
    assert type(step).__name__ == ("Stop" if here.up and here.expired else "Keep")


@given(_sights, _heres)
def test_no_service_is_dropped_for_its_health_alone(sight, here):
    """What an unhealthy holder releases, it hands over, or it would release it healthy, too."""
    step = next_step(sight, replace(here, yield_reason=YieldReason.UNHEALTHY))
    if type(step).__name__ in {"Release", "StepDown", "Stop"}:
        assert step == next_step(sight, replace(here, yield_reason=None))


@given(_sights, _heres)
def test_a_holder_that_is_not_proved_dead_is_not_taken_from(sight, here):
    if type(next_step(sight, here)).__name__ == "SwapIn":
        assert sight.state.holder is None or sight.life(sight.state.holder) is Life.DEAD
