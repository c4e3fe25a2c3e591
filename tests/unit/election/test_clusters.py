"""Who should be the active member of a cluster, and why: examples, and every combination of three members."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from relocd.election.clusters import ClusterView, Member, Succession, Vacancy, precedence, succession
from relocd.election.observation import Life
from relocd.model.entries import EntryUUID, Failover
from relocd.model.status import Mode
from tests.support.entries import cluster, dn, server, understood

READY_S = 600.0


def member(name: str, **more) -> Member:
    return Member(EntryUUID(name), name, **more)


A, B, C = (member(name) for name in "abc")
SICK = frozenset({"web"})
GONE = {"life": Life.SUSPECT}


def view(active: Member | None, *members: Member, failover: Failover = Failover.AUTOMATIC, **more) -> ClusterView:
    return ClusterView(failover, members, active, **more)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(view(A, A, B, C), None, id="active serves"),
        pytest.param(view(None, A, B), (Vacancy.MISSING, "ab"), id="no active"),
        pytest.param(view(None, replace(A, **GONE), B), (Vacancy.MISSING, "b"), id="no active, first is silent"),
        pytest.param(view(replace(A, life=Life.DEAD), A, B, C), (Vacancy.DEAD, "bc"), id="dead"),
        pytest.param(view(replace(A, fenced=True), A, B), (Vacancy.FENCED, "b"), id="fenced"),
        pytest.param(view(replace(A, **GONE), A, B), None, id="silent is not dead"),
        pytest.param(view(replace(A, mode=Mode.DRAINED), A, B, C), (Vacancy.DRAINED, "bc"), id="drained"),
        pytest.param(view(replace(A, mode=Mode.PAUSED, failed=SICK), A, B), None, id="paused stays, even sick"),
        pytest.param(view(replace(A, failed=SICK), A, B, C), (Vacancy.FAILED, "bc"), id="sick"),
        pytest.param(
            view(replace(A, failed=SICK), A, replace(B, failed=SICK), C), (Vacancy.FAILED, "c"), id="sick two"
        ),
        pytest.param(view(replace(A, failed=SICK), A, replace(B, failed=SICK)), None, id="sick everywhere stays"),
        pytest.param(view(replace(A, failed=SICK), A, B, health_moves_spent=True), None, id="moved too often"),
        pytest.param(
            view(replace(A, life=Life.DEAD), replace(B, failed=SICK), C), (Vacancy.DEAD, "c"), id="healthy first"
        ),
        pytest.param(
            view(replace(A, life=Life.DEAD), replace(B, failed=SICK)), (Vacancy.DEAD, "b"), id="sick beats none"
        ),
        pytest.param(view(replace(A, mode=Mode.DRAINED), replace(B, failed=SICK)), None, id="drained gives to no sick"),
        pytest.param(
            view(replace(A, life=Life.DEAD), replace(B, mode=Mode.DRAINED), replace(C, fenced=True)),
            None,
            id="no taker",
        ),
    ],
)
def test_examples(seen: ClusterView, expected: tuple[Vacancy, str] | None) -> None:
    found = succession(seen)
    assert (found and (found.vacancy, "".join(found.takers))) == expected


PREFERRED = replace(C, preferred=True, ready_s=READY_S)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(view(A, PREFERRED, A, failback_s=READY_S), "c", id="ready for so long"),
        pytest.param(view(A, PREFERRED, A, failback_s=READY_S + 1), "", id="not for so long yet"),
        pytest.param(view(A, PREFERRED, A), "", id="absent is never"),
        pytest.param(view(A, replace(PREFERRED, ready_s=None), A, failback_s=0.0), "", id="not known to be ready"),
        pytest.param(view(A, replace(PREFERRED, preferred=False), A, failback_s=0.0), "", id="not preferred"),
        pytest.param(view(replace(A, preferred=True), PREFERRED, A, failback_s=0.0), "", id="active is preferred"),
        pytest.param(view(A, PREFERRED, A, failback_s=0.0, settled=False), "", id="during a handover"),
        pytest.param(view(replace(A, **GONE), PREFERRED, failback_s=0.0), "", id="active is silent"),
        pytest.param(view(A, replace(PREFERRED, failed=SICK), A, failback_s=0.0), "", id="failed there"),
        pytest.param(view(A, replace(PREFERRED, mode=Mode.DRAINED), A, failback_s=0.0), "", id="drained"),
        pytest.param(view(A, PREFERRED, A, failback_s=0.0, failover=Failover.MANUAL), "", id="manual"),
        pytest.param(
            view(A, replace(B, preferred=True, ready_s=READY_S), PREFERRED, A, failback_s=0.0), "bc", id="two of them"
        ),
    ],
)
def test_failback(seen: ClusterView, expected: str) -> None:
    found = succession(seen)
    assert "".join(found.takers if found else ()) == expected
    assert found is None or found.vacancy is Vacancy.FAILBACK


@pytest.mark.parametrize(
    ("preferred", "expected"), [((), "abc"), (("c",), "cab"), (("c", "b"), "bca"), (("x",), "abc"), (("C ",), "cab")]
)
def test_preferred_members_come_before_all_others_and_each_group_in_order_of_names(preferred, expected):
    found = understood(cluster("pair", relocPreferred=[dn(name) for name in preferred]))
    members = [understood(server(name, clusters=["pair"])) for name in "bca"]
    assert "".join(each.name for each in precedence(found, members)) == expected


def test_the_reason_names_service_and_server():
    assert succession(view(replace(A, failed=frozenset({"web", "mail"})), A, B)) == Succession(
        Vacancy.FAILED, "mail, web failed on a", (B.server,)
    )


STATES = {
    "serves": {},
    "sick": {"failed": SICK},
    "silent": GONE,
    "dead": {"life": Life.DEAD},
    "drained": {"mode": Mode.DRAINED},
    "paused": {"mode": Mode.PAUSED},
    "fenced": {"fenced": True},
}
SIDES = [
    (state, preferred, ready_s) for state in STATES for preferred in (False, True) for ready_s in (None, 5.0, READY_S)
]
CLUSTERS = list(product(Failover, (None, READY_S), (False, True), (False, True)))


@pytest.mark.parametrize("active_state", ["missing", *STATES])
@pytest.mark.parametrize("active_preferred", [False, True])
def test_every_combination_is_decided_as_the_table_says(active_state: str, active_preferred: bool) -> None:
    active = None if active_state == "missing" else replace(A, preferred=active_preferred, **STATES[active_state])
    for first, second in product(SIDES, SIDES):
        others = [
            replace(each, preferred=preferred, ready_s=ready_s, **STATES[state])
            for each, (state, preferred, ready_s) in ((B, first), (C, second))
        ]
        members = tuple(sorted(filter(None, (active, *others)), key=lambda each: (not each.preferred, each.name)))
        for failover, failback_s, settled, spent in CLUSTERS:
            seen = ClusterView(
                failover, members, active, failback_s=failback_s, settled=settled, health_moves_spent=spent
            )
            found = succession(seen)
            assert (found.vacancy if found else None, list(found.takers) if found else []) == expected(
                seen, active_state, {B.server: first, C.server: second}
            ), seen


def expected(seen: ClusterView, active: str, others: dict) -> tuple[Vacancy | None, list[EntryUUID]]:
    """The table of the module, once more, from the names of the states."""
    ordered = [each.server for each in seen.members if each.server in others]
    able = [each for each in ordered if others[each][0] in {"serves", "sick"}]
    well = [each for each in able if others[each][0] == "serves"]
    ready = [each for each in well if others[each][1] and others[each][2] == READY_S]
    automatic = seen.failover is Failover.AUTOMATIC
    falls_back = automatic and seen.settled and seen.failback_s and not (seen.active and seen.active.preferred)
    takers = {
        "missing": (Vacancy.MISSING, (well or able) if automatic else []),
        "fenced": (Vacancy.FENCED, (well or able) if automatic else []),
        "dead": (Vacancy.DEAD, (well or able) if automatic else []),
        "drained": (Vacancy.DRAINED, well if seen.failover is not Failover.EXTERNAL else []),
        "sick": (Vacancy.FAILED, well if automatic and not seen.health_moves_spent else []),
        "serves": (Vacancy.FAILBACK, ready if falls_back else []),
    }
    vacancy, found = takers.get(active, (None, []))
    return (vacancy, found) if found else (None, [])
