"""The alert rules, judged by Prometheus' own tool: syntax, and when each fires."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.monitoring.shipped import ALERTS, alerts

CASES = Path(__file__).with_name("alerts.test.yml")
NAMES = [rule["alert"] for rule in alerts()]


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=30)


def test_prometheus_takes_the_rules():
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", str(ALERTS))
    assert done.returncode == 0, done.stderr


def test_each_fires_when_it_shall_and_keeps_still_else():
    done = promtool("test", "rules", str(CASES))
    assert done.returncode == 0, done.stderr + done.stdout


def test_a_rule_that_never_fires_would_be_found(tmp_path):
    """The cases can fail: with rules that fire too late or too seldom, each of them does."""
    silent = re.sub(r"^( +for: ).*$", r"\g<1>10h", ALERTS.read_text(), flags=re.MULTILINE)
    silent = silent.replace("> 5\n", "> 5000\n").replace("> 4\n", "> 4000\n").replace("> 2\n", "> 2000\n")
    (tmp_path / "alerts.yml").write_text(silent)
    cases = tmp_path / "alerts.test.yml"
    cases.write_text(CASES.read_text().replace("../../monitoring/alerts.yml", "alerts.yml"))
    said = promtool("test", "rules", str(cases))
    assert set(re.findall(r"got: (.*)", said.stdout + said.stderr)) == {"nil"}
    assert set(re.findall(r'alertname="(\w+)", alertstate', said.stdout + said.stderr)) == set(NAMES)


@pytest.mark.parametrize("rule", alerts(), ids=NAMES)
def test_each_says_what_is_wrong_and_what_to_do(rule):
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "description"}
    assert "{{ $labels." in rule["annotations"]["summary"]
    assert f'alertname="{rule["alert"]}",alertstate="firing"' in CASES.read_text()
