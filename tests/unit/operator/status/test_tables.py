"""The status as tables, as one line and as JSON."""

from __future__ import annotations

import pytest
from rich.console import Console

from relocd.operator.status.health import HealthLevel
from relocd.operator.status.tables import as_json, check_line, tables
from tests.support import entries
from tests.unit.operator.views import WEB, A, B, heard, status_view


class TestShown:
    def test_nothing_to_judge_is_unknown(self) -> None:
        assert status_view().level is HealthLevel.UNKNOWN
        assert check_line(status_view()).startswith("RELOCD UNKNOWN: no server")

    def test_the_gravest_comes_first_in_one_line(self) -> None:
        whole = status_view(
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
        whole = status_view(entries.server("b", services=["nosuch"]), heard("b"))
        assert whole.level is HealthLevel.WARNING
        assert "nosuch" in check_line(whole)

    @pytest.mark.parametrize("width", [60, 200])
    def test_tables_fit_and_nothing_is_cut_off(self, width: int) -> None:
        console = Console(width=width, record=True, file=None, force_terminal=False)
        with console.capture() as captured:
            console.print(tables(status_view(entries.service("web", **WEB), A, heard("a", active="web"))))
        lines = captured.get().splitlines()
        assert max(map(len, lines)) <= width
        assert "…" not in captured.get()

    def test_a_foreign_text_is_no_markup(self) -> None:
        console = Console(width=200)
        with console.capture() as captured:
            console.print(tables(status_view(B, heard("b", relocProblem="[red]x[/nonsense]"))))
        assert "[red]x[/nonsense]" in captured.get()

    def test_json_has_it_all(self) -> None:
        service = as_json(
            status_view(entries.service("web", **WEB), A, heard("a", active="web"), entries.state("web", holder="a"))
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
            "since": None,
            "by": None,
            "reports": {"a": "active"},
            "findings": [],
        }
        assert service["servers"][0]["age_s"] == 1.0
