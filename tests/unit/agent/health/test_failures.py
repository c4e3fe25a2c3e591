"""Which services count as failed on a server by their health, and what ends that."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface

import pytest

from relocd.agent.health import failures as module
from relocd.agent.health.failures import HealthFailures
from relocd.election.eligibility import OwnershipView
from relocd.election.observation import Eligible, State
from relocd.model.dn import DN
from relocd.model.entries import EntryUUID
from relocd.reconcile.goals import Goal
from tests.support.clock import Clock
from tests.support.plans import context, goal

ME, OTHER = EntryUUID("me"), EntryUUID("other")
RETRY_S = 600.0


def web(holder: EntryUUID | None = ME, direct: str = "", active: str = "me") -> Goal:
    """The goal of the service web: its holder, who is linked directly, and the active server of its cluster."""
    members = {ME, OTHER}
    by_cluster = frozenset(map(EntryUUID, active.split()))
    eligible = Eligible(frozenset(map(EntryUUID, direct.split())), by_cluster, frozenset(members) - by_cluster)
    return replace(goal(), ownership=OwnershipView(ME, DN.parse("cn=web"), State(holder), None, eligible))


WEB = web()


class Watched(HealthFailures):
    """The failures, with what was told of them."""

    def __init__(self) -> None:
        super().__init__(RETRY_S)
        self.told: list[object] = []
        self.watch(self.told.append)
        self.note(WEB)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    clock.set_in(monkeypatch, module)
    return clock


@pytest.fixture
def failures(clock):
    return Watched()


def test_a_service_counts_as_failed_from_its_failure_until_it_recovers(failures):
    assert failures.failed(WEB.id) is None
    failures.fail(WEB.id, "HTTP 500")
    assert failures.failed(WEB.id) == failures.own(WEB.id) == "HTTP 500"
    failures.recover(WEB.id)
    assert failures.failed(WEB.id) is None
    assert failures.told == [WEB.id, WEB.id]


def test_a_check_that_goes_on_failing_is_told_once(failures):
    failures.fail(WEB.id, "HTTP 500")
    failures.fail(WEB.id, "HTTP 503")
    assert failures.failed(WEB.id) == "HTTP 500"
    assert failures.told == [WEB.id]


def test_an_order_to_retry_ends_it(failures):
    failures.fail(WEB.id, "HTTP 500")
    failures.retry(WEB.id)
    assert failures.failed(WEB.id) is None


class TestTime:
    def test_alone_does_not_end_it_while_this_server_is_the_holder(self, failures, clock):
        failures.fail(WEB.id, "HTTP 500")
        assert failures.left_s(WEB.id) is None
        clock.now += 10 * RETRY_S
        failures.note(WEB)
        assert failures.failed(WEB.id) == "HTTP 500"

    def test_ends_it_once_another_server_has_been_the_holder_for_long_enough(self, failures, clock):
        failures.fail(WEB.id, "HTTP 500")
        failures.note(web(OTHER))
        clock.now += RETRY_S - 1
        failures.note(web(OTHER))
        assert (failures.failed(WEB.id), failures.left_s(WEB.id)) == ("HTTP 500", 1)
        clock.now += 1
        assert failures.failed(WEB.id) is None
        failures.note(web(OTHER))
        assert failures.told == [WEB.id, WEB.id]

    def test_counts_from_the_last_time_that_this_server_was_the_holder(self, failures, clock):
        failures.fail(WEB.id, "HTTP 500")
        failures.note(web(OTHER))
        clock.now += RETRY_S - 1
        failures.note(WEB)
        failures.note(web(OTHER))
        assert failures.left_s(WEB.id) == RETRY_S

    def test_counts_from_a_failure_that_comes_after_it_was_the_holder(self, failures):
        failures.note(web(OTHER))
        failures.fail(WEB.id, "HTTP 500")
        assert failures.left_s(WEB.id) == RETRY_S


CHANGES = [
    pytest.param(replace(WEB, addresses=(ip_interface("192.0.2.11/24"),)), id="addresses"),
    pytest.param(replace(WEB, interface="eth1"), id="interface"),
    pytest.param(replace(WEB, sets=("other",)), id="template sets"),
    pytest.param(replace(WEB, context=context("web", "active", parameters={"port": "81"})), id="parameters"),
    pytest.param(web(direct="me"), id="a direct link"),
]


@pytest.mark.parametrize("changed", CHANGES)
def test_it_ends_when_something_changes(failures, changed):
    failures.fail(WEB.id, "HTTP 500")
    failures.note(changed)
    assert failures.failed(WEB.id) is None


def test_it_ends_when_this_server_is_made_the_active_one_again(failures):
    failures.fail(WEB.id, "HTTP 500")
    failures.note(web(OTHER, active="other"))
    assert failures.failed(WEB.id) == "HTTP 500"
    failures.note(web(OTHER, active="me"))
    assert failures.failed(WEB.id) is None


KEPT = [
    pytest.param(web(OTHER), id="holder"),
    pytest.param(web(active="other"), id="the active member is another one"),
    pytest.param(web(direct="other"), id="another server is linked"),
]


@pytest.mark.parametrize("goal_now", KEPT)
def test_it_stays_when_the_service_moves_away(failures, goal_now):
    failures.fail(WEB.id, "HTTP 500")
    failures.note(goal_now)
    assert failures.failed(WEB.id) == "HTTP 500"


class TestServer:
    """The health of the whole server."""

    def test_it_counts_for_every_service(self, failures):
        failures.fail_server("eth0 has no carrier")
        assert failures.failed(WEB.id) == "eth0 has no carrier"
        assert failures.own(WEB.id) is None
        assert failures.told == [None]

    def test_only_its_own_checks_end_it(self, failures, clock):
        failures.fail_server("eth0 has no carrier")
        clock.now += 2 * RETRY_S
        failures.retry(WEB.id)
        failures.note(web(OTHER, direct="me"))
        assert failures.failed(WEB.id) == failures.server == "eth0 has no carrier"
        failures.recover_server()
        assert failures.failed(WEB.id) is None
        assert failures.told == [None, None]


def test_nothing_is_kept_of_a_goal_that_is_gone(failures):
    failures.fail(WEB.id, "HTTP 500")
    failures.forget(WEB.id)
    assert failures.failed(WEB.id) is None
