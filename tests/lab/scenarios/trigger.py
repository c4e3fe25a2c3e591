"""The story of a cluster manager that triggers relocd: the node with the service dies, and the other one answers.

Both nodes are machines of their own with the real daemon and relocd's agent; a client asks the service's address once
a millisecond. Only Pacemaker has a power switch here, so with the other two the agents wait for the lease of the dead.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from tests.lab.hosts.cluster_host import ClusterHost
from tests.lab.probers.watch import REPOSITORY, Watch
from tests.lab.scenarios.heartbeat import start_heartbeat
from tests.lab.scenarios.keepalived_pair import start_keepalived
from tests.lab.scenarios.pacemaker import Pacemaker
from tests.lab.scenarios.trigger_pair import ADDRESS, TriggerPair
from tests.lab.timeline import Timeline

__all__ = ["TriggerStory"]

_PATIENCE_S: Final = 40.0


class TriggerStory:
    """The rig and its plot, as a context manager; `trigger` is the name that `relocd install` knows."""

    def __init__(self, trigger: str) -> None:
        self.title = f"{trigger} triggers relocd"
        self._trigger = trigger
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trigger-")))
            self.pair = stack.enter_context(TriggerPair(self._trigger))
            for name, machine in self.pair.machines.items():
                argv = [sys.executable, "-m", "tests.lab.probers.echo", "--name", name]
                machine.start(argv, PYTHONPATH=str(REPOSITORY))
                self.pair.start_agent(name)
            arguments = ["--target", ADDRESS]
            self._watch = Watch(self.pair.lan["client"], folder / "probes.jsonl", "probers.prober", arguments)
            stack.enter_context(self._watch)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def play(self, timeline: Timeline) -> None:
        """The cluster manager starts, node1 dies, and the client sees who answers."""
        one, two = self.pair["node1"], self.pair["node2"]
        _STARTS[self._trigger](self.pair)
        first = self._watch.until("node1", _PATIENCE_S)
        timeline.claim(f"with {self._trigger} on both nodes, node1 answers", first is not None)
        died_ns = time.monotonic_ns()
        one.power_off()
        timeline.mark("node1 is off")
        two.wait_until(lambda: "node2" in self.pair.linked(), "node2 is linked", _PATIENCE_S)
        timeline.figure(f"{self._trigger}: death to link", (time.monotonic_ns() - died_ns) / 1e6)
        change = self._watch.until("node2", _PATIENCE_S)
        if change is not None:
            timeline.figure(f"{self._trigger}: death to first answer", (change.answered_ns - died_ns) / 1e6)
        timeline.claim("node2 answers at the service's address", change is not None, two.log_text() * (change is None))
        if self._trigger == "pacemaker":
            timeline.claim("its alert has said that node1 is fenced", self.pair.fenced() == ["node1"])
        two.wait_until(lambda: self.pair.linked() == ["node2"], "the link of the dead is gone", _PATIENCE_S)
        timeline.claim("the agents have taken the link of the dead node away", self.pair.linked() == ["node2"])


def _keepalived(pair: TriggerPair) -> None:
    one, two = pair["node1"], pair["node2"]
    start_keepalived(one, 150)
    one.wait_until(lambda: "Entering MASTER STATE" in one.log_text(), "node1 is master")
    start_keepalived(two, 100)
    two.wait_until(lambda: "Entering BACKUP STATE" in two.log_text(), "node2 is backup")


def _heartbeat(pair: TriggerPair) -> None:
    one, two = pair["node1"], pair["node2"]
    start_heartbeat(one, two, "node1 relocd::web")
    start_heartbeat(two, one, "node1 relocd::web")
    _wait_for_resource(one, lambda: one.succeeds(["/etc/ha.d/resource.d/relocd", "web", "status"]))


def _pacemaker(pair: TriggerPair) -> None:
    nodes = [Pacemaker(machine, pair.machines, {"service": "web"}, fencing=True) for machine in pair.machines.values()]
    for node in nodes:
        node.start()
    _wait_for_resource(pair["node1"], nodes[0].runs)


def _wait_for_resource(machine: ClusterHost, runs: Callable[[], bool]) -> None:
    machine.wait_until(runs, f"{machine.name} runs the resource", 50)


_STARTS: Final = {"keepalived": _keepalived, "heartbeat": _heartbeat, "pacemaker": _pacemaker}
