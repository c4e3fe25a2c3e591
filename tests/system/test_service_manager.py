"""The agent as a unit of Type=notify: what it tells the service manager that started it."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

from tests.system.conftest import Pair, linked


def test_agent_tells_ready_status_watchdog_reload_and_stop(pair: Pair, tmp_path: Path) -> None:
    pair.add(linked("node1"))
    node = pair.node("node1")  # writes the configuration
    node.stop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10.0)
        environment = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
        relocd = str(Path(sys.executable).with_name("relocd"))
        agent = node.host.start([relocd, "agent", "--config", str(node.config)], env=environment)

        def hear(word: str) -> str:
            while word not in (said := manager.recv(4096).decode()):
                pass
            return said

        hear("READY=1")
        assert "no service" in hear("STATUS=directory current")
        hear("WATCHDOG=1")
        agent.send_signal(signal.SIGHUP)
        hear("RELOADING=1")
        hear("READY=1")
        agent.send_signal(signal.SIGTERM)
        hear("STOPPING=1")
        assert agent.wait(10) == 0
