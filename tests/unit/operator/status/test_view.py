"""How the directory stands and how grave that is: entries in, judgement out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from relocd.model.entries import Entry, csn_time_s
from relocd.operator.status.health import HealthLevel, ServiceRow, StatusView
from relocd.operator.status.show import overview
from relocd.operator.status.tables import as_json, check_line, tables
from relocd.operator.status.view import view
from tests.support import entries

START = csn_time_s(entries.csn(0)) or 0.0
WEB = {"relocAddress": "192.0.2.10/24"}
SAYS = {"active": "relocActiveService", "standby": "relocStandbyService", "failed": "relocFailedService"}


def heard(name: str, lease: str = "10", at: int = 0, **says: str) -> Entry:
    """The status of a server, which says of services what they are, as in `active="web"`."""
    said = {SAYS[word]: entries.dn(service) for word, service in says.items() if word in SAYS}
    more = {key: value for key, value in says.items() if key not in SAYS}
    return entries.status(name, at=at, relocLease=lease, relocAgentVersion="0.1", **said, **more)


def seen(*found: Entry, age_s: float = 1.0) -> StatusView:
    return view(found, START + age_s)


def web(*found: Entry, age_s: float = 1.0, **more: str) -> ServiceRow:
    """The view of the exclusive service `web`."""
    services = seen(entries.service("web", **WEB | more), *found, age_s=age_s).services
    return next(each for each in services if each.service.name == "web")


def whys(service: ServiceRow) -> list[str]:
    return [each.why for each in service.findings]


A, B = entries.server("a", services=["web"]), entries.server("b")
BOTH = (A, entries.server("b", services=["web"]))


class TestExclusive:
    @pytest.mark.parametrize(
        ("found", "age_s", "level", "expected"),
        [
            pytest.param([B, heard("b")], 1, HealthLevel.OK, [], id="chosen nowhere"),
            pytest.param(
                [A, heard("a", active="web"), entries.state("web", holder="a")], 1, HealthLevel.OK, [], id="held"
            ),
            pytest.param(
                [A, heard("a"), entries.state("web")],
                1,
                HealthLevel.CRITICAL,
                ["chosen on a, but no server holds it", "a is chosen, but not ready"],
                id="no holder",
            ),
            pytest.param(
                [A, heard("a", active="web"), entries.state("web", holder="a")],
                11,
                HealthLevel.CRITICAL,
                ["its holder a is silent"],
                id="holder is silent",
            ),
            pytest.param(
                [A, heard("a", "20", active="web"), entries.state("web", holder="a")],
                11,
                HealthLevel.OK,
                [],
                id="own lease",
            ),
            pytest.param(
                [A, entries.state("web", holder="a")],
                1,
                HealthLevel.CRITICAL,
                ["its holder a is silent"],
                id="never heard",
            ),
            pytest.param(
                [
                    entries.server("a", services=["web"], relocFenced="TRUE"),
                    heard("a", active="web"),
                    entries.state("web", holder="a"),
                ],
                1,
                HealthLevel.CRITICAL,
                ["its holder a is fenced"],
                id="holder is fenced",
            ),
            pytest.param(
                [B, heard("b"), entries.state("web", holder="b")],
                11,
                HealthLevel.WARNING,
                ["its holder b is silent", "b holds it, but is not chosen"],
                id="silent, and nobody shall run it",
            ),
            pytest.param(
                [A, heard("a", failed="web"), entries.state("web", holder="a")],
                1,
                HealthLevel.CRITICAL,
                ["its holder a reports that it has failed"],
                id="holder failed",
            ),
            pytest.param(
                [
                    *(A, heard("a", active="web")),
                    *(entries.server("b", services=["web"]), heard("b", failed="web")),
                    entries.state("web", holder="a"),
                ],
                1,
                HealthLevel.WARNING,
                ["b is chosen, but not ready", "b reports that it has failed"],
                id="another failed",
            ),
            pytest.param(
                [A, heard("a"), entries.state("web", holder="a")],
                1,
                HealthLevel.WARNING,
                ["its holder a has not reported yet that it runs it"],
                id="holder says nothing",
            ),
            pytest.param(
                [*BOTH, heard("a", active="web"), heard("b"), entries.state("web", holder="a")],
                1,
                HealthLevel.WARNING,
                ["b is chosen, but not ready"],
                id="not ready",
            ),
            pytest.param(
                [A, heard("a", active="web"), entries.state("web", holder="a", candidate="a")],
                1,
                HealthLevel.OK,
                [],
                id="a candidate that is the holder is none",
            ),
            pytest.param(
                [*BOTH, heard("a", active="web"), heard("b"), entries.state("web", holder="a", candidate="b")],
                1,
                HealthLevel.WARNING,
                ["b waits to take over"],
                id="candidate",
            ),
            pytest.param(
                [A, B, heard("a", active="web"), heard("b"), entries.state("web", holder="a", previous="b")],
                1,
                HealthLevel.WARNING,
                ["b has handed over, but is still recorded as previous"],
                id="previous",
            ),
        ],
    )
    def test_is_judged(self, found: list[Entry], age_s: float, level: HealthLevel, expected: list[str]) -> None:
        service = web(*found, age_s=age_s)
        assert (service.level, whys(service)) == (level, expected)

    def test_a_holder_without_an_entry_is_gone(self) -> None:
        service = web(A, heard("a"), entries.state("web", holder="ghost"))
        assert service.level is HealthLevel.CRITICAL
        assert service.holder == entries.dn("ghost")

    def test_standby_members_are_no_finding(self) -> None:
        pair = entries.cluster("pair", services=["web"], active="a")
        members = [entries.server(name, clusters=["pair"]) for name in "ab"]
        service = web(
            pair, *members, heard("a", active="web"), heard("b", standby="web"), entries.state("web", holder="a")
        )
        assert (service.chosen, service.standby, service.level) == (("a",), ("b",), HealthLevel.OK)

    def test_a_service_of_an_outside_cluster_manager_is_not_judged(self) -> None:
        pair = entries.cluster("pair", services=["web"], active="a", relocFailover="external")
        service = web(pair, entries.server("a", clusters=["pair"]), heard("a", active="web"))
        assert (service.external, service.chosen, service.level) == (("a",), (), HealthLevel.OK)

    def test_a_link_that_rests_asks_for_no_holder(self) -> None:
        other = entries.service("other", relocAddress="192.0.2.11/24", relocDisplaces=entries.dn("web"))
        both = entries.server("a", services=["web", "other"])
        service = web(other, both, heard("a", active="other"), entries.state("other", holder="a"))
        assert (service.chosen, service.standby, service.level) == ((), ("a",), HealthLevel.OK)


@pytest.mark.parametrize(
    ("found", "age_s", "expected"),
    [
        pytest.param([heard("a", active="web")], 1, [], id="runs"),
        pytest.param([heard("a")], 1, ["a has not reported yet that it runs it"], id="says nothing"),
        pytest.param([heard("a", active="web")], 11, ["a is silent"], id="silent"),
        pytest.param([heard("a", failed="web")], 1, ["a reports that it has failed"], id="failed"),
    ],
)
def test_a_shared_service_never_is_critical(found: list[Entry], age_s: float, expected: list[str]) -> None:
    service = web(A, *found, age_s=age_s, relocExclusive="FALSE")
    assert whys(service) == expected
    assert service.level <= HealthLevel.WARNING


class TestServers:
    @pytest.mark.parametrize(
        ("found", "age_s", "notes"),
        [
            ([B, heard("b")], 1, ()),
            ([B], 1, ("no agent has ever written a status",)),
            ([B, heard("b")], 30, ("silent for 30 s, its lease is 10",)),
            ([B, heard("b", relocMode="drained")], 1, ("drained",)),
            ([B, heard("b", relocProblem="web: no such set")], 1, ("web: no such set",)),
            ([entries.server("b", relocFenced="TRUE"), heard("b")], 1, ("fenced",)),
            ([B, heard("b", "never")], 30, ("silent for 30 s, its lease is 10",)),
            ([B, heard("b", "1e999")], 30, ("silent for 30 s, its lease is 10",)),
            ([B, heard("b", "nan")], 30, ("silent for 30 s, its lease is 10",)),
            ([B, heard("b", "-1")], 30, ("silent for 30 s, its lease is 10",)),
            ([B, heard("b", "86401")], 30, ("silent for 30 s, its lease is 10",)),
        ],
    )
    def test_what_is_worth_a_look(self, found: list[Entry], age_s: float, notes: tuple[str, ...]) -> None:
        (server,) = seen(*found, age_s=age_s).servers
        assert server.notes == notes
        assert (server.level is HealthLevel.OK) == (not notes)

    def test_a_clock_behind_that_of_the_directory_makes_nobody_young(self) -> None:
        """What the directory has stamped since counts: the age is never below zero."""
        (server,) = seen(B, heard("b", at=500_000), age_s=-3600).servers
        assert server.age_s == 0

    def test_an_entry_that_was_stamped_by_a_clock_two_hours_ahead_makes_nobody_old(self) -> None:
        found = replace(entries.service("web"), csn=entries.csn(0).replace("20260101000000", "20260101020000"))
        (server,) = seen(B, heard("b"), found, age_s=3.0).servers
        assert (server.age_s, server.is_silent, server.notes) == (3.0, False, ())

    def test_a_heartbeat_of_the_future_beside_one_of_now_says_nothing_of_its_age(self) -> None:
        ahead = replace(heard("a"), csn=entries.csn(0).replace("20260101000000", "20260101020000"))
        late, live = seen(A, ahead, B, heard("b"), age_s=3.0).servers
        assert (late.is_of_the_future, late.is_silent, late.level) == (True, True, HealthLevel.WARNING)
        assert (live.age_s, live.is_silent) == (3.0, False)

    def test_where_no_heartbeat_fits_the_clock_here_is_behind(self) -> None:
        (server,) = seen(B, heard("b"), age_s=-7200.0).servers
        assert (server.age_s, server.is_silent) == (0, False)

    def test_two_of_one_name_are_told_apart(self) -> None:
        twin = Entry(entries.uuid_of("twin"), B.dn.parent.below("ou=x").below("cn=b"), entries.csn(0), B.attributes)
        service = web(entries.server("b", services=["web"]), twin, heard("b"))
        assert service.chosen == (entries.dn("b"),)


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
    assert _chosen(seen(*found)) == _decided(found)


def _chosen(whole: StatusView) -> set[tuple[str, str]]:
    return {(each.service.name, server) for each in whole.services for server in each.chosen}


def _decided(found: Iterable[Entry]) -> set[tuple[str, str]]:
    return {(run.service.name, run.server.name) for run in overview(found).runs if run.role in {"active", "chosen"}}


class TestShown:
    def test_nothing_to_judge_is_unknown(self) -> None:
        assert seen().level is HealthLevel.UNKNOWN
        assert check_line(seen()).startswith("RELOCD UNKNOWN: no server")

    def test_the_gravest_comes_first_in_one_line(self) -> None:
        whole = seen(
            entries.service("web", **WEB),
            A,
            heard("a", relocProblem="odd | thing\nhere"),
            entries.server("b", services=["x"]),
        )
        line = check_line(whole)
        assert line.startswith("RELOCD CRITICAL: web: chosen on a, but no server holds it; ")
        assert line.endswith(" | services=1 critical=1 warning=0 servers=2 silent=1")
        assert line.count("|") == 1
        assert "\n" not in line

    def test_a_link_to_nothing_is_a_problem(self) -> None:
        whole = seen(entries.server("b", services=["nosuch"]), heard("b"))
        assert whole.level is HealthLevel.WARNING
        assert "nosuch" in check_line(whole)

    @pytest.mark.parametrize("width", [60, 200])
    def test_tables_fit_and_nothing_is_cut_off(self, width: int) -> None:
        console = Console(width=width, record=True, file=None, force_terminal=False)
        with console.capture() as captured:
            console.print(tables(seen(entries.service("web", **WEB), A, heard("a", active="web"))))
        lines = captured.get().splitlines()
        assert max(map(len, lines)) <= width
        assert "…" not in captured.get()

    def test_a_foreign_text_is_no_markup(self) -> None:
        console = Console(width=200)
        with console.capture() as captured:
            console.print(tables(seen(B, heard("b", relocProblem="[red]x[/nonsense]"))))
        assert "[red]x[/nonsense]" in captured.get()

    def test_json_has_it_all(self) -> None:
        service = as_json(
            seen(entries.service("web", **WEB), A, heard("a", active="web"), entries.state("web", holder="a"))
        )
        assert service["level"] == "OK"
        assert service["services"][0] | {"dn": ""} == {
            "name": "web",
            "dn": "",
            "level": "OK",
            "exclusive": True,
            "addresses": ["192.0.2.10/24"],
            "chosen": ["a"],
            "standby": [],
            "external": [],
            "holder": "a",
            "candidate": None,
            "previous": None,
            "generation": 1,
            "says": {"a": "active"},
            "findings": [],
        }
        assert service["servers"][0]["age_s"] == 1.0
