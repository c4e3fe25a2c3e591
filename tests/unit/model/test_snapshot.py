"""What the snapshot says about links: by identity, through clusters, and never through what is not there."""

from __future__ import annotations

from dataclasses import replace

from relocd.model.dn import DN
from relocd.model.snapshot import Snapshot
from tests.support.entries import cluster, dn, server, service, state, understood, uuid_of

ME = understood(server("me", services=["ntp", "gone"], clusters=["b", "a", "gone too"]))
PEER = understood(server("peer", clusters=["a"]))
A = understood(cluster("a", services=["web", "gone"]))
B = understood(cluster("b", services=["db", "web"]))
NAMES = {DN.parse(dn(name)): uuid_of(name) for name in ("a", "b", "ntp", "web", "db", "me")}
SNAPSHOT = Snapshot(
    me=ME,
    servers={each.uuid: each for each in (PEER, ME)},
    clusters={each.uuid: each for each in (B, A)},
    services={uuid_of("web"): understood(service("web"))},
    names=NAMES,
)


def test_targets_leave_out_what_points_to_nothing():
    assert SNAPSHOT.targets(ME.service_links) == {uuid_of("ntp")}


def test_clusters_of_a_server_are_in_order_of_their_names():
    assert SNAPSHOT.clusters_of(ME) == (A, B)
    assert SNAPSHOT.clusters_of(PEER) == (A,)


def test_members_of_a_cluster_are_in_order_of_their_names():
    assert SNAPSHOT.members(A) == (ME, PEER)
    assert SNAPSHOT.members(B) == (ME,)


def test_linked_is_direct_and_through_clusters():
    assert SNAPSHOT.linked(ME) == {uuid_of("ntp"), uuid_of("web"), uuid_of("db")}
    assert SNAPSHOT.linked(PEER) == {uuid_of("web")}


def test_held_are_the_services_whose_state_names_a_server_holder_or_candidate():
    """Linked or not; one whose state cannot be understood is not known to be held."""
    states = {
        uuid_of("web"): understood(state("web", holder="me")),
        uuid_of("ntp"): understood(state("ntp", candidate="me")),
        uuid_of("db"): understood(state("db", previous="me", holder="gone")),
        uuid_of("mail"): understood(state("mail")),
        uuid_of("dark"): None,
    }
    assert replace(SNAPSHOT, states=states).held_by(ME) == {uuid_of("web"), uuid_of("ntp")}
