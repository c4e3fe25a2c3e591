"""What relocd is compared with in `./dev bench mass`: one instance of keepalived that has all addresses."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Final, Self

from tests.lab.bench.mass_rigs import MassRig
from tests.lab.bench.movers import NODES, Route
from tests.lab.scenarios.keepalived import Keepalived, Way

__all__ = ["KeepalivedMass"]

_ADVERT_S: Final = 1.0  # its default


class KeepalivedMass:
    """Two keepalived at the default interval; the move is a write to the file that the master watches.

    A server that is alone takes all addresses after three intervals. One that is stopped gives them to the other one;
    so both are stopped together, and started one after the other.
    """

    def __init__(self, rig: MassRig) -> None:
        self._rig = rig
        self._running: dict[str, Keepalived] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.callback(self._rig.reset)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self, server: str) -> None:
        addresses = [f"{each}/16" for each in self._rig.addresses]
        daemon = Keepalived(self._rig.lan[server], self._rig.folder(), addresses, _ADVERT_S, Way.ASIDE)
        self._running[server] = self._stack.enter_context(daemon)

    def stop(self, server: str) -> None:
        for name in (*(other for other in NODES if other != server), server):
            self._running.pop(name).__exit__()

    def stand_by(self) -> None:
        """Return once one server is the master and the other one its backup; one that does not run is started."""
        for name in NODES:
            if name not in self._running:
                self.start(name)
        for daemon in self._running.values():
            daemon.set_away(False)
        for name, daemon in self._running.items():
            daemon.wait_until("MASTER" if self._rig.held(name) else "BACKUP")

    def move(self, route: Route) -> None:
        self._running[route.old].set_away(True)

    def die(self, route: Route) -> int:
        self._rig.lan[route.old].cut()
        self._running.pop(route.old).kill()
        self._running[route.new].wait_until("MASTER")
        return time.monotonic_ns()

    def log_text(self) -> str:
        return "\n".join(f"--- {name}\n{daemon.log_text()}" for name, daemon in self._running.items())
