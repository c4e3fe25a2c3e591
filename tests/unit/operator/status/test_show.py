"""`relocd show`: the status that an agent has left, as a table."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from relocd.operator.status.show import show_status

SINCE = "2026-11-24T12:00:34.543+00:00"
WEB = {
    "name": "web",
    "state": "active",
    "since": SINCE,
    "addresses": ["192.0.2.20/24 on eth0"],
    "reason": "candidate: the holder will let go",
    "problems": [],
}
STATUS: dict[str, Any] = {
    "server": "cn=node1,ou=servers,ou=relocd,dc=example,dc=org",
    "directory": {"state": "current", "since": SINCE, "detail": "ldaps://ldap1.example.org"},
    "services": [WEB],
    "problems": [],
}


@pytest.fixture(autouse=True)
def vienna(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose local time is not UTC."""
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "CET-1")
        time.tzset()
        yield
    time.tzset()


def test_an_address_that_is_not_there_is_said_as_intended() -> None:
    waiting = WEB | {"addresses": ["2001:db8::20/64 on eth0"], "missing": ["192.0.2.20/24"]}
    console = Console(width=120)
    with console.capture() as captured:
        show_status(console, STATUS | {"services": [waiting]}, runs=True)
    shown = captured.get()
    assert "2001:db8::20/64 on eth0 " in shown
    assert "192.0.2.20/24 (intended)" in shown


@pytest.mark.parametrize("width", [80, 120])
def test_times_are_local_to_the_second_and_stay_in_one_line(width: int) -> None:
    console = Console(width=width)
    with console.capture() as captured:
        show_status(console, STATUS, runs=True)
    assert captured.get().count("2026-11-24 13:00:34") == 2
    assert max(map(len, captured.get().splitlines())) <= width
