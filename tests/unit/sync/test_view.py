"""The snapshot of what concerns a server, and the problems it shows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relocd.model.dn import DN
from relocd.sync.index import Index, reduced, whole
from relocd.sync.interest import interest_of
from relocd.sync.view import snapshot_of
from tests.support.entries import ME, cluster, dn, server, service, state, understood, uuid_of

MY_DN = DN.parse(ME)


def seen(*entries, former=None, reduced_too=()):
    index = Index([*map(whole, entries), *map(reduced, reduced_too)], former)
    me = index.get(uuid_of("me"))
    return snapshot_of(index, me, MY_DN, interest_of(index, me, MY_DN.key))


def said(snapshot):
    return [str(problem) for problem in snapshot.problems]


def test_what_concerns_me_by_kind_and_by_name():
    snapshot = seen(
        server("me", services=["ntp"], clusters=["pair"]),
        cluster("pair", services=["web"], active="me"),
        service("web"),
        service("ntp"),
        server("far", services=["else"]),
    )
    assert snapshot.me is snapshot.servers[uuid_of("me")]
    assert snapshot.servers.keys() == {uuid_of("me")}
    assert snapshot.clusters.keys() == {uuid_of("pair")}
    assert snapshot.services.keys() == {uuid_of("web"), uuid_of("ntp")}
    assert snapshot.names == {DN.parse(dn(name)): uuid_of(name) for name in ("me", "ntp", "pair", "web")}
    assert (snapshot.unknown, snapshot.problems) == (frozenset(), ())


def test_names_that_lead_out_of_my_concern_are_left_out():
    snapshot = seen(
        server("me", services=["web"]), server("twin", services=["web", "far"]), service("web"), service("far")
    )
    assert DN.parse(dn("far")) not in snapshot.names


def test_a_name_dangles_where_an_entry_that_appears_there_would_be_of_concern():
    snapshot = seen(server("me", services=["web", "gone"]), server("twin", services=["web", "others"]), service("web"))
    assert snapshot.dangling == {DN.parse(dn("gone"))}


def test_without_my_entry_there_is_nothing_but_the_problem():
    snapshot = seen(server("twin"))
    assert (snapshot.me, snapshot.servers, snapshot.services) == (None, {}, {})
    (problem,) = said(snapshot)
    assert problem.startswith(f"{ME}: the directory has no such entry that this server may read; add it")


def test_an_entry_that_cannot_be_understood_is_unknown_and_a_problem():
    snapshot = seen(server("me", services=["web", "ntp"]), service("web", relocExclusive="?"), service("ntp"))
    assert snapshot.unknown == {uuid_of("web")}
    assert snapshot.services.keys() == {uuid_of("ntp")}
    assert DN.parse(dn("web")) in snapshot.names
    assert said(snapshot) == [f"{dn('web')}: relocExclusive '?' cannot be used: write TRUE or FALSE"]


def test_my_own_entry_that_cannot_be_understood_leaves_me_unknown():
    snapshot = seen(server("me", relocFenced="?"))
    assert snapshot.me is None
    assert snapshot.unknown == {uuid_of("me")}
    assert len(snapshot.problems) == 1


def test_an_entry_that_is_not_read_yet_is_unknown_and_no_problem():
    snapshot = seen(server("me", services=["web"]), reduced_too=[service("web")])
    assert (snapshot.unknown, snapshot.problems) == ({uuid_of("web")}, ())


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        pytest.param(
            [server("me", services=["gone"])],
            f"{ME}: links to {dn('gone')}, which does not exist; add it, correct the link, or remove it",
            id="my link leads nowhere",
        ),
        pytest.param(
            [server("me", clusters=["pair"]), cluster("pair", services=["gone"])],
            f"{dn('pair')}: links to {dn('gone')}, which does not exist; add it, correct the link, or remove it",
            id="my cluster's link leads nowhere",
        ),
        pytest.param(
            [server("me", clusters=["pair"]), cluster("pair", active="gone")],
            f"{dn('pair')}: links to {dn('gone')}, which does not exist; add it, correct the link, or remove it",
            id="my cluster's active server does not exist",
        ),
        pytest.param(
            [server("me", services=["pair"]), cluster("pair")],
            f"{ME}: links to {dn('pair')}, which is a cluster; a link of that kind leads nowhere",
            id="a service link to a cluster",
        ),
        pytest.param(
            [server("me", clusters=["web"]), service("web")],
            f"{ME}: links to {dn('web')}, which is a service; a link of that kind leads nowhere",
            id="a cluster link to a service",
        ),
        pytest.param(
            [server("me", clusters=["me"])],
            f"{ME}: links to {ME}, which is a server; a link of that kind leads nowhere",
            id="a cluster link to myself",
        ),
    ],
)
def test_links_that_lead_nowhere_are_problems(entries, problem):
    assert said(seen(*entries)) == [problem]


def test_a_link_by_a_former_name_is_a_problem_and_resolves():
    snapshot = seen(
        server("me", services=["web"]),
        service("www", uuid=uuid_of("web")),
        former={DN.parse(dn("web")).key: uuid_of("web")},
    )
    assert snapshot.names[DN.parse(dn("web"))] == uuid_of("web")
    assert said(snapshot) == [f"{ME}: links to {dn('web')}, which was renamed to {dn('www')}; correct the link"]


def test_links_of_others_are_their_own_problem():
    snapshot = seen(
        server("me", services=["web"]),
        server("twin", services=["web", "gone"]),
        cluster("theirs", services=["web", "gone"], active="gone"),
        service("web"),
    )
    assert snapshot.problems == ()


class TestStates:
    def test_a_state_is_there_by_its_service(self):
        found = state("web", holder="me")
        snapshot = seen(server("me", services=["web"]), service("web"), found)
        assert snapshot.states == {uuid_of("web"): understood(found)}

    def test_a_service_that_has_no_state_yet_has_none(self):
        assert seen(server("me", services=["web"]), service("web")).states == {}

    def test_a_holder_that_lost_its_link_still_sees_service_and_state_and_the_other_servers(self):
        found = state("web", holder="me", candidate="twin", previous="third")
        snapshot = seen(server("me"), server("twin", services=["web"]), server("third"), service("web"), found)
        assert snapshot.services.keys() == {uuid_of("web")}
        assert snapshot.states == {uuid_of("web"): understood(found)}
        assert snapshot.servers.keys() == {uuid_of(name) for name in ("me", "twin", "third")}
        assert snapshot.names.keys() == {DN.parse(dn(name)) for name in ("me", "twin", "third", "web")}
        assert snapshot.problems == ()

    def test_one_that_cannot_be_understood_is_unknown_and_a_problem(self):
        snapshot = seen(server("me", services=["web"]), service("web"), broken("web"))
        assert snapshot.states == {uuid_of("web"): None}
        assert snapshot.unknown == {uuid_of("state of web")}
        assert said(snapshot) == [
            (
                f"cn=state,{dn('web')}: relocGeneration '?' cannot be used: "
                "write a whole number, 0 or more, of at most 18 digits"
            )
        ]

    def test_one_that_is_not_read_yet_is_unknown_and_no_problem(self):
        snapshot = seen(server("me", services=["web"]), service("web"), reduced_too=[state("web", holder="me")])
        assert (snapshot.states, snapshot.problems) == ({uuid_of("web"): None}, ())

    def test_one_of_a_service_that_is_not_there_is_of_nothing(self):
        assert seen(server("me", services=["gone"]), state("gone", holder="me")).states == {}

    def test_a_server_without_an_entry_has_no_identity(self):
        snapshot = seen(server("me", services=["web"]), service("web"), state("web", holder="ghost"))
        assert DN.parse(dn("ghost")) not in snapshot.names

    def test_a_state_finds_a_renamed_holder_by_its_former_name(self):
        snapshot = seen(
            server("myself", uuid=uuid_of("me")),
            service("web"),
            state("web", holder="me"),
            former={DN.parse(ME).key: uuid_of("me")},
        )
        assert snapshot.names[DN.parse(ME)] == uuid_of("me")
        assert snapshot.held_by(snapshot.me) == {uuid_of("web")}

    def test_a_renamed_service_finds_its_state_below_its_former_name(self):
        found = state("web", holder="me")
        snapshot = seen(
            server("me", services=["www"]),
            service("www", uuid=uuid_of("web")),
            found,
            former={DN.parse(dn("web")).key: uuid_of("web")},
        )
        assert snapshot.states == {uuid_of("web"): understood(found)}


def broken(name):
    found = state(name, holder="me")
    return replace(found, attributes={**found.attributes, "relocgeneration": (b"?",)})
