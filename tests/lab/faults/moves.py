"""Moves that nothing disturbs, and moves that disturb each other."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence

from tests.lab.deadline import until
from tests.lab.faults.kind import Kind
from tests.lab.probers.trace import COMPLAINTS
from tests.lab.timeline import Claim

__all__ = ["HandoverQuiet", "TwoTriggers"]

_MOVES = 8


class HandoverQuiet(Kind):
    """Whoever has handed over does nothing more about it, least of all activate it again."""

    name = "handover-quiet"
    what = f"{_MOVES} planned moves in a row"
    providers = (1, 2)

    def disturb(self) -> None:
        self.began_ns = time.monotonic_ns()
        at = self.old
        for _ in range(_MOVES):
            at = self.rig.other(at)
            self.rig.order(at)
            until(lambda wanted=at: self.rig.settled_at([wanted]), self.rig.lease_s + 5)
        self.last = at

    def ends_at(self) -> Sequence[str]:
        return [self.last]

    def claims(self) -> Iterable[Claim]:
        wrong = [
            f"{name}: {line.message} {dict(line.fields)}"
            for name, node in self.rig.stage.nodes.items()
            for line in node.lines()
            if line.at_ns >= self.began_ns and line.level in COMPLAINTS
        ]
        yield Claim("nothing is complained about", not wrong, "; ".join(wrong[:3]))
        steps = [
            line.fields["step"]
            for node in self.rig.stage.nodes.values()
            for line in node.lines()
            if line.at_ns >= self.began_ns and line.fields.get("step")
        ]
        activated = steps.count("Activate")
        yield Claim("each move activates once", activated == _MOVES, f"{activated} for {_MOVES} moves")


class TwoTriggers(Kind):
    """Two servers are linked in one millisecond, each at another provider: one of them has it in the end."""

    name = "two-triggers"
    what = "two servers are linked at once, each at another provider"
    providers = (2,)
    servers = ("node1", "node2", "node3")

    def disturb(self) -> None:
        rivals = [name for name in self.rig.names if name != self.old]
        ways = [("node1", rivals[0]), ("node2", rivals[1])]
        late_s = self.rig.chance.uniform(0, 0.003)
        threads = [
            threading.Thread(target=self._order, args=(provider, server, late_s * number))
            for number, (provider, server) in enumerate(ways)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        self.rivals = rivals

    def _order(self, provider: str, server: str, late_s: float) -> None:
        time.sleep(late_s)  # not a synchronisation: by how much the second trigger is later
        self.rig.order(server, at=provider)

    def ends_at(self) -> Sequence[str]:
        return self.rivals
