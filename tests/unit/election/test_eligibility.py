"""Who is chosen for a service, what its state says, and what gives way to what, as one server sees it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relocd.election.eligibility import displacing, ownership
from relocd.election.observation import State
from relocd.model.dn import DN
from relocd.model.entries import Isolation
from relocd.sync.mirror import Mirror
from tests.support.directory import ModelDirectory, snapshot
from tests.support.entries import ME, cluster, dn, server, service, state, uuid_of
from tests.unit.election.ownerships import eligible, seen, uuids

WEB = service("web", relocAddress="192.0.2.10/24")
PAIR = [server("me", clusters=["pair"]), server("twin", clusters=["pair"])]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        pytest.param([server("me", services=["web"])], eligible(direct="me"), id="me, directly"),
        pytest.param(
            [server("me", services=["web"]), server("twin", services=["web"]), server("third", services=["else"])],
            eligible(direct="me twin"),
            id="everybody who is linked",
        ),
        pytest.param(
            [*PAIR, cluster("pair", services=["web"], active="twin")],
            eligible(by_cluster="twin", standby="me"),
            id="the active member, the others stand by",
        ),
        pytest.param([*PAIR, cluster("pair", services=["web"])], eligible(standby="me twin"), id="no active member"),
        pytest.param(
            [*PAIR, cluster("pair", services=["web"], active="gone")],
            eligible(standby="me twin"),
            id="an active server that does not exist",
        ),
        pytest.param(
            [*PAIR, server("third"), cluster("pair", services=["web"], active="third")],
            eligible(standby="me twin"),
            id="an active server that is no member",
        ),
        pytest.param(
            [
                server("me", clusters=["pair", "trio"]),
                server("twin", clusters=["pair"]),
                cluster("pair", services=["web"], active="twin"),
                cluster("trio", services=["web"], active="me"),
            ],
            eligible(by_cluster="me twin"),
            id="active in one cluster, standing by in another",
        ),
        pytest.param(
            [server("me", services=["web"], clusters=["pair"]), PAIR[1], cluster("pair", services=["web"])],
            eligible(direct="me", standby="me twin"),
            id="directly and through a cluster",
        ),
        pytest.param(
            [
                server("me", services=["web"]),
                server("twin", clusters=["pair"]),
                cluster("pair", services=["web"], active="twin", relocFailover="external"),
            ],
            eligible(direct="me"),
            id="a cluster manager's own service is not ours to agree on",
        ),
        pytest.param(
            [*PAIR, cluster("pair", services=["web"], active="me"), server("third", services=["web"])],
            eligible(direct="third", by_cluster="me", standby="twin"),
            id="through a cluster, and another one directly",
        ),
    ],
)
def test_chosen_is_who_is_linked_directly_or_active_in_a_cluster_that_is(entries, expected):
    assert seen(*entries, WEB).eligible == expected


class TestState:
    LINKED = server("me", services=["web"])

    def test_one_that_is_not_there_yet_names_nobody(self):
        found = seen(self.LINKED, WEB)
        assert (found.state, found.entry) == (State(), None)

    def test_it_names_servers_by_their_identities_and_by_the_names_they_have(self):
        found = seen(
            self.LINKED,
            WEB,
            server("twin"),
            server("third"),
            state("web", holder="me", candidate="twin", previous="third", generation=4),
        )
        assert found.state == State(uuid_of("me"), uuid_of("twin"), uuid_of("third"), 4)
        assert found.names == {uuid_of(name): DN.parse(dn(name)) for name in ("me", "twin", "third")}
        assert (found.holds, found.nameless) == (True, frozenset())

    def test_one_without_a_generation_has_never_changed_hands(self):
        assert seen(self.LINKED, WEB, state("web", generation=None)).state == State()

    def test_one_that_cannot_be_understood_is_unknown(self):
        bad = state("web", holder="me")
        bad = replace(bad, attributes={**bad.attributes, "relocgeneration": (b"?",)})
        found = seen(self.LINKED, WEB, bad)
        assert (found.state, found.holds) == (None, False)

    @pytest.mark.parametrize("role", ["holder", "candidate", "previous"])
    def test_a_server_without_an_entry_has_an_identity_of_its_own_and_is_nobody_else(self, role):
        found = seen(self.LINKED, server("twin"), WEB, state("web", **{"holder": "me", role: "ghost"}))
        ghost = getattr(found.state, role)
        assert found.nameless == {ghost}
        assert ghost not in uuids("me twin ghost")
        assert found.names[ghost] == DN.parse(dn("ghost"))
        assert ghost not in found.eligible.all

    def test_a_renamed_server_holds_by_its_former_name_until_that_is_corrected(self):
        directory = ModelDirectory([self.LINKED, WEB, state("web", holder="me")])
        mirror = Mirror(DN.parse(ME), cache_bytes=10_000)
        mirror.apply(directory.refresh())
        mirror.apply(directory.rename(uuid_of("me"), "myself"))
        found = mirror.snapshot
        misnamed = ownership(found, found.me, found.services[uuid_of("web")], {})
        assert (misnamed.holds, misnamed.is_misnamed) == (True, True)
        assert misnamed.names[uuid_of("me")] == DN.parse(dn("myself"))
        mirror.apply(directory.put(state("web", holder="myself")))
        found = mirror.snapshot
        assert not ownership(found, found.me, found.services[uuid_of("web")], {}).is_misnamed


def test_fenced_are_the_servers_that_matter_and_are_declared_off():
    entries = [server("me", services=["web"]), WEB, state("web", holder="twin", previous="third")]
    off = [server(name, relocFenced="TRUE") for name in ("twin", "third", "stranger")]
    assert seen(*entries, *off).fenced == uuids("twin third")


def test_a_link_is_kept_as_it_is_written():
    """A link is deleted by the value that is there."""
    written = f"CN=Web,{dn('web').partition(',')[2]}"
    found = seen(server("me", services=["web"]), server("twin", relocServiceLink=written), WEB)
    assert {uuid: link.text for uuid, link in found.links.items()} == {
        uuid_of("me"): dn("web"),
        uuid_of("twin"): written,
    }


@pytest.mark.parametrize(("attributes", "isolation"), [({}, "keep"), ({"relocIsolation": "release"}, "release")])
def test_isolation_is_the_services(attributes, isolation):
    assert seen(server("me", services=["web"]), service("web", **attributes)).isolation is Isolation(isolation)


EXCLUSIVE, SHARED = {"relocExclusive": "TRUE"}, {"relocExclusive": "FALSE"}


def displaces(*names, **more):
    return {"relocDisplaces": [dn(name) for name in names]} | (more or EXCLUSIVE)


class TestDisplacing:
    @pytest.mark.parametrize(
        ("services", "held", "resting"),
        [
            pytest.param({"main": displaces("spare"), "spare": EXCLUSIVE}, "main spare", {"spare": "main"}, id="held"),
            pytest.param({"main": displaces("spare"), "spare": EXCLUSIVE}, "main", {"spare": "main"}, id="not held"),
            pytest.param({"main": displaces("spare"), "spare": EXCLUSIVE}, "spare", {}, id="by what runs elsewhere"),
            pytest.param(
                {"a": displaces("b"), "b": displaces("a")}, "a b", {"b": "a"}, id="each other: the first by name stays"
            ),
            pytest.param(
                {"a": displaces("b"), "b": displaces("c"), "c": EXCLUSIVE},
                "a b c",
                {"b": "a"},
                id="what rests displaces nothing",
            ),
            pytest.param(
                {"a": displaces("c"), "b": displaces("c"), "c": EXCLUSIVE}, "a b c", {"c": "a"}, id="by two: the first"
            ),
            pytest.param({"a": displaces("a")}, "a", {}, id="itself"),
            pytest.param({"a": displaces("gone")}, "a", {}, id="what does not exist"),
            pytest.param({"a": displaces("b", **SHARED), "b": EXCLUSIVE}, "b", {"b": "a"}, id="by a shared one"),
            pytest.param({"a": displaces("b"), "b": SHARED}, "a", {"b": "a"}, id="a shared one"),
        ],
    )
    def test_a_service_rests_where_one_runs_that_displaces_it(self, services, held, resting):
        entries = [service(name, **attributes) for name, attributes in services.items()]
        states = [state(name, holder="me") for name in held.split()]
        found = snapshot(server("me", services=services), *entries, *states)
        assert displacing(found, found.me) == {uuid_of(name): by for name, by in resting.items()}

    def test_a_shared_service_that_is_not_linked_here_runs_not_here(self):
        entries = [service("a", **displaces("b", **SHARED)), service("b", **EXCLUSIVE)]
        found = snapshot(server("me", services=["b"]), *entries, state("b", holder="me"), state("a", holder="me"))
        assert displacing(found, found.me) == {}

    def test_a_contest_says_by_what_it_is_displaced_and_what_it_displaces(self):
        entries = [
            server("me", services=["main", "spare"]),
            service("main", **displaces("spare", "main")),
            service("spare", **EXCLUSIVE),
            state("main", holder="me"),
        ]
        main, spare = (seen(*entries, service=name) for name in ("main", "spare"))
        assert (main.displaced_by, main.displaces) == (None, uuids("spare"))
        assert (spare.displaced_by, spare.displaces) == ("main", frozenset())
