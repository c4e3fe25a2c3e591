"""Which entries concern the server `me` in a small directory, and the snapshot of these with the problems it shows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relocd.model.dn import DN
from relocd.sync.index import Index, reduced, whole
from relocd.sync.view import interest_of, snapshot_of
from tests.support.entries import ME, cluster, dn, server, service, state, understood, uuid_of

MY_KEY = DN.parse(ME).key
LINKED = (
    server("me", services=["ntp", "gone"], clusters=["pair"]),
    server("twin", clusters=["pair"]),
    server("clock", services=["ntp"]),
    cluster("pair", services=["web", "absent"], active="hero"),
    cluster("trio", services=["web"], active="ghost"),
    server("third", clusters=["trio"]),
    service("web"),
    service("ntp"),
    service("far"),
    cluster("afar", services=["far"], active="me"),
    server("stranger", services=["far"], clusters=["afar"]),
    server("hero"),
)


def interest_in(*entries):
    index = Index(map(reduced, entries))
    return index, interest_of(index, index.get(uuid_of("me")), MY_KEY)


def test_interest_is_the_server_its_links_and_others_with_the_same_links():
    _, interest = interest_in(*LINKED)
    assert interest.uuids == {uuid_of(name) for name in ("me", "ntp", "pair", "web", "twin", "clock", "trio", "third")}


def test_without_an_entry_only_the_name_of_the_server_is_of_interest():
    index, interest = interest_in(*LINKED[1:])
    assert interest.uuids == frozenset()
    assert interest.touches(reduced(server("me")))
    assert not any(interest.touches(record) for record in index)


@pytest.mark.parametrize(
    "appearing",
    [
        pytest.param(service("gone"), id="a service that I am linked to"),
        pytest.param(service("absent"), id="a service that my cluster is linked to"),
        pytest.param(server("new", clusters=["pair"]), id="a member of my cluster"),
        pytest.param(server("new", services=["web"]), id="a server linked to a service of mine"),
        pytest.param(cluster("new", services=["ntp"]), id="a cluster linked to a service of mine"),
        pytest.param(server("new", services=["gone"]), id="a server linked to a service that is not there yet"),
        pytest.param(server("new", clusters=["trio"]), id="a member of a cluster that shares a service with me"),
        pytest.param(service("third", uuid=uuid_of("new")), id="an entry that takes the name of one of interest"),
        pytest.param(server("hero", at=1), id="the active server that my cluster names"),
        pytest.param(server("ghost"), id="the active server of a cluster that shares a service with me"),
    ],
)
def test_a_new_entry_touches_the_interest(appearing):
    _, interest = interest_in(*LINKED)
    assert interest.touches(reduced(appearing))


@pytest.mark.parametrize(
    "appearing",
    [
        pytest.param(service("new"), id="a service of nobody"),
        pytest.param(server("new", services=["far"]), id="a server linked elsewhere"),
        pytest.param(cluster("new", services=["far"], active="me"), id="a cluster that only names me active"),
        pytest.param(service("far", at=1), id="a change of another server's service"),
    ],
)
def test_a_new_entry_of_other_servers_does_not_touch_the_interest(appearing):
    _, interest = interest_in(*LINKED)
    assert not interest.touches(reduced(appearing))


def test_no_record_does_not_touch_the_interest():
    _, interest = interest_in(*LINKED)
    assert not interest.touches(None)


def test_an_entry_that_is_linked_by_its_former_name_is_of_interest():
    index, _ = interest_in(*LINKED, server("old", services=["ntp"]))
    index.put(reduced(service("time", uuid=uuid_of("ntp"))))
    index.put(reduced(server("me", services=["time"])))
    interest = interest_of(index, index.get(uuid_of("me")), MY_KEY)
    assert {uuid_of("old"), uuid_of("clock")} < interest.uuids
    assert DN.parse(dn("ntp")).key in interest.keys


class TestInterestInStates:
    HELD = (server("me"), server("twin", services=["web"]), service("web"), state("web", holder="me", candidate="twin"))

    @pytest.mark.parametrize("role", ["holder", "candidate", "previous"])
    def test_a_state_that_names_the_server_is_of_interest_without_a_link(self, role):
        """The service, its state, and the other servers that are linked to it or named with it."""
        named = {"holder": "a", "candidate": "b", "previous": "c"} | {role: "me"}
        others = [server(name) for name in "abc"]
        _, interest = interest_in(*self.HELD[:3], *others, state("web", **named))
        assert interest.uuids == {uuid_of(name) for name in ("me", "twin", "web", "state of web", *named.values())}

    def test_the_state_of_a_linked_service_and_the_servers_in_it_are_of_interest(self):
        _, interest = interest_in(*LINKED, state("web", holder="hero"))
        assert {uuid_of("state of web"), uuid_of("hero")} <= interest.uuids

    def test_the_state_of_another_service_is_not_of_interest(self):
        _, interest = interest_in(*LINKED, state("far", holder="stranger"))
        assert uuid_of("state of far") not in interest.uuids
        assert not interest.touches(reduced(state("far", holder="hero")))

    @pytest.mark.parametrize(
        "appearing",
        [
            pytest.param(state("ntp", holder="clock"), id="the state of a service that I am linked to"),
            pytest.param(state("gone"), id="the state of a service that is not there yet"),
            pytest.param(state("far", holder="me"), id="the state of any other service that names me holder"),
            pytest.param(state("far", candidate="me"), id="or candidate"),
            pytest.param(server("clock", at=1), id="a change of a server that is linked to the same"),
        ],
    )
    def test_a_new_entry_touches_the_interest(self, appearing):
        _, interest = interest_in(*LINKED)
        assert interest.touches(reduced(appearing))

    def test_a_holder_that_appears_after_the_state_that_names_it_touches_it(self):
        _, interest = interest_in(server("me", services=["web"]), service("web"), state("web", holder="late"))
        assert interest.touches(reduced(server("late")))

    def test_what_a_renamed_server_holds_by_its_former_name_is_of_interest(self):
        index, _ = interest_in(*self.HELD)
        index.put(reduced(server("myself", uuid=uuid_of("me"))))
        interest = interest_of(index, index.get(uuid_of("me")), DN.parse(dn("myself")).key)
        assert {uuid_of("web"), uuid_of("state of web"), uuid_of("twin")} < interest.uuids

    def test_a_renamed_service_keeps_its_state_by_its_former_name(self):
        """slapd tells of the renamed entry only, not of what is below it."""
        index, _ = interest_in(*self.HELD)
        index.put(reduced(service("www", uuid=uuid_of("web"))))
        interest = interest_of(index, index.get(uuid_of("me")), MY_KEY)
        assert {uuid_of("web"), uuid_of("state of web"), uuid_of("twin")} < interest.uuids


MY_DN = DN.parse(ME)


def seen(*entries, former=None, reduced_too=()):
    index = Index([*map(whole, entries), *map(reduced, reduced_too)], former)
    me = index.get(uuid_of("me"))
    return snapshot_of(index, me, MY_DN, interest_of(index, me, MY_DN.key))


def said(snapshot):
    return [str(problem) for problem in snapshot.problems]


def test_the_snapshot_has_entries_by_kind_and_by_name():
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


def test_names_of_entries_without_interest_are_left_out():
    snapshot = seen(
        server("me", services=["web"]), server("twin", services=["web", "far"]), service("web"), service("far")
    )
    assert DN.parse(dn("far")) not in snapshot.names


def test_a_name_dangles_where_a_new_entry_would_be_of_interest():
    snapshot = seen(server("me", services=["web", "gone"]), server("twin", services=["web", "others"]), service("web"))
    assert snapshot.dangling == {DN.parse(dn("gone"))}


def test_without_my_entry_there_is_nothing_but_the_problem():
    snapshot = seen(server("twin"))
    assert (snapshot.me, snapshot.servers, snapshot.services) == (None, {}, {})
    (problem,) = said(snapshot)
    assert problem.startswith(f"{ME}: ")


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
