"""Messages to the service manager: what arrives at a socket, and what a real systemd makes of it."""

from __future__ import annotations

import logging
import os
import socket
import sys
from pathlib import Path

import pytest

from relocd.adapters.local.notify import SystemdNotifier
from tests.lab.deadline import eventually
from tests.lab.hosts.systemd import Systemd

SRC = Path(__file__).parents[3] / "src"


@pytest.fixture(params=["path", "abstract"])
def address(request, tmp_path):
    return str(tmp_path / "notify") if request.param == "path" else f"@relocd-test-{os.getpid()}"


@pytest.fixture
def manager(address):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address.replace("@", "\0"))
        receiver.settimeout(5.0)
        yield receiver


@pytest.fixture
def notifier(address, manager):
    return SystemdNotifier({"NOTIFY_SOCKET": address})


@pytest.mark.parametrize(
    ("say", "message"),
    [
        pytest.param(lambda n: n.ready("current"), "READY=1\nSTATUS=current", id="ready"),
        pytest.param(lambda n: n.status("3 active"), "STATUS=3 active", id="status"),
        pytest.param(lambda n: n.status("a\nREADY=1\n"), "STATUS=a READY=1", id="a line break begins no message"),
        pytest.param(lambda n: n.alive(), "WATCHDOG=1", id="alive"),
        pytest.param(lambda n: n.stopping(), "STOPPING=1", id="stopping"),
    ],
)
def test_each_word_is_one_datagram(notifier, manager, say, message):
    say(notifier)
    assert manager.recv(4096).decode() == message


def test_reloading_carries_the_time(notifier, manager):
    notifier.reloading()
    first, second = manager.recv(4096).decode().splitlines()
    assert first == "RELOADING=1"
    assert second.partition("=")[0] == "MONOTONIC_USEC"
    assert int(second.partition("=")[2]) > 0


@pytest.mark.parametrize(
    ("environment", "alive_s"),
    [
        pytest.param({}, 0.0, id="no watchdog"),
        pytest.param({"WATCHDOG_USEC": "3000000"}, 1.5, id="half of its time"),
        pytest.param({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 1.5, id="for this process"),
        pytest.param({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, 0.0, id="for another process"),
        pytest.param({"WATCHDOG_USEC": "soon"}, 0.0, id="not a number"),
    ],
)
def test_how_often_the_watchdog_wants_to_hear(environment, alive_s):
    assert SystemdNotifier(environment).alive_s == alive_s


def test_without_a_manager_nothing_is_sent_or_said(caplog):
    notifier = SystemdNotifier({})
    notifier.ready("")
    notifier.alive()
    assert not caplog.records


def test_a_lost_socket_is_reported_once_and_raises_nothing(tmp_path, caplog):
    notifier = SystemdNotifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    with caplog.at_level(logging.WARNING):
        notifier.alive()
        notifier.alive()
    assert [record.getMessage() for record in caplog.records] == ["cannot notify the service manager"]


def test_a_manager_that_does_not_listen_stops_nobody(notifier, manager):
    for _ in range(2000):  # more than the queue of a socket holds
        notifier.alive()
        if notifier._reported:
            return
    pytest.fail("the queue has no end")


async def test_a_real_systemd_understands(tmp_path):
    """Its job ends with READY, its status line is ours, and it restarts what stays silent for the watchdog time."""
    program = tmp_path / "program.py"
    program.write_text(
        "import signal, sys\n"
        f"sys.path.insert(0, {str(SRC)!r})\n"
        "from relocd.adapters.local.notify import SystemdNotifier\n"
        "notifier = SystemdNotifier()\n"
        "notifier.ready(f'alive every {notifier.alive_s} s')\n"
        "notifier.alive()\n"
        "signal.pause()\n"
    )
    with Systemd() as systemd:
        service = [
            "Type=notify",
            "WatchdogSec=300ms",
            "WatchdogSignal=SIGKILL",
            f"ExecStart={sys.executable} {program}",
        ]
        systemd.install("agent.service", "[Service]", *service)
        systemd.systemctl("start", "agent.service")
        assert systemd.property("agent.service", "StatusText") == "alive every 0.15 s"
        await eventually(lambda: systemd.property("agent.service", "Result") == "watchdog")
