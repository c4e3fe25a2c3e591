"""The time in a change sequence number, and the links of a snapshot: by identity, through clusters."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relocd.model.dn import DN
from relocd.model.entries import Snapshot, csn_server_id, csn_time_s
from tests.support.entries import cluster, csn, dn, server, service, state, understood, uuid_of


def test_the_time_is_the_providers_in_seconds_since_1970():
    expected = datetime(2026, 1, 1, 0, 0, 0, 250_000, UTC).timestamp()
    assert csn_time_s("20260101000000.250000Z#000000#001#000000") == expected


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001 - UTC is added
def test_every_time_is_read_as_it_is_written(time):
    assert csn_time_s(f"{time:%Y%m%d%H%M%S.%fZ}#000000#000#000000") == time.timestamp()


def test_of_two_changes_the_later_has_the_greater_time():
    assert csn_time_s(csn(1)) < csn_time_s(csn(2))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="a server that sends none"),
        pytest.param("#000000#001#000000", id="no time"),
        pytest.param("20260101000000Z#000000#001#000000", id="no fraction of a second"),
        pytest.param("20260101000000.000000#000000#001#000000", id="no time zone"),
        pytest.param("20261301000000.000000Z#000000#001#000000", id="a thirteenth month"),
        pytest.param("20260101000000.Z#000000#000#000000", id="an empty fraction"),
        pytest.param("2026-01-01T00:00:00.000000Z", id="another way to write a time"),
        pytest.param("20260101T00000.000000Z#000000#000#000000", id="no digit"),
        pytest.param("2026010100000\u0661.000000Z#000000#000#000000", id="digits of another script"),
        pytest.param("yesterday", id="words"),
    ],
)
def test_what_is_no_change_sequence_number_has_no_time(text):
    assert csn_time_s(text) is None


@pytest.mark.parametrize(
    ("text", "server_id"),
    [
        pytest.param("20260101000000.250000Z#000000#000#000000", 0, id="the only provider"),
        pytest.param("20260101000000.250000Z#000000#00a#000000", 10, id="hexadecimal"),
        pytest.param("", 0, id="a server that sends none"),
        pytest.param("20260101000000.250000Z#000000#x#000000", 0, id="no number"),
    ],
)
def test_server_id(text, server_id):
    assert csn_server_id(text) == server_id


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
