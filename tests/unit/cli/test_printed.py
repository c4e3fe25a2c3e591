"""Whatever a command has to say of others: it does nothing to the terminal, nor to `ldapmodify` behind a pipe."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from relocd.agent.once import Cycle, CycleStep
from relocd.cli.main import run
from relocd.model.dn import DN
from relocd.model.entries import Problem
from relocd.model.writes import Add, Modification
from relocd.operator.change.changes import OrderPlan

HOSTILE = "x\x1b[31m\r\ndn: cn=victim\nchangetype: delete\n\u202e"
WHERE = ["--uri", "ldap://127.0.0.1:1", "--base", "dc=x"]
CHANGE = Modification(DN.parse("cn=a,dc=x"), (Add("relocServiceLink", (b"cn=web,dc=x",)),))
PLAN = OrderPlan((CHANGE,), done=(HOSTILE,), already=(HOSTILE,), warnings=(HOSTILE,))


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.split("\n")


def test_the_ldif_of_a_dry_run_has_its_own_changes_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("relocd.cli.orders.orders.planned", lambda *_: PLAN)
    assert run(["link", "web", "a", "--dry-run", *WHERE]) == 0
    lines = printed(capsys)
    assert [line for line in lines if line.startswith("dn:")] == ["dn: cn=a,dc=x"]
    assert sum(line.startswith("# ") for line in lines) == 2
    assert all(line.isprintable() for line in lines)


def test_what_an_order_has_done_is_printable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("relocd.cli.orders.orders.carried_out", lambda *_: PLAN)
    assert run(["link", "web", "a", *WHERE]) == 0
    assert all(line.isprintable() for line in printed(capsys))


def test_the_line_for_monitoring_is_printable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("relocd.cli.status.read_view", lambda _: SimpleNamespace(level=1))
    monkeypatch.setattr("relocd.cli.status.check_line", lambda _: HOSTILE)
    assert run(["status", "--check", *WHERE]) == 1
    assert all(line.isprintable() for line in printed(capsys))


def test_what_a_cycle_has_met_is_printable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def cycle(*_: object) -> Cycle:
        step = CycleStep(HOSTILE, HOSTILE, differences=(HOSTILE,), problems=(HOSTILE,))
        return Cycle((step,), (Problem(HOSTILE, HOSTILE),))

    monkeypatch.setattr("relocd.agent.logs.begin_logging", lambda *_: None)
    monkeypatch.setattr("relocd.apply.apply_now", cycle)
    assert run(["apply", "--config", str(tmp_path)]) == 1
    assert all(line.isprintable() for line in printed(capsys))
