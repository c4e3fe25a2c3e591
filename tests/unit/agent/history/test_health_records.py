"""A service that fails by its health leaves one record, and one when it does not count as failed any more."""

from __future__ import annotations

from relocd.agent.health.failures import HealthFailures
from relocd.agent.history.health_records import HealthRecords
from relocd.model.dn import DN
from relocd.model.history import Happened
from relocd.reconcile.goals import goal_id
from tests.support.entries import dn, uuid_of

WEB, NEW = goal_id(uuid_of("web")), goal_id(uuid_of("new"))


class Noted:
    def __init__(self):
        self.records = []

    def note(self, service, event, reason):
        self.records.append((service.name, event, reason))


def watched():
    history, failures = Noted(), HealthFailures(600)
    named = {uuid_of("web"): DN.parse(dn("web"))}
    failures.watch(HealthRecords(history, failures, named.get).changed)
    return history, failures, named


def test_each_failure_and_each_recovery_is_recorded_once():
    history, failures, _ = watched()
    failures.fail(WEB, "http: 500")
    failures.fail(WEB, "http: 503")
    failures.recover(WEB)
    failures.recover(WEB)
    assert [each[:2] for each in history.records] == [("web", Happened.UNHEALTHY), ("web", Happened.RECOVERED)]
    assert history.records[0][2] == "http: 500"


def test_a_failure_of_the_server_or_of_what_has_no_entry_is_no_record_of_a_service():
    history, failures, _ = watched()
    failures.fail_server("no carrier")
    failures.fail(NEW, "http: 500")
    assert history.records == []


def test_a_service_that_failed_and_left_is_recorded_when_it_fails_here_again():
    history, failures, _ = watched()
    for _ in range(2):
        failures.fail(WEB, "http: 500")
        failures.forget(WEB)
    assert [each[1] for each in history.records] == [Happened.UNHEALTHY, Happened.RECOVERED] * 2


def test_a_service_that_was_deleted_while_it_counted_as_failed_leaves_nothing():
    history, failures, named = watched()
    failures.fail(WEB, "http: 500")
    former = named.pop(uuid_of("web"))
    failures.forget(WEB)
    named[uuid_of("web")] = former  # as from a backup
    failures.fail(WEB, "http: 500")
    assert [each[1] for each in history.records] == [Happened.UNHEALTHY] * 2
