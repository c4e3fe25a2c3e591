"""Who takes over what from a server: servers, clusters and statuses in, modifications out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relocd.errors import Invalid
from relocd.model.entries import Server
from relocd.model.status import status_of
from relocd.model.writes import Add, Delete, Replace
from relocd.operator.change.changes import OrderPlan
from relocd.operator.change.failover import LostServer, failover
from relocd.operator.status.health import ServerRow
from relocd.operator.status.view import now_of, server_view
from tests.support import entries
from tests.unit.operator.change.test_changes import LINK, changes, cluster, names, server, values


def seen(known: Server, *, age_s: float = 1.0, **said: str) -> ServerRow:
    """A server that was heard so long ago."""
    status = entries.status(known.name, relocLease="10", **said)
    return server_view(known, status_of(status), now_of([status], 0) + age_s)


def never(known: Server) -> ServerRow:
    return server_view(known, None, 0.0)


A = seen(server("a", "web", "fax"))
B = seen(server("b", clusters=("pair",)))


class TestToOne:
    def test_fences_first_then_links_then_activates(self) -> None:
        loss = LostServer(seen(server("a", "web", "fax"), age_s=60), clusters=(cluster("pair", "a"),))
        assert changes(failover(loss, B, fenced=True)) == [
            ("a", Replace("relocFenced", (b"TRUE",))),
            ("b", Add(LINK, values("fax", "web"))),
            ("pair", Replace("relocActive", values("b"))),
        ]

    def test_a_cluster_of_which_the_target_is_no_member_holds_up_nothing_else(self) -> None:
        move = failover(LostServer(A, clusters=(cluster("pair", "a"),)), seen(server("b")), fenced=False)
        assert changes(move) == [("b", Add(LINK, values("fax", "web")))]
        assert "is not a member of cn=pair" in move.problems[0]

    def test_of_a_server_that_is_chosen_for_nothing_says_so(self) -> None:
        assert failover(LostServer(seen(server("a"))), B, fenced=False) == OrderPlan(
            already=("a has no service to take over",)
        )

    def test_to_itself_is_refused(self) -> None:
        with pytest.raises(Invalid, match="--to"):
            failover(LostServer(A), A, fenced=True)

    def test_what_is_held_without_a_link_moves_too(self) -> None:
        loss = LostServer(seen(server("a")), held=frozenset(names("mail")))
        assert changes(failover(loss, B, fenced=False)) == [("b", Add(LINK, values("mail")))]

    def test_what_another_one_holds_stays_there(self) -> None:
        loss = LostServer(A, elsewhere={names("fax")[0]: "c"})
        move = failover(loss, B, fenced=False)
        assert changes(move) == [("b", Add(LINK, values("web")))]
        assert move.already == ("fax stays on c, which holds it",)


class TestPreflight:
    @pytest.mark.parametrize(
        ("target", "word"),
        [
            pytest.param(seen(server("b", relocFenced="TRUE")), "relocd unfence b", id="fenced"),
            pytest.param(seen(server("b"), relocMode="drained"), "b is drained", id="drained"),
            pytest.param(seen(server("b"), relocMode="paused"), "relocd resume", id="paused"),
        ],
    )
    def test_who_shall_take_nothing_is_refused_and_nothing_is_changed(self, target: ServerRow, word: str) -> None:
        move = failover(LostServer(A), target, fenced=True)
        assert move.modifications == ()
        assert word in move.problems[0]

    @pytest.mark.parametrize(
        ("target", "word"),
        [
            pytest.param(seen(server("b"), age_s=30), "b has been silent for 30 s (lease 10 s)", id="silent"),
            pytest.param(seen(server("b"), age_s=30, relocMode="drained"), "b has been silent", id="drained once"),
            pytest.param(never(server("b")), "b has never been heard", id="never heard"),
            pytest.param(seen(server("b"), relocProblem="web: no such set"), "b reports of web: no such", id="unready"),
        ],
    )
    def test_who_cannot_now_is_warned_of(self, target: ServerRow, word: str) -> None:
        move = failover(LostServer(A), target, fenced=False)
        assert changes(move) == [("b", Add(LINK, values("fax", "web")))]
        assert word in move.warnings[0]

    def test_a_silent_one_that_is_not_fenced_has_to_be_proved_dead(self) -> None:
        move = failover(LostServer(seen(server("a", "web"), age_s=30)), B, fenced=False)
        assert "relocd fence a" in move.warnings[0]

    def test_a_fence_for_one_that_was_heard_just_now_is_warned_of(self) -> None:
        assert "a was heard 1.0 s ago" in failover(LostServer(A), B, fenced=True).warnings[0]


class TestWithoutAWord:
    def test_each_service_goes_to_who_shares_it_by_one_modify_for_each(self) -> None:
        b, c = seen(server("b", clusters=("pair",))), seen(server("c", "web", clusters=("pair", "trio")))
        loss = LostServer(A, clusters=(cluster("pair", "a"), cluster("trio", "a")), peers=(b, c), elsewhere={})
        with pytest.raises(Invalid, match="--to"):
            failover(loss, None, fenced=False)  # nobody shares fax
        loss = LostServer(seen(server("a", "web")), clusters=loss.clusters, peers=(b, c))
        assert changes(failover(loss, None, fenced=False)) == [
            ("pair", Replace("relocActive", values("b"))),
            ("trio", Replace("relocActive", values("c"))),
        ]

    def test_the_first_that_is_alive_takes_it(self) -> None:
        members = (seen(server("b", clusters=("pair",)), age_s=30), seen(server("c", clusters=("pair",))))
        loss = LostServer(seen(server("a", clusters=("pair",))), clusters=(cluster("pair", "a"),), peers=members)
        assert changes(failover(loss, None, fenced=False)) == [("pair", Replace("relocActive", values("c")))]

    def test_the_only_one_takes_it_dead_or_alive(self) -> None:
        move = failover(LostServer(A, peers=(never(server("b", "web")),)), None, fenced=False)
        assert changes(move) == [("b", Add(LINK, values("fax")))]

    @pytest.mark.parametrize(
        ("peers", "named"),
        [
            ([], "no other server"),
            ([seen(server("b", "mail", relocFenced="TRUE"))], "no other server"),
            ([seen(server("b", "mail")), seen(server("c", "mail"))], f"{entries.dn('b')}, {entries.dn('c')}"),
        ],
        ids=["nobody", "only a fenced one", "several"],
    )
    def test_else_somebody_must_say(self, peers: list[ServerRow], named: str) -> None:
        with pytest.raises(Invalid, match="--to") as refused:
            failover(LostServer(A, peers=tuple(peers)), None, fenced=False)
        assert named in str(refused.value)


_services = st.frozensets(st.sampled_from(["web", "fax", "mail", "db"]))


@given(_services, _services, st.booleans(), st.booleans(), st.booleans())
def test_what_an_order_asks_for_is_so_after_it(
    mine: frozenset[str], theirs: frozenset[str], active: bool, fenced: bool, was_fenced: bool
) -> None:
    """Applied to the entries, a failover leaves nothing to do, and takes no link from anybody."""

    def order() -> OrderPlan:
        clusters = (group,) if group.active == lost.dn else ()
        return failover(LostServer(seen(lost), clusters=clusters), seen(target), fenced=fenced)

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
