"""What an order changes: entries in, modifications out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relocd.errors import Invalid
from relocd.model.dn import DN
from relocd.model.entries import Cluster, Server
from relocd.model.writes import Add, Delete, Replace
from relocd.operator.moves import Move, activate, failover, fence, link, successor, unfence, unlink
from tests import entries

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


def changes(move: Move) -> list[tuple[str, object]]:
    return [(each.dn.name, change) for each in move.modifications for change in each.changes]


class TestOneOrder:
    @pytest.mark.parametrize(
        ("move", "expected"),
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
    def test_changes_what_is_not_so_yet_and_says_it(self, move: Move, expected: list[tuple[str, object]]) -> None:
        assert changes(move) == expected
        assert bool(move.done) == bool(expected)
        assert bool(move.already) != bool(expected)

    def test_links_are_one_modify_and_only_the_missing_ones(self) -> None:
        move = link(server("b", "fax"), names("web", "fax", "mail"))
        assert changes(move) == [("b", Add(LINK, values("mail", "web")))]
        assert move.already == ("b is already linked to fax",)

    def test_who_is_no_member_cannot_be_active(self) -> None:
        with pytest.raises(Invalid, match="is no member of cn=pair"):
            activate(cluster("pair"), server("b"))


class TestFailover:
    def test_fences_first_then_links_then_activates(self) -> None:
        lost, target = server("a", "web", "fax"), server("b", clusters=("pair",))
        assert changes(failover(lost, target, [cluster("pair", "a")], fenced=True)) == [
            ("a", Replace("relocFenced", (b"TRUE",))),
            ("b", Add(LINK, values("fax", "web"))),
            ("pair", Replace("relocActive", values("b"))),
        ]

    def test_a_cluster_of_which_the_target_is_no_member_holds_up_nothing_else(self) -> None:
        move = failover(server("a", "web"), server("b"), [cluster("pair", "a")], fenced=False)
        assert changes(move) == [("b", Add(LINK, values("web")))]
        assert "is no member of cn=pair" in move.problems[0]

    def test_of_a_server_that_is_chosen_for_nothing_says_so(self) -> None:
        assert failover(server("a"), server("b"), [], fenced=False) == Move(already=("a is chosen for nothing",))

    def test_to_itself_is_refused(self) -> None:
        with pytest.raises(Invalid, match="--to"):
            failover(server("a", "web"), server("a", "web"), [], fenced=True)


class TestSuccessor:
    @pytest.mark.parametrize(
        "peer",
        [server("b", "web"), server("b", clusters=("pair",))],
        ids=["a service in common", "a cluster in common"],
    )
    def test_is_the_only_other_one_with(self, peer: Server) -> None:
        lost = server("a", "web", clusters=("pair",))
        assert successor(lost, [lost, peer, server("c", "fax")]) is peer

    @pytest.mark.parametrize(
        ("peers", "named"),
        [
            ([], "no other server"),
            ([server("b", "web", relocFenced="TRUE")], "no other server"),
            ([server("b", "web"), server("c", "web")], f"{entries.dn('b')}, {entries.dn('c')}"),
        ],
        ids=["nobody", "only a fenced one", "several"],
    )
    def test_else_somebody_must_say(self, peers: list[Server], named: str) -> None:
        with pytest.raises(Invalid, match="--to") as refused:
            successor(server("a", "web"), peers)
        assert named in str(refused.value)


_services = st.frozensets(st.sampled_from(["web", "fax", "mail", "db"]))


@given(_services, _services, st.booleans(), st.booleans(), st.booleans())
def test_what_an_order_asks_for_is_so_after_it(
    mine: frozenset[str], theirs: frozenset[str], active: bool, fenced: bool, was_fenced: bool
) -> None:
    """Applied to the entries, a failover leaves nothing to do, and takes no link from anybody."""

    def order() -> Move:
        return failover(lost, target, [group] if group.active == lost.dn else [], fenced=fenced)

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
