"""What an order changes: entries in, modifications out, or why a move is refused."""

from __future__ import annotations

import pytest

from relocd.errors import Invalid
from relocd.model.dn import DN
from relocd.model.entries import Cluster, Entry, Server
from relocd.model.writes import Add, Delete, Replace
from relocd.operator.change.changes import OrderPlan, Placement, activate, fence, link, move, unfence, unlink
from relocd.operator.change.obstacle import Obstacle, ObstacleKind
from tests.support import entries
from tests.unit.operator.views import HELD, PAIR, B, heard, web_view

LINK = "relocServiceLink"


def names(*short: str) -> list[DN]:
    return [DN.parse(entries.dn(each)) for each in short]


def server(name: str, *services: str, clusters: tuple[str, ...] = (), **more: str) -> Server:
    value = entries.understood(entries.server(name, services=services, clusters=clusters, **more))
    assert isinstance(value, Server)
    return value


def cluster(name: str, active: str | None = None) -> Cluster:
    value = entries.understood(entries.cluster(name, active=active))
    assert isinstance(value, Cluster)
    return value


def values(*short: str) -> tuple[bytes, ...]:
    return tuple(entries.dn(each).encode() for each in short)


def moved(*found: Entry, to: str = "b", age_s: float = 1.0, **more: str) -> OrderPlan:
    return move(web_view(*found, age_s=age_s, **more), entries.uuid_of(to))


def changes(order: OrderPlan) -> list[tuple[str, object]]:
    return [(each.dn.name, change) for each in order.modifications for change in each.changes]


class TestOneOrder:
    @pytest.mark.parametrize(
        ("order", "expected"),
        [
            pytest.param(link(server("b"), names("web")), [("b", Add(LINK, values("web")))], id="link"),
            pytest.param(link(server("b", "web"), names("web")), [], id="linked already"),
            pytest.param(link(server("b", "web"), [DN.parse("CN=Web, OU=relocd,dc=example,DC=org")]), [], id="spelled"),
            pytest.param(unlink(server("b", "web"), *names("web")), [("b", Delete(LINK, values("web")))], id="unlink"),
            pytest.param(unlink(server("b", "fax"), *names("web")), [], id="not linked"),
            pytest.param(fence(server("b")), [("b", Replace("relocFenced", (b"TRUE",)))], id="fence"),
            pytest.param(fence(server("b", relocFenced="TRUE")), [], id="fenced already"),
            pytest.param(unfence(server("b", relocFenced="TRUE")), [("b", Replace("relocFenced"))], id="unfence"),
            pytest.param(unfence(server("b", relocFenced="FALSE")), [], id="not fenced"),
            pytest.param(
                activate(cluster("pair", "a"), server("b", clusters=("pair",))),
                [("pair", Replace("relocActive", values("b")))],
                id="activate",
            ),
            pytest.param(activate(cluster("pair", "b"), server("b", clusters=("pair",))), [], id="active already"),
        ],
    )
    def test_changes_what_is_not_so_yet_and_says_it(self, order: OrderPlan, expected: list[tuple[str, object]]) -> None:
        assert changes(order) == expected
        assert bool(order.done) == bool(expected)
        assert bool(order.already) != bool(expected)

    def test_links_are_one_modify_and_only_the_missing_ones(self) -> None:
        order = link(server("b", "fax"), names("web", "fax", "mail"))
        assert changes(order) == [("b", Add(LINK, values("mail", "web")))]
        assert len(order.already) == 1

    @pytest.mark.parametrize(
        ("more", "warned"),
        [
            ({"relocPreferred": entries.dn("a"), "relocFailback": "600", "relocFailover": "automatic"}, True),
            ({"relocPreferred": entries.dn("b"), "relocFailback": "600", "relocFailover": "automatic"}, False),
            ({"relocPreferred": entries.dn("a"), "relocFailover": "automatic"}, False),
            ({"relocFailback": "600", "relocFailover": "automatic"}, False),
            ({"relocPreferred": entries.dn("a"), "relocFailback": "600"}, False),
        ],
        ids=["falls back", "to the preferred one", "never", "none preferred", "manual"],
    )
    def test_a_member_from_which_the_cluster_falls_back_is_activated_with_a_warning(
        self, more: dict[str, str], warned: bool
    ) -> None:
        pair = entries.understood(entries.cluster("pair", active="a", **more))
        assert isinstance(pair, Cluster)
        (*warnings,) = activate(pair, server("b", clusters=("pair",))).warnings
        assert [(each.kind, each.cluster, each.detail, each.seconds) for each in warnings] == (
            [(ObstacleKind.FALLS_BACK, "pair", "a", 600.0)] if warned else []
        )

    def test_who_is_no_member_cannot_be_active(self) -> None:
        with pytest.raises(Invalid, match="cn=pair"):
            activate(cluster("pair"), server("b"))


