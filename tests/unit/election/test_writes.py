"""Each step's write: exactly these changes, which do what the rules say, or nothing where somebody was faster."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from relocd.election.observation import State
from relocd.election.steps import (
    Activate,
    BecomeCandidate,
    ClearCandidate,
    ClearPrevious,
    DeleteLink,
    FailBack,
    HandOver,
    Keep,
    Release,
    Relinquish,
    StepDown,
    Stop,
    SwapIn,
    Withdraw,
)
from relocd.election.writes import Creation, changes_holder, renaming, resend_of, unlinking, write_of
from relocd.model.dn import DN
from relocd.model.entries import EntryUUID
from relocd.model.writes import Delete, Done, Exists, Lost, Modification
from tests.support.entries import dn, server, service, state
from tests.support.fake_directory import FakeDirectory
from tests.unit.election.ownerships import eligible, ownership_of, short, shown

ME, TWIN, THIRD = map(EntryUUID, ("me", "twin", "third"))


def written(holder=None, candidate=None, previous=None, generation=7):
    return State(holder, candidate, previous, generation)


NOBODY, MINE, THEIRS = written(), written(ME), written(TWIN)
LED = written(ME, TWIN, THIRD)


@pytest.mark.parametrize(
    ("before", "step", "changes"),
    [
        pytest.param(
            NOBODY,
            SwapIn(NOBODY, ME, ""),
            ["add relocHolder: me", "replace relocPrevious", "delete relocGeneration: 7", "add relocGeneration: 8"],
            id="swap in where there is no holder",
        ),
        pytest.param(
            written(TWIN, ME, THIRD),
            SwapIn(written(TWIN, ME, THIRD), ME, ""),
            [
                "delete relocHolder: twin",
                "add relocHolder: me",
                "replace relocCandidate",
                "replace relocPrevious",
                "delete relocGeneration: 7",
                "add relocGeneration: 8",
            ],
            id="swap in for a dead holder, as its candidate",
        ),
        pytest.param(
            written(None, TWIN),
            SwapIn(written(None, TWIN), ME, ""),
            ["add relocHolder: me", "replace relocPrevious", "delete relocGeneration: 7", "add relocGeneration: 8"],
            id="swap in leaves another candidate as it is",
        ),
        pytest.param(
            THEIRS,
            BecomeCandidate(THEIRS, ME, ""),
            ["replace relocCandidate: me"],
            id="become candidate where there is none",
        ),
        pytest.param(
            written(TWIN, THIRD),
            BecomeCandidate(written(TWIN, THIRD), ME, ""),
            ["replace relocCandidate: me"],
            id="become candidate in place of another",
        ),
        pytest.param(written(TWIN, ME), Withdraw(""), ["replace relocCandidate"], id="withdraw"),
        pytest.param(written(ME, ME), ClearCandidate(""), ["replace relocCandidate"], id="clear candidate"),
        pytest.param(LED, ClearPrevious(THIRD, ""), ["replace relocPrevious"], id="clear previous"),
        pytest.param(
            LED,
            HandOver(LED, TWIN, ""),
            [
                "delete relocHolder: me",
                "add relocHolder: twin",
                "replace relocCandidate",
                "replace relocPrevious: me",
                "delete relocGeneration: 7",
                "add relocGeneration: 8",
            ],
            id="hand over",
        ),
        pytest.param(
            LED,
            FailBack(LED, THIRD, ""),
            [
                "delete relocHolder: me",
                "add relocHolder: third",
                "replace relocPrevious",
                "delete relocGeneration: 7",
                "add relocGeneration: 8",
            ],
            id="give back leaves the candidate as it is",
        ),
        pytest.param(
            LED,
            Release(LED, ""),
            ["delete relocHolder: me", "delete relocGeneration: 7", "add relocGeneration: 8"],
            id="let go",
        ),
        pytest.param(
            MINE,
            StepDown(MINE, ""),
            ["delete relocHolder: me", "delete relocGeneration: 7", "add relocGeneration: 8"],
            id="step down",
        ),
    ],
)
def test_a_step_changes_the_state_and_nothing_else(before, step, changes):
    write = write_of(step, ownership_of(before))
    assert isinstance(write, Modification)
    assert short(write.dn) == "state of web"
    assert shown(write.changes) == changes


@pytest.mark.parametrize(
    ("before", "step", "assertion"),
    [
        (THEIRS, BecomeCandidate(THEIRS, ME, ""), "(&(relocGeneration=7)(!(relocCandidate=*)))"),
        (written(TWIN, ME), Withdraw(""), f"(&(relocGeneration=7)(relocCandidate={dn('me')}))"),
        (LED, ClearPrevious(THIRD, ""), f"(&(relocGeneration=7)(relocPrevious={dn('third')}))"),
        (LED, HandOver(LED, TWIN, ""), f"(&(relocCandidate={dn('twin')})(relocPrevious={dn('third')}))"),
        (LED, FailBack(LED, THIRD, ""), f"(relocPrevious={dn('third')})"),
        (NOBODY, SwapIn(NOBODY, ME, ""), "(!(relocPrevious=*))"),
        (written(None, ME), SwapIn(written(None, ME), ME, ""), f"(&(relocCandidate={dn('me')})(!(relocPrevious=*)))"),
        (LED, Release(LED, ""), None),
    ],
)
def test_what_a_write_replaces_it_compares_first(before, step, assertion):
    """A deletion of what is not there, or a second value, would undo more at a provider that has heard otherwise."""
    write = write_of(step, ownership_of(before))
    assert isinstance(write, Modification)
    assert write.assertion == assertion


def test_a_name_with_signs_of_a_filter_is_escaped_in_it():
    odd = DN.parse("cn=a*(b)ü,dc=org")
    ownership = ownership_of(written(TWIN, THIRD))
    assert ownership.entry is not None
    odd_named = replace(ownership, entry=replace(ownership.entry, candidate=odd))
    write = write_of(BecomeCandidate(THEIRS, ME, ""), odd_named)
    assert isinstance(write, Modification)
    assert write.assertion == r"(&(relocGeneration=7)(relocCandidate=cn=a\2a\28b\29\c3\bc,dc=org))"


@pytest.mark.parametrize("step", [Keep(""), Stop(""), Activate(7, "")], ids=lambda step: type(step).__name__)
def test_a_step_on_this_server_alone_writes_nothing(step):
    assert write_of(step, ownership_of(MINE)) is None
    assert step.applied(MINE) == MINE


class TestFirst:
    """A state that is not there yet, or that has never changed hands."""

    def test_becoming_candidate_creates_the_entry(self):
        write = write_of(BecomeCandidate(State(), ME, ""), ownership_of(None))
        assert write == Creation(
            DN.parse(f"cn=state,{dn('web')}"),
            {
                "objectClass": (b"relocServiceState",),
                "cn": (b"state",),
                "relocCandidate": (dn("me").encode(),),
            },
        )

    def test_swapping_in_adds_the_first_generation(self):
        write = write_of(SwapIn(State(), ME, ""), ownership_of(State(), generation=False))
        assert shown(write.changes) == ["add relocHolder: me", "replace relocPrevious", "add relocGeneration: 1"]

    def test_what_keeps_the_holder_asserts_that_there_is_no_generation_yet(self):
        ownership = ownership_of(written(candidate=ME, generation=0), generation=False)
        assert write_of(Withdraw(""), ownership).assertion == f"(&(!(relocGeneration=*))(relocCandidate={dn('me')}))"


class TestLinks:
    LINKED = ownership_of(MINE, chosen=eligible())

    def test_deleting_a_link_deletes_the_value_that_is_there_from_that_server(self):
        link = "CN=Web,dc=org"
        ownership = replace(self.LINKED, links={TWIN: DN.parse(link)})
        write = write_of(DeleteLink(TWIN, ""), ownership)
        assert write == unlinking(ownership, TWIN)
        assert write == Modification(DN.parse(dn("twin")), (Delete("relocServiceLink", (link.encode(),)),))

    def test_where_there_is_no_link_nothing_is_written(self):
        assert write_of(DeleteLink(TWIN, ""), self.LINKED) is None


def test_renaming_swaps_the_name_of_the_holder_and_keeps_the_generation():
    ownership = ownership_of(MINE)
    renamed = replace(ownership, names={**ownership.names, ME: DN.parse(dn("myself"))})
    write = renaming(renamed)
    assert shown(write.changes) == ["delete relocHolder: me", "add relocHolder: myself"]
    assert write.assertion == "(relocGeneration=7)"


NAMES = ("a", "b", "c")
_named = st.none() | st.sampled_from(NAMES)
_states = st.builds(State, _named, _named, _named, st.integers(1, 3))
_held = st.builds(State, st.just("a"), st.none() | st.sampled_from(NAMES[1:]), _named, st.integers(1, 3))


def _steps(before):
    return st.sampled_from(_allowed(before))


def _allowed(before):
    """The steps that the rules allow the server `a` in a state."""
    steps = []
    if before.holder != "a":
        steps += [SwapIn(before, "a", "")]
        steps += [Withdraw("") if before.candidate == "a" else BecomeCandidate(before, "a", "")]
        steps += (
            [ClearCandidate("")] if before.candidate not in {None, "a"} and before.candidate == before.holder else []
        )
    else:
        steps += [Release(before, ""), StepDown(before, "")]
        steps += [ClearCandidate("") if before.candidate == "a" else BecomeCandidate(before, "a", "")]
        steps += [ClearPrevious(before.previous, "")] if before.previous else []
        steps += [HandOver(before, before.candidate, "")] if before.candidate not in {None, "a"} else []
        steps += [FailBack(before, before.previous, "")] if before.previous not in {None, "a"} else []
    return steps


def contest_of_a(before):
    ownership = ownership_of(before, me="a")
    return replace(ownership, names={EntryUUID(name): DN.parse(dn(name)) for name in NAMES})


def sent(write, before):
    """The outcome of a write in a directory with such a state, and the state after it."""
    directory = FakeDirectory(service("web"), *map(server, NAMES))
    if before is not None:
        named = {"holder": before.holder, "candidate": before.candidate, "previous": before.previous}
        directory.put(state("web", **named, generation=before.generation))
    creates = isinstance(write, Creation)
    outcome = asyncio.run(
        directory.writer.create(write.dn, write.attributes) if creates else directory.writer.apply(write)
    )
    return outcome, State(*directory.model.named_state("web"))


@given(st.data(), _states)
def test_a_write_makes_the_state_that_its_step_says(data, before):
    """The rules go on from it, and `relocd explain` says what comes next without writing."""
    step = data.draw(_steps(before))
    outcome, after = sent(write_of(step, contest_of_a(before)), before)
    assert outcome == Done()
    assert after == step.applied(before)
    assert after.generation == before.generation + (after.holder != before.holder)


@given(st.data(), _states, _states)
def test_a_write_is_lost_where_somebody_was_faster(data, before, now):
    """A change of holder compares the holder and the generation; what keeps the holder compares the generation."""
    step = data.draw(_steps(before))
    changes_holder = isinstance(step, SwapIn | Relinquish)
    assume(before.generation != now.generation or (changes_holder and before.holder != now.holder))
    outcome, after = sent(write_of(step, contest_of_a(before)), now)
    assert isinstance(outcome, Lost)
    assert after == now


@given(_states)
def test_a_write_that_was_done_is_lost_when_it_is_sent_again(before):
    """So one of unknown outcome may be sent until it is answered."""
    write = write_of(SwapIn(replace(before, holder=None), "a", ""), contest_of_a(replace(before, holder=None)))
    outcome, after = sent(write, before=replace(before, holder=None))
    assert outcome == Done()
    outcome, again = sent(write, after)
    assert isinstance(outcome, Lost)
    assert again == after


def giving_steps(before):
    """The steps by which the server `a` gives the service away."""
    return st.sampled_from([step for step in _allowed(before) if isinstance(step, Relinquish)])


class TestAgain:
    """What is sent while nobody knows the outcome."""

    @given(st.data(), _held)
    def test_what_gives_the_service_away_makes_the_same_state(self, data, before):
        ownership, step = contest_of_a(before), data.draw(giving_steps(before))
        write = write_of(step, ownership)
        assert changes_holder(resend_of(write, ownership))
        assert sent(resend_of(write, ownership), before) == sent(write, before)

    @given(st.data(), _held, _named, _named)
    def test_only_the_generation_or_the_holder_refuses_it(self, data, before, candidate, previous):
        """So once it is lost, no copy that is still on its way can be carried out: a generation never comes back."""
        ownership, step = contest_of_a(before), data.draw(giving_steps(before))
        resent = resend_of(write_of(step, ownership), ownership)
        outcome, after = sent(resent, replace(before, candidate=candidate, previous=previous))
        assert outcome == Done()
        assert after.generation == before.generation + 1
        outcome, _ = sent(resent, replace(before, generation=before.generation + 1))
        assert isinstance(outcome, Lost)

    def test_a_copy_on_its_way_is_lost_though_the_candidate_withdraws_and_asks_again(self):
        before = State("a", "b", None, 1)
        ownership = contest_of_a(before)
        write = write_of(HandOver(before, EntryUUID("b"), ""), ownership)
        directory = FakeDirectory(service("web"), *map(server, NAMES), state("web", holder="a", generation=1))
        assert asyncio.run(directory.writer.apply(resend_of(write, ownership))) == Done()
        directory.put(state("web", holder="a", candidate="b", generation=2))
        assert isinstance(asyncio.run(directory.writer.apply(write)), Lost)

    @pytest.mark.parametrize(
        "step",
        [
            SwapIn(State(None, "a", None, 1), "a", ""),
            SwapIn(State("b", "a", "c", 1), "a", ""),
            StepDown(State("a", "a", None, 1), ""),
        ],
    )
    def test_what_a_candidate_takes_for_granted_grows_old_so_it_withdraws(self, step):
        """Once that is answered, no copy of the takeover on its way can be carried out."""
        ownership = contest_of_a(step.state)
        write = write_of(step, ownership)
        assert resend_of(write, ownership) == write_of(Withdraw(""), ownership)
        outcome, withdrawn = sent(resend_of(write, ownership), step.state)
        assert (outcome, withdrawn) == (Done(), replace(step.state, candidate=None))
        outcome, after = sent(write, withdrawn)
        assert isinstance(outcome, Lost)
        assert after == withdrawn

    @given(st.data(), _states)
    def test_what_keeps_the_holder_is_sent_as_it_was(self, data, before):
        ownership = contest_of_a(before)
        write = write_of(data.draw(_steps(before)), ownership)
        assume(not changes_holder(write))
        assert resend_of(write, ownership) == write


def test_of_two_that_create_the_state_one_comes_too_late():
    write = write_of(BecomeCandidate(State(), "a", ""), contest_of_a(None))
    assert sent(write, None) == (Done(), State(candidate=EntryUUID("a")))
    taken = State(candidate=EntryUUID("b"))
    assert sent(write, taken) == (Exists(), taken)
