"""A real Prometheus at a real agent: each metric that the rules and the dashboard name is there, each query answers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import quote

import promql_parser
import pytest

from tests.lab.deadline import until
from tests.monitoring.shipped import ALERTS, alerts, queries, selectors
from tests.system.conftest import PLAIN, Pair, linked, state

AGENT, SERVER = "127.0.0.1:9815", "127.0.0.1:9090"
FETCH = """
import json, sys, urllib.request
answers = [json.load(urllib.request.urlopen(url, timeout=5))["data"] for url in sys.argv[1:]]
print(json.dumps(answers))
"""
CONFIG = """
global: {{scrape_interval: 200ms, evaluation_interval: 200ms}}
rule_files: [{rules}]
scrape_configs:
  - job_name: relocd
    static_configs: [{{targets: ["{agent}"]}}]
"""
NEVER_HERE = {"waiting"}
"""States in which no service is in this test."""
FIRING = {"RelocdHolderFailed", "RelocdHolderUnhealthy", "RelocdProblems", "RelocdServerUnhealthy"}
"""The alerts about that agent, and no others."""

Samples = list[dict[str, str]]


class Prometheus:
    """A server on node1 that asks the agent there."""

    def __init__(self, pair: Pair) -> None:
        self._host = pair.nodes["node1"].host
        config = pair.folder / "prometheus.yml"
        config.write_text(CONFIG.format(rules=ALERTS, agent=AGENT))
        argv = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={pair.folder}/tsdb"]
        with (pair.folder / "prometheus.log").open("wb") as log:
            self._host.start([*argv, f"--web.listen-address={SERVER}"], stdout=log, stderr=log)

    def answers(self, *queries: str) -> list[Samples]:
        """The samples that each query finds now, as their labels."""
        found = self._get(*(f"query?query={quote(query)}" for query in queries))
        return [[sample["metric"] for sample in each["result"]] for each in found]

    def rules(self) -> list[dict[str, str]]:
        return self._get("rules")[0]["groups"][0]["rules"]

    def is_ready(self) -> bool:
        try:
            return bool(self.answers("relocd_info")[0])
        except OSError:
            return False

    def _get(self, *paths: str) -> list[dict]:
        urls = [f"http://{SERVER}/api/v1/{path}" for path in paths]
        argv = self._host.command([sys.executable, "-c", FETCH, *urls])
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30)
        if done.returncode:
            raise OSError(done.stderr)
        return json.loads(done.stdout)


@pytest.fixture
def prometheus(pair: Pair) -> Iterator[Prometheus]:
    """It watches an agent that holds one service, fails at another, and fails a check of its own."""
    failing = PLAIN.format(folder=pair.files) + '[[unit]]\nname = "u-fails"\n'
    pair.template_set("failing", failing, {"plain.j2": "x"})
    pair.service("web")
    pair.service("bad", addresses=["192.0.2.51/24"], template_sets=["failing"])
    pair.add(linked("node1", "web", "bad"))
    check = {"command": ["test", "!", "-e", str(pair.folder / "sick")], "interval_s": 0.2, "fall": 1, "start_s": 0.2}
    node = pair.node("node1", {"metrics": {"listen": AGENT}, "[health]": check})
    until(lambda: (state(node, "web"), state(node, "bad")) == ("active", "failed"))
    (pair.folder / "sick").touch()
    prometheus = Prometheus(pair)
    until(prometheus.is_ready)
    until(lambda: prometheus.answers('relocd_health_check_ok{service=""} == 0')[0])
    return prometheus


def test_rules_and_dashboard_ask_for_what_is_there(prometheus: Prometheus) -> None:
    wanted = {
        str(each): each for query in (*queries().values(), *(a["expr"] for a in alerts())) for each in selectors(query)
    }
    names = sorted({each.name for each in wanted.values()})
    there = dict(zip(names, prometheus.answers(*names), strict=True))
    for text, selector in wanted.items():
        assert there[selector.name], f"no series {text}"
        for matcher in selector.matchers.matchers:
            known = {sample.get(matcher.name, "") for sample in there[selector.name]}
            assert known != {""}, f"{text}: no label {matcher.name}"
            if matcher.op == promql_parser.MatchOp.Equal:
                assert matcher.value in known | NEVER_HERE, text

    until(lambda: silent(prometheus) == [], timeout_s=20)
    until(lambda: {rule["health"] for rule in prometheus.rules()} == {"ok"})
    until(lambda: firing(prometheus) == FIRING)


def firing(prometheus: Prometheus) -> set[str]:
    """The alerts that fire, or will if it goes on."""
    return {rule["name"] for rule in prometheus.rules() if rule["state"] != "inactive"}


def silent(prometheus: Prometheus) -> list[str]:
    """The queries of the dashboard that find nothing."""
    return [name for name, found in zip(queries(), prometheus.answers(*queries().values()), strict=True) if not found]