class TestMove:
    def test_a_link_where_links_choose(self) -> None:
        order = moved(*HELD, B, heard("b"))
        assert changes(order) == [("b", Add(LINK, values("web")))]
        assert order.placements == (Placement(DN.parse(entries.dn("web")), DN.parse(entries.dn("b"))),)
        assert order.warnings == ()

    def test_the_active_server_where_a_cluster_chooses(self) -> None:
        pair = entries.cluster("pair", services=["web"], active="a")
        order = moved(pair, *PAIR, heard("a"), heard("b"), entries.state("web", holder="a"))
        assert changes(order) == [("pair", Replace("relocActive", values("b")))]

    def test_a_link_where_one_outranks_the_cluster(self) -> None:
        pair = entries.cluster("pair", services=["web"], active="b")
        a = entries.server("a", services=["web"], clusters=["pair"])
        order = moved(pair, a, PAIR[1], heard("a"), heard("b"), entries.state("web", holder="a"))
        assert changes(order) == [("b", Add(LINK, values("web")))]

    def test_a_link_for_who_is_no_member(self) -> None:
        pair = entries.cluster("pair", services=["web"], active="a")
        order = moved(pair, PAIR[0], B, heard("a"), heard("b"), entries.state("web", holder="a"))
        assert changes(order) == [("b", Add(LINK, values("web")))]

    def test_where_it_is_already_there_is_nothing_to_do(self) -> None:
        order = moved(*HELD, to="a")
        assert (order.modifications, order.done, order.problems, len(order.already)) == ((), (), (), 1)

    def test_a_holder_that_is_not_chosen_is_linked(self) -> None:
        assert changes(moved(B, heard("b"), entries.state("web", holder="b"))) == [("b", Add(LINK, values("web")))]


@pytest.mark.parametrize(
    ("found", "more", "expected"),
    [
        pytest.param(
            [*HELD, B],
            {"relocExclusive": "FALSE"},
            Obstacle(ObstacleKind.SERVICE_SHARED, "b", "web"),
            id="shared",
        ),
        pytest.param(
            [entries.cluster("pair", services=["web"], active="a", relocFailover="external"), *PAIR],
            {},
            Obstacle(ObstacleKind.SERVICE_EXTERNAL, "b", "web", "pair"),
            id="external",
        ),
        pytest.param(
            [entries.cluster("pair", services=["web", "fax"], active="a"), *PAIR],
            {},
            Obstacle(ObstacleKind.MOVES_WITH_OTHERS, "b", "web", "pair", detail="fax"),
            id="not alone",
        ),
        pytest.param(
            [*HELD, entries.server("b", relocFenced="TRUE"), heard("b")],
            {},
            Obstacle(ObstacleKind.TARGET_FENCED, "b"),
            id="fenced",
        ),
        pytest.param(
            [*HELD, B, heard("b", relocMode="drained")],
            {},
            Obstacle(ObstacleKind.TARGET_MODE, "b", detail="drained"),
            id="drained",
        ),
        pytest.param(
            [*HELD, B, heard("b", relocMode="paused")],
            {},
            Obstacle(ObstacleKind.TARGET_MODE, "b", detail="paused"),
            id="paused",
        ),
    ],
)
def test_a_move_is_refused(found: list[Entry], more: dict[str, str], expected: Obstacle) -> None:
    order = moved(*found, **more)
    assert (order.modifications, order.done, order.placements) == ((), (), ())
    assert order.problems == (expected,)
