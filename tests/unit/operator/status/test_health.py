"""What is wrong with a service or a server, and how severe that is: entries in, findings out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from relocd.model.entries import Entry, Server
from relocd.model.status import status_of
from relocd.operator.status.health import HealthFinding, HealthKind, HealthLevel
from relocd.operator.status.view import server_view
from tests.support import entries
from tests.unit.operator.views import LINKED, START, A, B, heard, web_row

BOTH = (A, LINKED)
WELL, SICK = heard("a", active="web"), heard("a", active="web", failed="web")
MEMBERS = {
    failover: [
        *(entries.server(name, clusters=["pair"]) for name in "ab"),
        entries.cluster("pair", services=["web"], active="a", relocFailover=failover),
    ]
    for failover in ("manual", "automatic")
}
Found = tuple[HealthKind, str]


def kinds(findings: Iterable[HealthFinding]) -> list[Found]:
    return [(each.kind, ", ".join(each.servers)) for each in findings]


class TestExclusive:
    @pytest.mark.parametrize(
        ("found", "age_s", "level", "expected"),
        [
            pytest.param([B, heard("b")], 1, HealthLevel.OK, [], id="chosen nowhere"),
            pytest.param(
                [A, heard("a", active="web"), entries.state("web", holder="a")], 1, HealthLevel.OK, [], id="held"
            ),
            pytest.param(
                [A, heard("a"), entries.state("web")],
                1,
                HealthLevel.CRITICAL,
                [(HealthKind.NO_HOLDER, "a"), (HealthKind.NOT_READY, "a")],
                id="no holder",
            ),
            pytest.param(
                [A, heard("a", active="web"), entries.state("web", holder="a")],
                11,
                HealthLevel.CRITICAL,
                [(HealthKind.HOLDER_SILENT, "a")],
                id="holder is silent",
            ),
            pytest.param(
                [A, heard("a", "20", active="web"), entries.state("web", holder="a")],
                11,
                HealthLevel.OK,
                [],
                id="own lease",
            ),
            pytest.param(
                [A, entries.state("web", holder="a")],
                1,
                HealthLevel.CRITICAL,
                [(HealthKind.HOLDER_SILENT, "a")],
                id="never heard",
            ),
            pytest.param(
                [
                    entries.server("a", services=["web"], relocFenced="TRUE"),
                    heard("a", active="web"),
                    entries.state("web", holder="a"),
                ],
                1,
                HealthLevel.CRITICAL,
                [(HealthKind.HOLDER_FENCED, "a")],
                id="holder is fenced",
            ),
            pytest.param(
                [B, heard("b"), entries.state("web", holder="b")],
                11,
                HealthLevel.WARNING,
                [(HealthKind.HOLDER_SILENT, "b"), (HealthKind.HOLDER_NOT_CHOSEN, "b")],
                id="silent, and nobody shall run it",
            ),
            pytest.param(
                [A, heard("a", failed="web"), entries.state("web", holder="a")],
                1,
                HealthLevel.CRITICAL,
                [(HealthKind.HOLDER_FAILED, "a")],
                id="holder failed",
            ),
            pytest.param(
                [
                    *(A, heard("a", active="web")),
                    *(entries.server("b", services=["web"]), heard("b", failed="web")),
                    entries.state("web", holder="a"),
                ],
                1,
                HealthLevel.WARNING,
                [(HealthKind.NOT_READY, "b"), (HealthKind.SERVICE_FAILED, "b")],
                id="another failed",
            ),
            pytest.param(
                [A, heard("a"), entries.state("web", holder="a")],
                1,
                HealthLevel.WARNING,
                [(HealthKind.HOLDER_NOT_ACTIVE, "a")],
                id="holder says nothing",
            ),
            pytest.param(
                [*BOTH, heard("a", active="web"), heard("b"), entries.state("web", holder="a")],
                1,
                HealthLevel.WARNING,
                [(HealthKind.NOT_READY, "b")],
                id="not ready",
            ),
            pytest.param(
                [A, heard("a", active="web"), entries.state("web", holder="a", candidate="a")],
                1,
                HealthLevel.OK,
                [],
                id="a candidate that is the holder is none",
            ),
            pytest.param(
                [*BOTH, heard("a", active="web"), heard("b"), entries.state("web", holder="a", candidate="b")],
                1,
                HealthLevel.WARNING,
                [(HealthKind.CANDIDATE_WAITS, "b")],
                id="candidate",
            ),
            pytest.param(
                [A, B, heard("a", active="web"), heard("b"), entries.state("web", holder="a", previous="b")],
                1,
                HealthLevel.WARNING,
                [(HealthKind.PREVIOUS_REMAINS, "b")],
                id="previous",
            ),
        ],
    )
    def test_is_judged(self, found: list[Entry], age_s: float, level: HealthLevel, expected: list[Found]) -> None:
        service = web_row(*found, age_s=age_s)
        assert (service.level, kinds(service.findings)) == (level, expected)

    @pytest.mark.parametrize(
        ("found", "level", "expected"),
        [
            pytest.param(
                [A, SICK, entries.state("web", holder="a")],
                HealthLevel.CRITICAL,
                [(HealthKind.HOLDER_UNHEALTHY, "a")],
                id="no other server",
            ),
            pytest.param(
                [*BOTH, SICK, heard("b", standby="web"), entries.state("web", holder="a", candidate="b")],
                HealthLevel.WARNING,
                [(HealthKind.HOLDER_UNHEALTHY, "a"), (HealthKind.CANDIDATE_WAITS, "b")],
                id="a candidate waits",
            ),
            pytest.param(
                [*MEMBERS["manual"], SICK, heard("b", standby="web"), entries.state("web", holder="a")],
                HealthLevel.CRITICAL,
                [(HealthKind.HOLDER_UNHEALTHY, "a")],
                id="a member stands by, and nothing moves by itself",
            ),
            pytest.param(
                [*MEMBERS["automatic"], SICK, heard("b", standby="web"), entries.state("web", holder="a")],
                HealthLevel.WARNING,
                [(HealthKind.HOLDER_UNHEALTHY, "a")],
                id="a member stands by that takes it by itself",
            ),
            pytest.param(
                [
                    *MEMBERS["automatic"],
                    SICK,
                    heard("b", standby="web", failed="web"),
                    entries.state("web", holder="a"),
                ],
                HealthLevel.CRITICAL,
                [(HealthKind.HOLDER_UNHEALTHY, "a"), (HealthKind.SERVICE_FAILED, "b")],
                id="it has failed on the other member as well",
            ),
            pytest.param(
                [
                    *MEMBERS["automatic"],
                    WELL,
                    heard("b", standby="web", failed="web"),
                    entries.state("web", holder="a"),
                ],
                HealthLevel.WARNING,
                [(HealthKind.SERVICE_FAILED, "b")],
                id="it has failed elsewhere",
            ),
        ],
    )
    def test_of_its_health_is_judged(self, found: list[Entry], level: HealthLevel, expected: list[Found]) -> None:
        service = web_row(*found)
        assert (service.level, kinds(service.findings)) == (level, expected)

    @pytest.mark.parametrize(
        ("found", "helps"),
        [
            pytest.param([A, SICK], "relocd move web SERVER", id="no other server"),
            pytest.param([*MEMBERS["manual"], SICK, heard("b", standby="web")], "relocd move web b", id="a member"),
            pytest.param(
                [*MEMBERS["automatic"], SICK, heard("b", standby="web", failed="web")], "relocd retry web", id="failed"
            ),
        ],
    )
    def test_what_would_help_an_unhealthy_one_is_said(self, found: list[Entry], helps: str) -> None:
        (first, *_) = web_row(*found, entries.state("web", holder="a")).findings
        assert helps in first.why

    def test_a_holder_without_an_entry_is_gone(self) -> None:
        service = web_row(A, heard("a"), entries.state("web", holder="ghost"))
        assert (service.level, service.holder) == (HealthLevel.CRITICAL, entries.dn("ghost"))
        assert (HealthKind.HOLDER_WITHOUT_ENTRY, entries.dn("ghost")) in kinds(service.findings)

    def test_standby_members_are_no_finding(self) -> None:
        pair = entries.cluster("pair", services=["web"], active="a")
        members = [entries.server(name, clusters=["pair"]) for name in "ab"]
        service = web_row(
            pair, *members, heard("a", active="web"), heard("b", standby="web"), entries.state("web", holder="a")
        )
        assert (service.chosen, service.standby, service.level) == (("a",), ("b",), HealthLevel.OK)

    def test_a_service_of_an_outside_cluster_manager_is_not_judged(self) -> None:
        pair = entries.cluster("pair", services=["web"], active="a", relocFailover="external")
        service = web_row(pair, entries.server("a", clusters=["pair"]), heard("a", active="web"))
        assert (service.external, service.chosen, service.level) == (("a",), (), HealthLevel.OK)

    def test_a_link_that_rests_asks_for_no_holder(self) -> None:
        other = entries.service("other", relocAddress="192.0.2.11/24", relocDisplaces=entries.dn("web"))
        both = entries.server("a", services=["web", "other"])
        service = web_row(other, both, heard("a", active="other"), entries.state("other", holder="a"))
        assert (service.chosen, service.standby, service.level) == ((), ("a",), HealthLevel.OK)


@pytest.mark.parametrize(
    ("found", "age_s", "expected"),
    [
        pytest.param([heard("a", active="web")], 1, [], id="runs"),
        pytest.param([heard("a")], 1, [(HealthKind.CHOSEN_NOT_ACTIVE, "a")], id="says nothing"),
        pytest.param([heard("a", active="web")], 11, [(HealthKind.CHOSEN_SILENT, "a")], id="silent"),
        pytest.param([heard("a", failed="web")], 1, [(HealthKind.SERVICE_FAILED, "a")], id="failed"),
    ],
)
def test_a_shared_service_never_is_critical(found: list[Entry], age_s: float, expected: list[Found]) -> None:
    service = web_row(A, *found, age_s=age_s, relocExclusive="FALSE")
    assert kinds(service.findings) == expected
    assert service.level <= HealthLevel.WARNING


SILENT = (HealthKind.SERVER_SILENT, 30, 10, "")


@pytest.mark.parametrize(
    ("found", "age_s", "expected"),
    [
        ([B, heard("b")], 1, []),
        ([B], 1, [(HealthKind.SERVER_NEVER_HEARD, None, None, "")]),
        ([B, heard("b")], 30, [SILENT]),
        ([B, heard("b")], -7200, [(HealthKind.CLOCK_AHEAD, 7200, 10, "")]),
        ([B, replace(heard("b"), csn="")], 1, [(HealthKind.NO_ENTRY_CSN, None, None, "")]),
        ([B, heard("b", relocMode="drained")], 1, [(HealthKind.SERVER_MODE, None, None, "drained")]),
        (
            [B, heard("b", relocProblem="web: no such set")],
            1,
            [(HealthKind.AGENT_PROBLEM, None, None, "web: no such set")],
        ),
        ([entries.server("b", relocFenced="TRUE"), heard("b")], 1, [(HealthKind.SERVER_FENCED, None, None, "")]),
        ([B, heard("b", "never")], 30, [SILENT]),
        ([B, heard("b", "1e999")], 30, [SILENT]),
        ([B, heard("b", "nan")], 30, [SILENT]),
        ([B, heard("b", "-1")], 30, [SILENT]),
        ([B, heard("b", "86401")], 30, [SILENT]),
    ],
)
def test_what_needs_attention_on_a_server(found: list[Entry], age_s: float, expected: list[tuple[object, ...]]) -> None:
    server, status = entries.understood(found[0]), status_of(found[1]) if found[1:] else None
    assert isinstance(server, Server)
    row = server_view(server, status, START + age_s)
    assert [(each.kind, each.seconds, each.lease_s, each.detail) for each in row.findings] == expected
    assert {each.servers for each in row.findings} <= {("b",)}
    assert row.level is (HealthLevel.WARNING if expected else HealthLevel.OK)


def test_each_kind_makes_a_sentence_of_its_fields() -> None:
    found = (HealthFinding(HealthLevel.OK, kind, ("a", "b"), 30.0, 10.0, "c") for kind in HealthKind)
    assert all(each.why for each in found)
    silent = HealthFinding(HealthLevel.WARNING, HealthKind.SERVER_SILENT, ("b",), 30.0, 10.0)
    assert silent.why == "silent for 30 s, its lease is 10"
