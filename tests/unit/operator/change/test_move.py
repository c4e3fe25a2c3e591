"""`relocd move`: entries in, the one modify out, or why it is refused."""

from __future__ import annotations

import pytest

from relocd.model.dn import DN
from relocd.model.entries import Entry, csn_time_s
from relocd.model.writes import Add, Replace
from relocd.operator.change.changes import OrderPlan, Placement, move
from relocd.operator.service_view import ServiceView, service_view
from tests.support import entries
from tests.unit.operator.change.test_changes import LINK, changes, values

START = csn_time_s(entries.csn(0)) or 0.0
WEB = {"relocAddress": "192.0.2.10/24"}
SAYS = {"active": "relocActiveService", "standby": "relocStandbyService", "failed": "relocFailedService"}


def heard(name: str, *, lease: str = "10", **says: str) -> Entry:
    """The status of a server that says of services what they are, as in `active="web"`."""
    said = {SAYS.get(word, word): entries.dn(value) if word in SAYS else value for word, value in says.items()}
    return entries.status(name, relocLease=lease, **said)


def scene(*found: Entry, age_s: float = 1.0, **more: str) -> ServiceView:
    web = entries.service("web", **WEB | more)
    return service_view(web.dn, [web, *found], START + age_s)


def moved(*found: Entry, to: str = "b", age_s: float = 1.0, **more: str) -> OrderPlan:
    return move(scene(*found, age_s=age_s, **more), entries.uuid_of(to))


HELD = (entries.server("a", services=["web"]), heard("a", active="web"), entries.state("web", holder="a"))
B = entries.server("b")
PAIR = [entries.server(name, clusters=["pair"]) for name in "ab"]


class TestWay:
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
        assert (order.modifications, order.already) == ((), ("a already holds web",))

    def test_a_holder_that_is_not_chosen_is_linked(self) -> None:
        assert changes(moved(B, heard("b"), entries.state("web", holder="b"))) == [("b", Add(LINK, values("web")))]


@pytest.mark.parametrize(
    ("found", "more", "word"),
    [
        pytest.param([*HELD, B], {"relocExclusive": "FALSE"}, "web is shared", id="shared"),
        pytest.param(
            [entries.cluster("pair", services=["web"], active="a", relocFailover="external"), *PAIR],
            {},
            "cluster manager of pair",
            id="external",
        ),
        pytest.param(
            [entries.cluster("pair", services=["web", "fax"], active="a"), *PAIR],
            {},
            "fax would move with it; to move all of them: relocd activate pair b",
            id="not alone",
        ),
        pytest.param([*HELD, entries.server("b", relocFenced="TRUE"), heard("b")], {}, "unfence b", id="fenced"),
        pytest.param([*HELD, B, heard("b", relocMode="drained")], {}, "b is drained", id="drained"),
        pytest.param([*HELD, B, heard("b", relocMode="paused")], {}, "b is paused", id="paused"),
    ],
)
def test_is_refused(found: list[Entry], more: dict[str, str], word: str) -> None:
    order = moved(*found, **more)
    assert (order.modifications, order.done, order.placements) == ((), (), ())
    assert word in "; ".join(order.problems)


@pytest.mark.parametrize(
    ("found", "more", "word"),
    [
        pytest.param([*HELD, B], {}, "b has never been heard: it takes over nothing", id="never heard"),
        pytest.param([*HELD, B, heard("b", lease="0.5")], {}, "b has been silent for 1 s", id="silent"),
        pytest.param(
            [*HELD, B, heard("b", relocProblem="web: no set x")], {}, "b reports of web: no set x", id="unready"
        ),
        pytest.param(
            [*HELD[::2], heard("a", lease="0.5"), B, heard("b")], {}, "relocd fence a", id="the holder is silent"
        ),
        pytest.param(
            [*HELD[::2], heard("a", relocMode="paused"), B, heard("b")], {}, "a is paused", id="the holder is paused"
        ),
        pytest.param([entries.state("web", holder="ghost"), B, heard("b")], {}, "has no entry", id="no holder's entry"),
        pytest.param(
            [*HELD[:2], entries.server("c"), entries.state("web", holder="a", candidate="c"), B, heard("b")],
            {},
            "c is candidate for web, too",
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
            {},
            "web stays stopped on b while prime displaces it there",
            id="displaced",
        ),
    ],
)
def test_is_done_with_a_warning(found: list[Entry], more: dict[str, str], word: str) -> None:
    """Nothing is taken from who serves, so the wish may stand until it can come true."""
    order = moved(*found, **more)
    assert changes(order) == [("b", Add(LINK, values("web")))]
    assert word in "; ".join(order.warnings)
    assert order.problems == ()


def test_a_fenced_or_released_holder_needs_no_proof() -> None:
    fenced = entries.server("a", services=["web"], relocFenced="TRUE")
    assert moved(fenced, entries.state("web", holder="a"), B, heard("b")).warnings == ()
    gone = [*HELD[::2], heard("a", lease="0.4"), B, heard("b")]
    assert moved(*gone, relocIsolation="release").warnings == ()
