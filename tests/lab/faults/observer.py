"""The outside observer: a client that asks once every two milliseconds, and a look into every server's kernel.

The client sees what is on the wire, the kernels who has the address and whose unit runs, also of a server that is cut
off. Neither knows anything of the agents.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, Self

from tests.lab.hosts.stage import ADDRESS, Stage
from tests.lab.probers.judgement import Probe

__all__ = ["INTERVAL_MS", "Observer", "Sample"]

INTERVAL_MS: Final = 2.0
_LOOK_EVERY_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Sample:
    """One look into all kernels: who has the address, and for each service on which servers its unit runs.

    Servers that are cut off are left out: no client can reach them.
    """

    at_ns: int
    holders: frozenset[str]
    running: dict[str, frozenset[str]] = field(default_factory=dict)


class Observer:
    """As a context manager: `probes` and `samples` are whole once the block has ended.

    `cut` are the servers without a cable, kept up to date by the fault that pulls it; `units` the services whose units
    only one server may run.
    """

    def __init__(self, stage: Stage, cut: set[str], units: tuple[str, ...]) -> None:
        self.probes: list[Probe] = []
        self.samples: list[Sample] = []
        self._stage = stage
        self._cut = cut
        self._units = units
        self._watch = stage.watch(interval_ms=INTERVAL_MS)
        self._over = threading.Event()
        self._looking = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> Self:
        self._watch.__enter__()
        self._looking.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._over.set()
        self._looking.join(10)
        self._watch.__exit__(None, None, None)  # what was seen counts most when something has failed
        self.probes = self._watch.probes

    def _look_on(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            self.samples.append(self._look())

    def _look(self) -> Sample:
        stage = self._stage
        there = [name for name in stage.names if name not in self._cut]
        holders = frozenset(name for name in there if ip_address(ADDRESS) in stage.lan[name].addresses())
        running = {
            service: frozenset(name for name in there if stage.unit(name, service).runs) for service in self._units
        }
        return Sample(time.monotonic_ns(), holders, running)
