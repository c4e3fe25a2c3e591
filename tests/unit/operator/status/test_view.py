"""The status of a directory: entries in, what is chosen where and how old each heartbeat is out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relocd.model.entries import Entry
from relocd.operator.status.health import HealthLevel, StatusView
from relocd.operator.status.show import overview
from tests.support import entries
from tests.unit.operator.views import WEB, A, B, heard, status_view, web_row


class TestAges:
    def test_a_clock_behind_that_of_the_directory_makes_nobody_young(self) -> None:
        """What the directory has stamped since counts: the age is never below zero."""
        (server,) = status_view(B, heard("b", at=500_000), age_s=-3600).servers
        assert server.age_s == 0

    def test_an_entry_that_was_stamped_by_a_clock_two_hours_ahead_makes_nobody_old(self) -> None:
        found = replace(entries.service("web"), csn=entries.csn(0).replace("20260101000000", "20260101020000"))
        (server,) = status_view(B, heard("b"), found, age_s=3.0).servers
        assert (server.age_s, server.is_silent, server.findings) == (3.0, False, ())

    def test_a_heartbeat_of_the_future_beside_one_of_now_says_nothing_of_its_age(self) -> None:
        ahead = replace(heard("a"), csn=entries.csn(0).replace("20260101000000", "20260101020000"))
        late, live = status_view(A, ahead, B, heard("b"), age_s=3.0).servers
        assert (late.is_of_the_future, late.is_silent, late.level) == (True, True, HealthLevel.WARNING)
        assert (live.age_s, live.is_silent) == (3.0, False)

    def test_where_no_heartbeat_fits_the_clock_here_is_behind(self) -> None:
        (server,) = status_view(B, heard("b"), age_s=-7200.0).servers
        assert (server.age_s, server.is_silent) == (0, False)

    def test_two_of_one_name_are_told_apart(self) -> None:
        twin = Entry(entries.uuid_of("twin"), B.dn.parent.below("ou=x").below("cn=b"), entries.csn(0), B.attributes)
        service = web_row(entries.server("b", services=["web"]), twin, heard("b"))
        assert service.chosen == (entries.dn("b"),)


@pytest.mark.parametrize(
    ("preferred", "named"),
    [("a", []), ("c", ["c"]), ("gone", ["gone"])],
    ids=["a member", "no member", "no server"],
)
def test_who_is_preferred_and_could_never_become_active_is_a_problem(preferred: str, named: list[str]) -> None:
    pair = entries.cluster("pair", services=["web"], active="a", relocPreferred=entries.dn(preferred))
    members = [entries.server("a", clusters=["pair"]), entries.server("c")]
    problems = status_view(entries.service("web", **WEB), pair, *members).problems
    assert [(each.subject, name) for each in problems for name in named if entries.dn(name) in each.message] == [
        (entries.dn("pair"), name) for name in named
    ]
    assert len(problems) == len(named)


NAMES = st.sampled_from(["a", "b", "c"])
SERVICES = ["web", "mail", "files"]


@given(
    servers=st.dictionaries(NAMES, st.tuples(st.sets(st.sampled_from(SERVICES)), st.sets(NAMES))),
    clusters=st.dictionaries(NAMES, st.tuples(st.sets(st.sampled_from(SERVICES)), NAMES | st.none())),
)
def test_the_links_mean_what_they_mean_to_the_agents(servers, clusters) -> None:
    """Chosen is whom the agents' own decision makes active."""
    found = [entries.service(name, **WEB) for name in SERVICES[:2]] + [entries.service("files")]
    found += [entries.server(f"s{name}", services=own, clusters=of) for name, (own, of) in servers.items()]
    for name, (own, active) in clusters.items():
        found.append(entries.cluster(name, services=own, active=None if active is None else f"s{active}"))
    assert _chosen(status_view(*found)) == _decided(found)


def _chosen(whole: StatusView) -> set[tuple[str, str]]:
    return {(each.service.name, server) for each in whole.services for server in each.chosen}


def _decided(found: Iterable[Entry]) -> set[tuple[str, str]]:
    return {(run.service.name, run.server.name) for run in overview(found).runs if run.role in {"active", "chosen"}}
