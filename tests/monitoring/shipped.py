"""What the folder `monitoring` holds: the rules, the dashboard, and every query in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import promql_parser
import yaml

__all__ = ["ALERTS", "DASHBOARD", "FOLDER", "alerts", "dashboard", "filled", "panels", "queries", "selectors"]

FOLDER: Final = Path(__file__).parents[2] / "monitoring"
ALERTS: Final = FOLDER / "alerts.yml"
DASHBOARD: Final = FOLDER / "grafana-relocd.json"
_VARIABLES: Final = {"$__rate_interval": "1m", "$job": ".+", "$instance": ".+"}


def alerts() -> list[dict[str, Any]]:
    """The rules, as Prometheus reads them."""
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    return json.loads(DASHBOARD.read_text())


def panels() -> list[dict[str, Any]]:
    """The panels that show something: all but the headings."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> Mapping[str, str]:
    """Every query of the dashboard by panel and letter, with its variables filled in."""
    return {
        f"{panel['title']} {target['refId']}": filled(target["expr"])
        for panel in panels()
        for target in panel["targets"]
    }


def filled(query: str) -> str:
    """A query as Grafana would send it when all jobs and servers are chosen."""
    for variable, value in _VARIABLES.items():
        query = query.replace(variable, value)
    return query


def selectors(query: str) -> Iterator[promql_parser.VectorSelector]:
    """Every selector of series in a query."""
    found: list[promql_parser.VectorSelector] = []

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.MatrixSelector):
            found.append(node.vector_selector)
        elif isinstance(node, promql_parser.VectorSelector):
            found.append(node)

    promql_parser.walk(promql_parser.parse(query), visit)
    yield from found
