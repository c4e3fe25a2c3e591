"""The dashboard as Grafana needs it, checked against Grafana's own published types."""

from __future__ import annotations

import json
from itertools import combinations

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.monitoring.shipped import dashboard, panels

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24


def test_grafana_s_types_know_every_key():
    """Read into them and written again nothing is lost: a misspelt key would be."""
    written = json.loads(json.dumps(Dashboard.from_json(dashboard()), cls=JSONEncoder))
    assert lost(dashboard(), written) == []


def test_it_is_a_dashboard_of_its_own():
    found = dashboard()
    assert found["uid"] == "relocd"
    assert found["schemaVersion"] >= 36
    assert "id" not in found  # a number of one Grafana only
    assert [variable["name"] for variable in found["templating"]["list"]] == ["datasource", "job", "instance"]


def test_panels_have_numbers_of_their_own_and_do_not_overlap():
    places = {panel["id"]: panel["gridPos"] for panel in dashboard()["panels"]}
    assert len(places) == len(dashboard()["panels"])
    assert all(place["x"] + place["w"] <= COLUMNS for place in places.values())
    assert [pair for pair in combinations(places, 2) if overlap(*(places[number] for number in pair))] == []


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_each_panel_says_what_it_shows_in_which_unit_and_from_where(panel):
    assert panel["title"]
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert [SOURCE] * (1 + len(panel["targets"])) == [panel["datasource"], *(t["datasource"] for t in panel["targets"])]


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
    return across and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]


def lost(given: object, written: object, path: str = "") -> list[str]:
    """Where a value is not in another one, which may have more."""
    if isinstance(given, dict) and isinstance(written, dict):
        return [place for key, value in given.items() for place in lost(value, written.get(key), f"{path}.{key}")]
    if isinstance(given, list) and isinstance(written, list) and len(given) == len(written):
        pairs = enumerate(zip(given, written, strict=True))
        return [place for number, pair in pairs for place in lost(*pair, f"{path}[{number}]")]
    return [] if given == written else [path]
