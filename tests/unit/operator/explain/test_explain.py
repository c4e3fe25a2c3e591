"""Why a service runs where it runs: entries in, the rule of each server and the way to it out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relocd.model.entries import Entry
from relocd.operator.change.obstacle import Proof
from relocd.operator.explain.explain import Idle, Part
from relocd.operator.explain.need import Need, NeedKind
from relocd.operator.explain.text import as_json
from tests.support import entries
from tests.unit.operator.explain.explained import A_SILENT, CLUSTER, explained, needs, stands, state, text
from tests.unit.operator.views import HELD, LINKED, PAIR, B, heard


@pytest.mark.parametrize(
    ("found", "server", "rule", "does"),
    [
        pytest.param([LINKED, heard("b")], "b", "R1", None, id="R1"),
        pytest.param([*HELD, LINKED, heard("b")], "b", "R2", "BecomeCandidate", id="R2"),
        pytest.param([*HELD[:2], B, heard("b"), state(candidate="b")], "b", "R2", "Withdraw", id="R2 withdraws"),
        pytest.param([*HELD[:2], LINKED, heard("b"), state(candidate="b")], "a", "R3", "HandOver", id="R3 hands over"),
        pytest.param([*HELD], "a", "R3", "Keep", id="R3 serves"),
        pytest.param([HELD[0], heard("a"), HELD[2]], "a", "R4", "Activate", id="R4"),
        pytest.param([*HELD[:2], state(previous="b"), LINKED], "a", "R4", "DeleteLink", id="R4 cleans up"),
        pytest.param(
            [HELD[0], heard("a", failed="web"), LINKED, heard("b"), state(previous="b")], "a", "R5", "FailBack", id="R5"
        ),
        pytest.param([entries.server("a"), *HELD[1:]], "a", "R6", "Release", id="R6 lets go"),
        pytest.param([entries.server("a"), *HELD[1:], LINKED], "a", "R6", "Keep", id="R6 serves on"),
        pytest.param(
            [entries.server("a", modifiersName=B.dn.text), *HELD[1:]],
            "a",
            "R6",
            "Keep",
            id="R6 serves on, since a server deleted the last link",
        ),
        pytest.param([*HELD, LINKED, heard("b", active="web")], "b", "R7", "Stop", id="R7"),
        pytest.param(
            [entries.server("a", services=["web"], relocFenced="TRUE"), heard("a", active="web"), state()],
            "a",
            "R6",
            "Stop",
            id="R6 fenced, stops",
        ),
        pytest.param(
            [entries.server("a", services=["web"], relocFenced="TRUE"), heard("a"), state()],
            "a",
            "R6",
            "BecomeCandidate",
            id="R6 fenced, about to step down",
        ),
        pytest.param(
            [entries.server("a", relocFenced="TRUE"), LINKED, heard("b"), state(candidate="b")],
            "b",
            "R8",
            "SwapIn",
            id="R8",
        ),
        pytest.param([*A_SILENT, LINKED, heard("b"), state(candidate="b")], "b", "R8", "Keep", id="R8 waits for proof"),
        pytest.param([*HELD[:2], state(candidate="a")], "a", "R9", "ClearCandidate", id="R9"),
        pytest.param([CLUSTER, *PAIR, heard("a"), heard("b"), state()], "b", None, "Keep", id="standby"),
    ],
)
def test_each_server_is_told_its_rule(found: list[Entry], server: str, rule: str | None, does: str | None) -> None:
    about = stands(explained(*found))[server]
    assert about.rule == rule
    assert does in {None, about.does}


def test_a_stop_at_the_end_of_the_lease_follows_from_no_rule() -> None:
    """Also where another server is the holder."""
    silent = heard("b", lease="0.5", active="web")
    about = stands(explained(*HELD, LINKED, silent, relocIsolation="release"))["b"]
    assert (about.does, about.rule) == ("Stop", None)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param([*HELD, LINKED, heard("b")], [], id="under way"),
        pytest.param([*HELD, LINKED], [(NeedKind.AGENT_HEARD, "b")], id="no agent"),
        pytest.param(
            [CLUSTER, *PAIR, heard("a", active="web"), heard("b"), state()], [(NeedKind.MOVE, "b")], id="member"
        ),
        pytest.param([*HELD, LINKED, heard("b", relocMode="paused")], [(NeedKind.RESUME, "b")], id="paused"),
        pytest.param(
            [*HELD, LINKED, heard("b", relocProblem="web: no unit")],
            [(NeedKind.PROBLEMS_SOLVED, "b", "no unit")],
            id="not ready",
        ),
        pytest.param(
            [*HELD, LINKED, heard("b", relocMode="drained", relocProblem="web: no unit")],
            [(NeedKind.RESUME, "b"), (NeedKind.PROBLEMS_SOLVED, "b", "no unit")],
            id="two reasons",
        ),
        pytest.param(
            [*HELD, entries.server("b", services=["web"], relocFenced="TRUE"), heard("b")],
            [(NeedKind.UNFENCE, "b")],
            id="fenced",
        ),
        pytest.param(
            [*A_SILENT, LINKED, heard("b"), state()],
            [(NeedKind.HOLDER_DEAD, "a", (Proof.ADDRESSES_SILENT, Proof.FENCED))],
            id="the holder is silent",
        ),
        pytest.param(
            [HELD[0], heard("a", relocMode="paused", active="web"), LINKED, heard("b"), state()],
            [(NeedKind.RESUME, "a")],
            id="the holder is paused",
        ),
        pytest.param(
            [
                entries.cluster("pair", services=["web"], active="b"),
                entries.server("a", services=["web"], clusters=["pair"]),
                PAIR[1],
                heard("a", active="web"),
                heard("b"),
                state(),
            ],
            [(NeedKind.DIRECT_LINK_GONE, "a")],
            id="outranked",
        ),
        pytest.param(
            [
                *HELD,
                entries.server("b", services=["prime", "web"]),
                heard("b", active="prime"),
                entries.service("prime", relocAddress="192.0.2.11/24", relocDisplaces=entries.dn("web")),
                entries.state("prime", holder="b"),
            ],
            [(NeedKind.DISPLACING_LEAVES, "b", "prime")],
            id="displaced",
        ),
    ],
)
def test_what_would_bring_it_to_a_server_is_the_least_that_does(
    found: list[Entry], expected: list[tuple[object, ...]]
) -> None:
    """Tried out with the rules: the acts that follow end with the service there."""
    about = stands(explained(*found))["b"]
    assert needs(about) == expected
    assert about.requirements is not None
    assert about.requirements.planned


def test_where_it_runs_nothing_has_to_happen() -> None:
    told = explained(*HELD)
    assert stands(told)["a"].requirements is None
    assert told.next == ()


def test_the_acts_are_those_of_a_planned_move() -> None:
    told = explained(*HELD, LINKED, heard("b"))
    steps = [(told.view.name(due.server), type(due.step).__name__, due.step.rule) for due in told.next]
    assert steps == [
        ("b", "BecomeCandidate", "R2"),
        ("a", "HandOver", "R3"),
        ("b", "Activate", "R4"),
        ("b", "DeleteLink", "R4"),
        ("b", "ClearPrevious", "R4"),
    ]


def test_a_silent_agent_does_nothing_in_what_comes_next() -> None:
    """Its rule is shown all the same, as what it would do."""
    told = explained(*A_SILENT, LINKED, heard("b"), state(candidate="b"))
    assert told.next == ()
    a = stands(told)["a"]
    assert (a.idle, a.rule, a.does) == (Idle.SILENT, "R3", "Keep")
    assert "(if its agent acted)" in text(told)


@pytest.mark.parametrize(
    ("found", "more", "part"),
    [
        ([HELD[0], heard("a", active="web")], {"relocExclusive": "FALSE"}, "chosen"),
        ([entries.cluster("pair", services=["web"], active="a", relocFailover="external"), *PAIR], {}, "files only"),
    ],
    ids=["shared", "external"],
)
def test_what_the_agents_do_not_agree_on_has_no_rule(found: list[Entry], more: dict[str, str], part: str) -> None:
    told = explained(*found, **more)
    assert {(each.part, each.rule, each.requirements) for each in told.servers} == {(part, None, None)}
    assert told.next == ()


def test_a_state_that_cannot_be_understood_is_unknown_to_all() -> None:
    bad = entries.state("web", holder="a", generation=None)
    bad = type(bad)(bad.uuid, bad.dn, bad.csn, {**bad.attributes, "relocgeneration": (b"many",)})
    told = explained(HELD[0], HELD[1], bad)
    assert told.generation is None
    assert (stands(told)["a"].does, stands(told)["a"].rule) == ("Keep", None)


@pytest.mark.parametrize(
    ("found", "more", "expected"),
    [
        ([*A_SILENT], {"relocAddress": (), "relocExclusive": "TRUE"}, (Proof.FENCED,)),
        (
            [*A_SILENT],
            {"relocIsolation": "release"},
            (Proof.LEASE_WATCHED, Proof.FENCED),
        ),
        ([], {}, (Proof.ADDRESSES_SILENT,)),
        ([], {"relocAddress": (), "relocExclusive": "TRUE"}, (Proof.NAMED_NO_MORE,)),
    ],
    ids=["no address, no witness but the fence", "released", "no entry", "no entry and no address"],
)
def test_what_proves_a_silent_holder_dead(
    found: list[Entry], more: dict[str, Any], expected: tuple[Proof, ...]
) -> None:
    told = explained(*found, LINKED, heard("b"), state(holder="a" if found else "ghost"), age_s=0.8, **more)
    requirements = stands(told)["b"].requirements
    assert requirements is not None
    assert [(each.kind, each.proofs) for each in requirements.needs] == [(NeedKind.HOLDER_DEAD, expected)]


def test_each_need_makes_a_clause_that_names_its_server() -> None:
    for kind in NeedKind:
        clause = str(Need(kind, "serverA", "web", "detail of serverA", tuple(Proof)))
        assert "serverA" in clause, kind
    assert str(Need(NeedKind.MOVE, "b", "web")) == "relocd move web b"


_NAMES = st.sampled_from([None, "a", "b", "c", "ghost"])
_WORDS = st.sampled_from([{}, {"active": "web"}, {"standby": "web"}, {"failed": "web"}])
_MORE = st.sampled_from([{}, {"relocMode": "paused"}, {"relocMode": "drained"}, {"relocProblem": "web: no"}])
_LEASES = st.sampled_from(["10", "0.7", "0.1"])


@st.composite
def _servers(draw: st.DrawFn) -> list[Entry]:
    found: list[Entry] = []
    for name in "abc":
        fenced = {"relocFenced": "TRUE"} if draw(st.booleans()) and draw(st.booleans()) else {}
        links = {"services": draw(st.sampled_from([(), ("web",)])), "clusters": draw(st.sampled_from([(), ("pair",)]))}
        found.append(entries.server(name, **links, **fenced))
        if draw(st.booleans()):
            found.append(heard(name, lease=draw(_LEASES), **draw(_WORDS), **draw(_MORE)))
    return found


@given(_servers(), _NAMES, _NAMES, _NAMES, _NAMES, st.sampled_from(["keep", "release"]))
def test_whatever_the_directory_says_is_explained(
    servers: list[Entry], active: str | None, holder: str | None, candidate: str | None, previous: str | None, kept: str
) -> None:
    """Every step has its rule but one that follows from a lease, and a way ends with the service on its server."""
    pair = entries.cluster("pair", services=["web"], active=active)
    named = state(holder=holder, candidate=candidate, previous=previous)
    told = explained(pair, *servers, named, relocIsolation=kept)
    assert text(told)
    assert as_json(told)
    for due in told.next:
        assert due.step.rule
    for about in told.servers:
        if about.does not in {"Keep", "Stop"}:
            assert about.rule, about
        if about.requirements is not None and about.requirements.planned:
            named = {
                each
                for due in about.requirements.planned
                for each in (due.server, getattr(due.step, "to", None))
                if each
            }
            assert about.row.server.name in set(map(told.view.name, named))  # it may run there all the while


WAITING = "node1 is silent in the directory but 192.0.2.10 is answered by 02:00:00:00:00:01"


def test_a_candidate_behind_a_silent_holder_says_what_it_waits_for_and_what_ends_that() -> None:
    reports = heard("b", relocProblem=f"web waits: {WAITING}")
    told = explained(*A_SILENT, LINKED, reports, state(candidate="b"))
    waits = stands(told)["b"].waits
    assert [(each.kind, each.server) for each in waits] == [(NeedKind.REPORTED, "b"), (NeedKind.HOLDER_DEAD, "a")]
    assert (waits[0].detail, waits[1].proofs) == (WAITING, (Proof.ADDRESSES_SILENT, Proof.FENCED))
    assert stands(told)["a"].waits == ()
    assert [each["kind"] for each in as_json(told)["servers"][1]["waits"]] == ["reported", "holder-dead"]
    assert WAITING in text(told)
    assert "relocd fence a" in text(told)


def test_a_candidate_behind_a_living_holder_waits_for_nothing_else() -> None:
    reports = heard("b", relocProblem=f"web waits: {WAITING}")
    assert stands(explained(*HELD, LINKED, reports, state(candidate="b")))["b"].waits == ()


def test_a_candidate_that_is_the_holder_is_none() -> None:
    """What two providers may leave that took orders at once."""
    assert explained(*HELD, state(candidate="a")).candidate == ""


def test_what_a_candidate_waits_for_is_no_problem_of_the_service() -> None:
    reports = heard("b", relocProblem=f"web waits: {WAITING}")
    told = explained(*A_SILENT, LINKED, reports, state(candidate="b"))
    assert stands(told)["b"].row.problems_of("web") == ()


def test_a_server_that_gave_the_service_back_is_shown_with_the_reason() -> None:
    why = "given back at 2026-01-01 00:00:00+00:00, for it could not be activated here: unit web.service failed"
    told = explained(*HELD, B, heard("b", relocProblem=f"web: {why}"))
    assert stands(told)["b"].part is Part.GAVE_BACK
    assert why in text(told)


def test_a_server_without_a_link_and_without_a_word_is_not_shown() -> None:
    assert "b" not in stands(explained(*HELD, B, heard("b", relocProblem="web: something else")))


def test_the_rules_are_named_with_their_page() -> None:
    told = explained(*HELD)
    page = Path(__file__).parents[4] / as_json(told)["rules"]
    assert text(told).rstrip().endswith(as_json(told)["rules"])
    assert [f"| R{number} |" in page.read_text() for number in range(1, 10)] == [True] * 9


class TestHealth:
    """A service that failed by its health, or would."""

    AUTOMATIC = entries.cluster("pair", services=["web"], active="a", relocFailover="automatic")
    SICK = heard("a", active="web", failed="web")
    FAILED = heard("b", standby="web", failed="web", relocProblem="web: failed here by its health: HTTP 500")

    def test_an_unhealthy_holder_hands_over_also_where_its_link_outranks_the_candidate(self) -> None:
        pair = entries.cluster("pair", services=["web"], active="b")
        told = explained(HELD[0], PAIR[1], pair, self.SICK, heard("b", standby="web"), state(candidate="b"))
        assert (stands(told)["a"].rule, stands(told)["a"].does) == ("R6", "HandOver")
        assert stands(told)["a"].reports == "unhealthy"

    def test_it_serves_on_where_no_other_server_is_ready(self) -> None:
        about = stands(explained(HELD[0], self.SICK, state()))["a"]
        assert (about.rule, about.does) == ("R6", "Keep")

    def test_a_server_where_it_failed_does_not_ask_and_needs_a_retry(self) -> None:
        told = explained(*HELD, LINKED, self.FAILED)
        assert (stands(told)["b"].rule, stands(told)["b"].does) == ("R2", "Keep")
        assert needs(stands(told)["b"]) == [(NeedKind.RETRY, "b")]
        assert "relocd retry web on b" in text(told)

    def test_one_whose_own_checks_fail_needs_these_to_pass(self) -> None:
        told = explained(*HELD, LINKED, heard("b", standby="web", failed="web"))
        assert needs(stands(told)["b"]) == [(NeedKind.SERVER_HEALTHY, "b")]

    def test_an_order_lets_it_be_tried_again(self) -> None:
        told = explained(CLUSTER, *PAIR, heard("a", active="web"), self.FAILED, state())
        assert needs(stands(told)["b"]) == [(NeedKind.MOVE, "b")]

    @pytest.mark.parametrize(
        ("found", "expected"),
        [
            pytest.param([*HELD], "a", id="no other server"),
            pytest.param([CLUSTER, *PAIR, *HELD[1:], heard("b", standby="web")], "a", id="a manual cluster"),
            pytest.param([AUTOMATIC, *PAIR, *HELD[1:], heard("b", standby="web")], "b", id="an automatic cluster"),
            pytest.param([AUTOMATIC, *PAIR, *HELD[1:], FAILED], "a", id="it has failed there as well"),
            pytest.param([AUTOMATIC, *PAIR, SICK, state(), heard("b", standby="web")], "", id="unhealthy already"),
            pytest.param([LINKED, heard("b")], "", id="no holder"),
        ],
    )
    def test_where_it_would_go_is_foreseen(self, found: list[Entry], expected: str) -> None:
        told = explained(*found)
        assert told.if_unhealthy == expected
        assert as_json(told)["if_unhealthy"] == (expected or None)
        assert ("if it failed its health checks on" in text(told)) == bool(expected)
