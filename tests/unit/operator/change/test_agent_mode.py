"""An order to the agent on this machine to try a service again."""

from __future__ import annotations

import json
import threading

import pytest

from relocd.adapters.local.run_folder import ModeFile, sole
from relocd.errors import Failed, Invalid, Unavailable
from relocd.operator.change.agent_mode import retry_service

SERVICE = {
    "name": "web",
    "id": "1",
    "state": "active",
    "since": "",
    "reason": "",
    "exclusive": True,
    "holds": True,
    "addresses": [],
    "problems": ["not started"],
    "failed_here": "HTTP 500",
}
STATUS = {
    "server": "cn=me",
    "version": "1",
    "mode": "normal",
    "directory": {"state": "current", "since": "", "detail": ""},
    "services": [SERVICE],
    "problems": [],
}


@pytest.fixture
def status(tmp_path):
    """The status of an agent that runs and takes no order by itself."""
    path = tmp_path / "status.json"
    path.write_text(json.dumps(STATUS))
    with sole(tmp_path):
        yield path


def taken(status, ended):
    """The orders that an agent takes until then."""
    orders, found = ModeFile(status.with_name("mode")), []
    while not ended.wait(0.01):
        found += orders.retries()
    return found


def test_the_agent_gets_the_name_once_and_what_had_failed_is_told(status):
    ended, found = threading.Event(), []
    agent = threading.Thread(target=lambda: found.extend(taken(status, ended)))
    agent.start()
    try:
        assert retry_service(status, "web", 10) == "HTTP 500; not started"
    finally:
        ended.set()
        agent.join()
    assert found == ["web"]
    assert ModeFile(status.with_name("mode")).retries() == ()


def test_without_an_agent_nothing_is_ordered(tmp_path):
    with pytest.raises(Unavailable):
        retry_service(tmp_path / "status.json", "web", 0)


def test_a_service_that_is_not_here_is_refused_with_the_nearest_name(status):
    with pytest.raises(Invalid, match="did you mean web"):
        retry_service(status, "wbe", 0)


def test_an_agent_that_does_not_follow_is_said(status):
    with pytest.raises(Failed, match="has not taken the order"):
        retry_service(status, "web", 0)


def test_a_folder_that_cannot_be_written_is_named(status):
    status.with_name("retry").write_text("")
    with pytest.raises(Failed, match="cannot be written"):
        retry_service(status, "web", 0)


@pytest.mark.parametrize("content", [b"", b"\xff\n", b"\n\n"])
def test_odd_orders_are_taken_and_removed(status, content):
    folder = status.with_name("retry")
    folder.mkdir()
    (folder / "1").write_bytes(content)
    found = ModeFile(status.with_name("mode")).retries()
    assert len(found) <= 1
    assert not list(folder.iterdir())
