"""What refuses an order, and what only warns: servers and a service in, obstacles out."""

from __future__ import annotations

import pytest

from relocd.model.entries import Entry
from relocd.model.writes import Add
from relocd.operator.change.obstacle import Obstacle, ObstacleKind, Proof, as_json
from relocd.operator.change.preflight import fence_preflight, lost_preflight, target_preflight
from relocd.operator.status.health import ServerRow
from tests.support import entries
from tests.unit.operator.change.test_changes import LINK, changes, moved, server, values
from tests.unit.operator.change.test_failover import never, row
from tests.unit.operator.views import HELD, B, heard

ADDRESSES = (Proof.ADDRESSES_SILENT, Proof.FENCED)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param([*HELD, B], Obstacle(ObstacleKind.TARGET_SILENT, "b"), id="never heard"),
        pytest.param(
            [*HELD, B, heard("b", lease="0.5")],
            Obstacle(ObstacleKind.TARGET_SILENT, "b", seconds=1, lease_s=0.5),
            id="silent",
        ),
        pytest.param(
            [*HELD, B, heard("b", relocProblem="web: no set x")],
            Obstacle(ObstacleKind.TARGET_PROBLEM, "b", "web", detail="no set x"),
            id="unready",
        ),
        pytest.param(
            [*HELD[::2], heard("a", lease="0.5"), B, heard("b")],
            Obstacle(ObstacleKind.HOLDER_SILENT, "a", "web", seconds=1, lease_s=0.5, proofs=ADDRESSES),
            id="the holder is silent",
        ),
        pytest.param(
            [*HELD[::2], heard("a", relocMode="paused"), B, heard("b")],
            Obstacle(ObstacleKind.HOLDER_PAUSED, "a", "web"),
            id="the holder is paused",
        ),
        pytest.param(
            [entries.state("web", holder="ghost"), B, heard("b")],
            Obstacle(ObstacleKind.HOLDER_WITHOUT_ENTRY, entries.dn("ghost"), "web", proofs=(Proof.ADDRESSES_SILENT,)),
            id="no holder's entry",
        ),
        pytest.param(
            [*HELD[:2], entries.server("c"), entries.state("web", holder="a", candidate="c"), B, heard("b")],
            Obstacle(ObstacleKind.OTHER_CANDIDATE, "c", "web"),
            id="another candidate",
        ),
        pytest.param(
            [
                *HELD,
                entries.server("b", services=["prime"]),
                heard("b"),
                entries.service("prime", relocAddress="192.0.2.11/24", relocDisplaces=entries.dn("web")),
                entries.state("prime", holder="b"),
            ],
            Obstacle(ObstacleKind.DISPLACED, "b", "web", detail="prime"),
            id="displaced",
        ),
    ],
)
def test_a_move_that_takes_effect_later_is_done_with_a_warning(found: list[Entry], expected: Obstacle) -> None:
    """Nothing is taken from the holder, so the order may stand until it can be carried out."""
    order = moved(*found)
    assert changes(order) == [("b", Add(LINK, values("web")))]
    assert (order.warnings, order.problems) == ((expected,), ())


def test_a_fenced_or_released_holder_needs_no_proof() -> None:
    fenced = entries.server("a", services=["web"], relocFenced="TRUE")
    assert moved(fenced, entries.state("web", holder="a"), B, heard("b")).warnings == ()
    gone = [*HELD[::2], heard("a", lease="0.4"), B, heard("b")]
    assert moved(*gone, relocIsolation="release").warnings == ()


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        pytest.param(row(server("b"), age_s=30), (ObstacleKind.TARGET_SILENT, 30), id="silent"),
        pytest.param(row(server("b"), age_s=30, relocMode="drained"), (ObstacleKind.TARGET_SILENT, 30), id="drained"),
        pytest.param(never(server("b")), (ObstacleKind.TARGET_SILENT, None), id="never heard"),
        pytest.param(row(server("b"), relocProblem="web: no"), (ObstacleKind.TARGET_PROBLEM, None), id="unready"),
    ],
)
def test_a_target_that_cannot_take_over_now_is_no_refusal(
    target: ServerRow, expected: tuple[ObstacleKind, float | None]
) -> None:
    found = target_preflight(target, ["web"])
    assert [(each.kind, each.seconds) for each in found.warnings] == [expected]
    assert found.refusals == ()


def test_a_lost_server_that_is_not_fenced_has_to_be_proved_dead() -> None:
    silent = row(server("a"), age_s=30)
    assert lost_preflight(silent).warnings == (Obstacle(ObstacleKind.LOST_SILENT, "a", seconds=30, lease_s=10),)
    assert lost_preflight(row(server("a"))).warnings == ()
    assert lost_preflight(row(server("a", relocFenced="TRUE"), age_s=30)).warnings == ()


@pytest.mark.parametrize(("age_s", "warned"), [(1, True), (-7200, True), (30, False)])
def test_a_fence_for_a_server_that_was_heard_just_now_is_warned_of(age_s: float, warned: bool) -> None:
    """Also where the time of the heartbeat is in the future, so that nobody knows how old it is."""
    expected = (Obstacle(ObstacleKind.FENCED_ALIVE, "a", seconds=age_s, lease_s=10),)
    assert fence_preflight(row(server("a"), age_s=age_s)).warnings == (expected if warned else ())


class TestSentence:
    def test_each_kind_makes_one_of_its_fields_and_names_what_it_is_about(self) -> None:
        for kind in ObstacleKind:
            found = str(Obstacle(kind, "serverA", "serviceB", "clusterC", 30.0, 10.0, "others", tuple(Proof)))
            assert {word for word in ("serverA", "serviceB") if word in found}, kind

    @pytest.mark.parametrize(
        ("obstacle", "command"),
        [
            (Obstacle(ObstacleKind.TARGET_FENCED, "b"), "relocd unfence b"),
            (Obstacle(ObstacleKind.TARGET_MODE, "b", detail="drained"), "relocd resume"),
            (Obstacle(ObstacleKind.HOLDER_PAUSED, "a", "web"), "relocd resume"),
            (Obstacle(ObstacleKind.MOVES_WITH_OTHERS, "b", "web", "pair", detail="fax"), "relocd activate pair b"),
            (
                Obstacle(ObstacleKind.HOLDER_SILENT, "a", "web", seconds=9, lease_s=3, proofs=ADDRESSES),
                "relocd fence a",
            ),
            (Obstacle(ObstacleKind.LOST_SILENT, "a", seconds=9, lease_s=3), "relocd fence a"),
        ],
        ids=lambda value: value.kind if isinstance(value, Obstacle) else None,
    )
    def test_it_names_the_command_that_ends_it(self, obstacle: Obstacle, command: str) -> None:
        assert command in str(obstacle)

    def test_a_whole_one(self) -> None:
        obstacle = Obstacle(ObstacleKind.HOLDER_SILENT, "a", "web", seconds=30, lease_s=10, proofs=ADDRESSES)
        assert str(obstacle) == (
            "the holder a has been silent for 30 s (lease 10 s): others take over when the addresses of web do not "
            "answer either, or relocd fence a confirms that it is powered off"
        )
        assert as_json(obstacle) == {
            "kind": "holder-silent",
            "server": "a",
            "service": "web",
            "cluster": None,
            "seconds": 30,
            "proofs": ["addresses-silent", "fenced"],
            "what": str(obstacle),
        }
