"""Who takes over what from a server: servers, clusters and statuses in, modifications out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relocd.errors import Invalid
from relocd.model.entries import Cluster, Server
from relocd.model.status import status_of
from relocd.model.writes import Add, Delete, Replace
from relocd.operator.change.changes import OrderPlan
from relocd.operator.change.failover import LostServer, failover
from relocd.operator.change.obstacle import Obstacle, ObstacleKind
from relocd.operator.status.health import ServerRow
from relocd.operator.status.view import now_of, server_view
from tests.support import entries
from tests.unit.operator.change.test_changes import LINK, changes, cluster, names, server, values


def row(known: Server, *, age_s: float = 1.0, **more: str) -> ServerRow:
    """The row of a server that was heard so long ago."""
    status = entries.status(known.name, relocLease="10", **more)
    return server_view(known, status_of(status), now_of([status], 0) + age_s)


def never(known: Server) -> ServerRow:
    return server_view(known, None, 0.0)


def understood_cluster(name: str, **more: object) -> Cluster:
    found = entries.understood(entries.cluster(name, **more))
    assert isinstance(found, Cluster)
    return found


A = row(server("a", "web", "fax"))
B = row(server("b", clusters=("pair",)))


class TestToOne:
    def test_fences_first_then_links_then_activates(self) -> None:
        loss = LostServer(row(server("a", "web", "fax"), age_s=60), clusters=(cluster("pair", "a"),))
        assert changes(failover(loss, B, fenced=True)) == [
            ("a", Replace("relocFenced", (b"TRUE",))),
            ("b", Add(LINK, values("fax", "web"))),
            ("pair", Replace("relocActive", values("b"))),
        ]

    def test_a_cluster_of_which_the_target_is_no_member_holds_up_nothing_else(self) -> None:
        move = failover(LostServer(A, clusters=(cluster("pair", "a"),)), row(server("b")), fenced=False)
        assert changes(move) == [("b", Add(LINK, values("fax", "web")))]
        assert [(each.kind, each.cluster) for each in move.problems] == [
            (ObstacleKind.NOT_A_MEMBER, entries.dn("pair"))
        ]

    def test_of_a_server_that_is_chosen_for_nothing_says_so(self) -> None:
        order = failover(LostServer(row(server("a"))), B, fenced=False)
        assert order == OrderPlan(already=order.already)
        assert len(order.already) == 1

    def test_to_itself_is_refused(self) -> None:
        with pytest.raises(Invalid, match="--to"):
            failover(LostServer(A), A, fenced=True)

    def test_what_is_held_without_a_link_moves_too(self) -> None:
        loss = LostServer(row(server("a")), held=frozenset(names("mail")))
        assert changes(failover(loss, B, fenced=False)) == [("b", Add(LINK, values("mail")))]

    def test_what_another_one_holds_stays_there(self) -> None:
        loss = LostServer(A, elsewhere={names("fax")[0]: "c"})
        move = failover(loss, B, fenced=False)
        assert changes(move) == [("b", Add(LINK, values("web")))]
        assert len(move.already) == 1


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        pytest.param(row(server("b", relocFenced="TRUE")), Obstacle(ObstacleKind.TARGET_FENCED, "b"), id="fenced"),
        pytest.param(
            row(server("b"), relocMode="drained"),
            Obstacle(ObstacleKind.TARGET_MODE, "b", detail="drained"),
            id="drained",
        ),
        pytest.param(
            row(server("b"), relocMode="paused"),
            Obstacle(ObstacleKind.TARGET_MODE, "b", detail="paused"),
            id="paused",
        ),
    ],
)
def test_a_target_that_may_take_over_nothing_is_refused_and_nothing_is_changed(
    target: ServerRow, expected: Obstacle
) -> None:
    order = failover(LostServer(A), target, fenced=True)
    assert (order.modifications, order.problems) == ((), (expected,))


@pytest.mark.parametrize("target", [row(server("b"), age_s=30), never(server("b"))], ids=["silent", "never heard"])
def test_a_target_that_is_silent_is_linked_with_a_warning(target: ServerRow) -> None:
    order = failover(LostServer(A), target, fenced=False)
    assert changes(order) == [("b", Add(LINK, values("fax", "web")))]
    assert [each.kind for each in order.warnings] == [ObstacleKind.TARGET_SILENT]


@pytest.mark.parametrize(
    ("lost", "fenced", "kind"),
    [
        (row(server("a", "web"), age_s=30), False, ObstacleKind.LOST_SILENT),
        (A, True, ObstacleKind.FENCED_ALIVE),
    ],
    ids=["silent and not fenced", "heard just now"],
)
def test_what_contradicts_the_loss_is_a_warning(lost: ServerRow, fenced: bool, kind: ObstacleKind) -> None:
    assert [each.kind for each in failover(LostServer(lost), B, fenced=fenced).warnings] == [kind]


class TestWithoutAWord:
    def test_each_service_goes_to_who_shares_it_by_one_modify_for_each(self) -> None:
        b, c = row(server("b", clusters=("pair",))), row(server("c", "web", clusters=("pair", "trio")))
        loss = LostServer(A, clusters=(cluster("pair", "a"), cluster("trio", "a")), peers=(b, c), elsewhere={})
        with pytest.raises(Invalid, match="--to"):
            failover(loss, None, fenced=False)  # nobody shares fax
        loss = LostServer(row(server("a", "web")), clusters=loss.clusters, peers=(b, c))
        assert changes(failover(loss, None, fenced=False)) == [
            ("pair", Replace("relocActive", values("b"))),
            ("trio", Replace("relocActive", values("c"))),
        ]

    def test_the_first_that_is_alive_takes_it(self) -> None:
        members = (row(server("b", clusters=("pair",)), age_s=30), row(server("c", clusters=("pair",))))
        loss = LostServer(row(server("a", clusters=("pair",))), clusters=(cluster("pair", "a"),), peers=members)
        assert changes(failover(loss, None, fenced=False)) == [("pair", Replace("relocActive", values("c")))]

    @pytest.mark.parametrize(
        ("preferred", "failed", "expected"),
        [((), (), "b"), (("c",), (), "c"), (("c",), ("c",), "b"), (("c",), ("b", "c"), "c"), (("c", "b"), (), "b")],
        ids=["by name", "preferred", "failed there", "failed everywhere", "two preferred"],
    )
    def test_a_cluster_goes_where_it_would_go_by_itself(self, preferred, failed, expected) -> None:
        members = tuple(
            row(server(name, clusters=("pair",)), **{"relocFailedService": entries.dn("web")} if name in failed else {})
            for name in "bc"
        )
        pair = understood_cluster("pair", services=["web"], active="a", relocPreferred=list(map(entries.dn, preferred)))
        loss = LostServer(row(server("a", clusters=("pair",))), clusters=(pair,), peers=members)
        assert changes(failover(loss, None, fenced=False)) == [("pair", Replace("relocActive", values(expected)))]

    def test_the_only_one_takes_it_dead_or_alive(self) -> None:
        move = failover(LostServer(A, peers=(never(server("b", "web")),)), None, fenced=False)
        assert changes(move) == [("b", Add(LINK, values("fax")))]

    @pytest.mark.parametrize(
        ("peers", "named"),
        [
            ([], []),
            ([row(server("b", "mail", relocFenced="TRUE"))], []),
            ([row(server("b", "mail")), row(server("c", "mail"))], ["b", "c"]),
        ],
        ids=["nobody", "only a fenced one", "several"],
    )
    def test_else_somebody_must_say(self, peers: list[ServerRow], named: list[str]) -> None:
        with pytest.raises(Invalid, match="--to") as refused:
            failover(LostServer(A, peers=tuple(peers)), None, fenced=False)
        assert [name for name in "bc" if entries.dn(name) in str(refused.value)] == named


_services = st.frozensets(st.sampled_from(["web", "fax", "mail", "db"]))


@given(_services, _services, st.booleans(), st.booleans(), st.booleans())
def test_what_an_order_asks_for_is_so_after_it(
    mine: frozenset[str], theirs: frozenset[str], active: bool, fenced: bool, was_fenced: bool
) -> None:
    """Applied to the entries, a failover leaves nothing to do, and takes no link from anybody."""

    def order() -> OrderPlan:
        clusters = (group,) if group.active == lost.dn else ()
        return failover(LostServer(row(lost), clusters=clusters), row(target), fenced=fenced)

    was = {"relocFenced": "TRUE"} if was_fenced else {}
    lost, target = server("a", *mine, **was), server("b", *theirs, clusters=("pair",))
    group = cluster("pair", "a" if active else "b")
    before = changes(order())
    assert not [change for _, change in before if isinstance(change, Delete)]
    for name, change in before:
        match name, change:
            case "a", Replace():
                lost = server("a", *mine, relocFenced="TRUE")
            case "b", Add():
                target = server("b", *theirs, *mine, clusters=("pair",))
            case "pair", Replace():
                group = cluster("pair", "b")
    assert order().modifications == ()
