"""The port `Notifier`: sd_notify(3), one datagram a message to the socket that systemd named in NOTIFY_SOCKET.

Without that variable all messages are dropped. A message that cannot be sent is logged, once for each reason, and never
stops the agent: systemd notices when READY or the watchdog messages do not come.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping
from typing import Final

__all__ = ["SystemdNotifier"]

_log = logging.getLogger(__name__)

# systemd empties its socket as soon as it can; the agent's loop does not wait longer for it.
_SEND_S: Final = 0.1


class SystemdNotifier:
    """Messages to the service manager named in `environment`.

    `alive_s` is how often it expects `alive`: half of its watchdog time, 0 for never.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self.alive_s: Final = _watchdog_s(environment) / 2
        self._reported = ""

    def ready(self, status: str) -> None:
        """Report that the agent has started, or has finished `reloading`; `status` is one line for people."""
        self._send("READY=1", f"STATUS={_line(status)}")

    def status(self, text: str) -> None:
        """Report the agent's state in one line for people."""
        self._send(f"STATUS={_line(text)}")

    def alive(self) -> None:
        """Report that the event loop still runs."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """Report that the configuration is read again; `ready` follows. The time is for Type=notify-reload."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """Report that the agent is stopping."""
        self._send("STOPPING=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(_SEND_S)
                sender.sendto("\n".join(lines).encode(errors="replace"), self._address)
        except OSError as error:
            self._report(str(error))

    def _report(self, problem: str) -> None:
        if problem != self._reported:
            self._reported = problem
            fields = {"socket": self._address.replace("\0", "@"), "problem": problem}
            _log.warning("cannot notify the service manager", extra={"fields": fields})


def _watchdog_s(environment: Mapping[str, str]) -> float:
    """The watchdog time of sd_watchdog_enabled(3), 0 where there is none or it is for another process."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    own = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(microseconds) / 1_000_000 if own and microseconds.isdecimal() else 0.0


def _line(text: str) -> str:
    """The text on one line: a line break would begin another message."""
    return " ".join(text.split())
