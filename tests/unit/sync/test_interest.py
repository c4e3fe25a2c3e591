"""Which entries concern a server: one small directory, seen from the server `me`."""

from __future__ import annotations

import pytest

from relocd.model.dn import DN
from relocd.sync.index import Index, reduced
from relocd.sync.interest import interest_of
from tests.support.entries import ME, cluster, dn, server, service, state, uuid_of

MY_KEY = DN.parse(ME).key
LAB = (
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


def test_it_is_me_what_i_am_linked_to_and_who_else_is_linked_to_that():
    _, interest = interest_in(*LAB)
    assert interest.uuids == {uuid_of(name) for name in ("me", "ntp", "pair", "web", "twin", "clock", "trio", "third")}


def test_without_my_entry_only_my_name_is_of_concern():
    index, interest = interest_in(*LAB[1:])
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
def test_what_appears_touches_it(appearing):
    _, interest = interest_in(*LAB)
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
def test_what_concerns_others_does_not_touch_it(appearing):
    _, interest = interest_in(*LAB)
    assert not interest.touches(reduced(appearing))


def test_nothing_touches_it_not():
    _, interest = interest_in(*LAB)
    assert not interest.touches(None)


def test_who_is_linked_by_a_former_name_is_of_concern():
    index, _ = interest_in(*LAB, server("old", services=["ntp"]))
    index.put(reduced(service("time", uuid=uuid_of("ntp"))))
    index.put(reduced(server("me", services=["time"])))
    interest = interest_of(index, index.get(uuid_of("me")), MY_KEY)
    assert {uuid_of("old"), uuid_of("clock")} < interest.uuids
    assert DN.parse(dn("ntp")).key in interest.keys


class TestStates:
    HELD = (server("me"), server("twin", services=["web"]), service("web"), state("web", holder="me", candidate="twin"))

    @pytest.mark.parametrize("role", ["holder", "candidate", "previous"])
    def test_a_server_that_lost_its_link_is_still_concerned_with_what_names_it(self, role):
        """The service, its state, and the other servers that are linked to it or named with it."""
        named = {"holder": "a", "candidate": "b", "previous": "c"} | {role: "me"}
        others = [server(name) for name in "abc"]
        _, interest = interest_in(*self.HELD[:3], *others, state("web", **named))
        assert interest.uuids == {uuid_of(name) for name in ("me", "twin", "web", "state of web", *named.values())}

    def test_the_state_of_a_service_that_i_am_linked_to_is_of_concern_and_who_is_named_in_it(self):
        _, interest = interest_in(*LAB, state("web", holder="hero"))
        assert {uuid_of("state of web"), uuid_of("hero")} <= interest.uuids

    def test_the_state_of_others_is_not(self):
        _, interest = interest_in(*LAB, state("far", holder="stranger"))
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
    def test_what_appears_touches_it(self, appearing):
        _, interest = interest_in(*LAB)
        assert interest.touches(reduced(appearing))

    def test_a_holder_that_appears_after_the_state_that_names_it_touches_it(self):
        _, interest = interest_in(server("me", services=["web"]), service("web"), state("web", holder="late"))
        assert interest.touches(reduced(server("late")))

    def test_a_renamed_server_is_still_concerned_with_what_it_holds_by_its_former_name(self):
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
