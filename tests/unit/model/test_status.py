"""The codec of `cn=status`: what an agent publishes is what others read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Entry, EntryUUID
from relocd.model.settings import LONGEST_LEASE_S, HandoverSettings
from relocd.model.status import (
    ATTRIBUTES,
    PUBLISHED_STATES,
    Mode,
    PublishedHeartbeat,
    StatusReport,
    bounded,
    heartbeat_of,
    is_status,
    new_entry,
    published,
    service_problem,
    service_wait,
    status_of,
)
from relocd.schema.definitions import CLASSES
from tests.support.entries import ME, csn
from tests.support.strategies import rdns, written

STAMP = "20261130120000.000000Z"
UUIDS = st.uuids().map(str)
LINES = st.text(st.characters(categories=["L", "N", "P"]) | st.just(" "), min_size=1, max_size=600)


@st.composite
def reports(draw: st.DrawFn) -> StatusReport:
    """Any report, the services under names that a directory tells apart."""
    services = draw(st.lists(rdns().flatmap(written), unique_by=lambda name: DN.parse(name).key, max_size=4))
    return StatusReport(
        {name: draw(st.sampled_from(sorted(PUBLISHED_STATES))) for name in services},
        bounded(draw(st.lists(LINES, max_size=25))),
        draw(st.dictionaries(UUIDS, st.integers(0, 10**18 - 1), max_size=4)),
        draw(st.sampled_from(Mode)),
        frozenset(name for name in services if draw(st.booleans())),
    )


def entry(**attributes: bytes) -> Entry:
    """The status entry of this server with one value for each of some attributes."""
    kept = {name.lower(): (value,) for name, value in attributes.items()}
    return Entry(EntryUUID("00000000-0000-4000-8000-000000000001"), DN.parse(f"cn=status,{ME}"), "", kept)


def created(report: StatusReport, lease_s: float = 10) -> Entry:
    """The entry as the directory has it after the first heartbeat."""
    attributes = new_entry(published(STAMP, lease_s, "1.2", report))
    kept = {name.lower(): values for name, values in attributes.items()}
    return Entry(EntryUUID("00000000-0000-4000-8000-000000000001"), DN.parse(f"cn=status,{ME}"), csn(7), kept)


@given(report=reports(), lease_s=st.integers(1, int(LONGEST_LEASE_S)))
def test_what_is_published_is_read_again(report, lease_s):
    found = created(report, lease_s)
    status = status_of(found)
    assert is_status(found)
    assert dict(status.services) == {DN.parse(dn).key: state for dn, state in report.services.items()}
    failed = {*report.failed, *(dn for dn, state in report.services.items() if state == "failed")}
    assert status.failed == {DN.parse(dn).key for dn in failed}
    assert status.problems == report.problems
    assert dict(status.acted_on) == dict(report.acted_on)
    assert (status.heartbeat, status.lease_s, status.version, status.mode) == (STAMP, lease_s, "1.2", report.mode)
    assert heartbeat_of(found) == PublishedHeartbeat(STAMP, lease_s, report.mode, status.failed)


@given(report=reports())
def test_each_heartbeat_replaces_every_attribute_of_the_class(report):
    of_class = next(each for each in CLASSES if each.name == names.STATUS_CLASS)
    assert {*published(STAMP, 10, "1.2", report), "description"} == set(of_class.may)
    assert {*ATTRIBUTES, "description"} == set(of_class.may)


def test_problems_are_bounded_in_number_and_length():
    found = bounded([f"{number} {'x' * 600}" for number in range(30)])
    assert (len(found), {len(each) for each in found}) == (20, {500})


def test_problems_and_waits_are_told_apart_by_service():
    texts = (
        service_problem("web", "no unit u"),
        service_problem("webmail", "slow"),
        service_wait("web", "a is silent"),
    )
    status = status_of(created(StatusReport(problems=bounded(texts))))
    assert (status.problems_of("web"), status.waits_of("web")) == (("no unit u",), ("a is silent",))
    assert (status.problems_of("webmail"), status.waits_of("webmail")) == (("slow",), ())


@pytest.mark.parametrize("lease", [b"", b"soon", b"0", b"-1", b"inf", b"nan", b"86401", b"\xff"])
def test_a_lease_that_is_none_is_ignored(lease):
    found = entry(relocLease=lease)
    assert heartbeat_of(found).lease_s is None
    assert status_of(found).lease_s == HandoverSettings().lease_s


def test_an_entry_without_values_is_a_server_in_normal_mode_that_publishes_nothing():
    status = status_of(entry())
    assert (status.mode, status.provider_s, status.heartbeat) == (Mode.NORMAL, None, "")
    assert (status.services, status.problems, status.acted_on) == ({}, (), {})
    assert heartbeat_of(entry()) == PublishedHeartbeat()


def test_text_of_an_entry_is_safe_to_print_and_cut():
    status = status_of(entry(relocProblem=b"\x1b[31m" + b"x" * 5000, relocAgentVersion=b"1\n2"))
    assert status.version == "1\\n2"
    assert status.problems[0].isprintable()
    assert len(status.problems[0]) < 1100


def test_values_that_cannot_be_understood_are_ignored():
    status = status_of(entry(relocActiveService=b"no name", relocActedOn=b"web=many"))
    assert (status.services, status.acted_on) == ({}, {})
