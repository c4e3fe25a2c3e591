"""An explanation as text and as JSON."""

from __future__ import annotations

from typing import Any

import pytest

from relocd.model.entries import Entry
from relocd.operator.explain.text import as_json
from tests.support import entries
from tests.unit.operator.explain.explained import CLUSTER, explained, state, text
from tests.unit.operator.views import HELD, LINKED, PAIR, heard


class TestShown:
    def test_the_facts_and_the_reasons_stand_there(self) -> None:
        shown = text(explained(CLUSTER, *PAIR, heard("a", active="web"), heard("b", standby="web"), state()))
        for words in (
            "holder a, candidate none, previous none, generation 1",
            "cluster pair: active a, failover manual",
            "R3: holds and serves",
            "no rule: not chosen",
            "comes here when: relocd move web b",
            "a stops it and hands over to b (R6)",
            "next: no change is due",
        ):
            assert words in shown

    @pytest.mark.parametrize(
        ("b", "expected", "next_active"),
        [
            (heard("b", standby="web"), "if a died: b would become active", "b"),
            (heard("b", standby="web", relocMode="drained"), "if a died: no member could take over", None),
        ],
        ids=["ready", "drained"],
    )
    def test_where_an_automatic_cluster_would_go(self, b: Entry, expected: str, next_active: str | None) -> None:
        more = {"relocFailover": "automatic", "relocPreferred": entries.dn("a"), "relocFailback": "600"}
        found = entries.cluster("pair", services=["web"], active="a", **more)
        told = explained(found, *PAIR, heard("a", active="web"), b, state())
        assert "active a, failover automatic, preferred a, failback after 600 s" in text(told)
        assert expected in text(told)
        (about,) = as_json(told)["clusters"]
        assert (about["preferred"], about["failback_s"]) == ([entries.dn("a")], 600)
        assert about["next_active"] == next_active

    def test_where_an_automatic_cluster_should_go_now_and_why(self) -> None:
        found = entries.cluster("pair", services=["web"], active="a", relocFailover="automatic")
        told = explained(found, *PAIR, heard("a", failed="web"), heard("b", standby="web"), state())
        assert "b should be active in pair: web failed on a" in text(told)

    @pytest.mark.parametrize(
        ("found", "more", "expected"),
        [
            ([], {}, "relocd link web SERVER"),
            (HELD, {}, "relocd move web SERVER"),
            (HELD, {"relocExclusive": "FALSE"}, "relocd link web SERVER"),
            ([*HELD, LINKED], {}, None),
        ],
        ids=["none", "one", "one of a shared service", "two"],
    )
    def test_where_at_most_one_server_is_linked_it_says_how_to_link_another(
        self, found: list[Entry], more: dict[str, Any], expected: str | None
    ) -> None:
        shown = text(explained(*found, **more))
        assert [word for word in shown.split() if word == "SERVER"] == ["SERVER"] * bool(expected)
        assert (expected or "") in shown

    def test_the_generation_is_known_where_nobody_is_linked(self) -> None:
        assert "generation 7" in text(explained(entries.state("web", generation=7)))

    def test_it_fits_and_no_foreign_text_is_markup(self) -> None:
        shown = text(explained(*HELD, LINKED, heard("b", relocProblem="web: [red]x[/nonsense]")), width=60)
        assert max(map(len, shown.splitlines())) <= 60
        assert "[red]x[/nonsense]" in shown

    def test_json_has_it_all_and_no_parameters(self) -> None:
        told = as_json(explained(*HELD, LINKED, heard("b"), relocParameter="key=value", relocSecret="k=verysecret"))
        assert told["state"] == {"holder": "a", "candidate": None, "previous": None, "generation": 1}
        b = told["servers"][1]
        assert (b["name"], b["part"], b["rule"], b["step"], b["needs"]) == ("b", "chosen", "R2", "BecomeCandidate", [])
        assert told["next"][0] == {
            "server": "b",
            "step": "BecomeCandidate",
            "rule": "R2",
            "reason": "ready to take over",
        }
        assert "value" not in str(told)
        assert "verysecret" not in str(told)
