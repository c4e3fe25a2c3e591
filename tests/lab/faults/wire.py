"""Cables that are pulled."""

from __future__ import annotations

import time

from tests.lab.deadline import until
from tests.lab.faults.kind import Kind
from tests.lab.faults.verdict import HEALED_CUT_MS

__all__ = ["CutHeals", "CutInMove"]


class CutHeals(Kind):
    """The holder is cut off for longer than its lease, another takes over, the cable comes back."""

    name = "cut-heals"
    what = "the holder's cable is out until another has taken over, and comes back"
    providers = (1, 2)

    @staticmethod
    def double_ms(isolation: str, providers: int) -> float | None:
        """One that keeps serving answers until it has heard of its successor.

        With two providers it is only shown, also with `release`: a server that is cut off together with its own
        provider hears its own heartbeats from there.
        """
        if providers > 1:
            return None
        return HEALED_CUT_MS if isolation == "keep" else 0.0

    def disturb(self) -> None:
        rig = self.rig
        rig.pull(self.old)
        rig.order(self.new)
        until(lambda: self.new in rig.stage.holders(), 2 * rig.lease_s + 10)
        rig.watch_for(rig.lease_s)

    def heal(self) -> None:
        self.rig.plug(self.old)


class CutInMove(Kind):
    """The directory's cable is pulled within a move: the holder that releases must be able to write that."""

    name = "cut-in-move"
    what = "the directory is cut off within the milliseconds of a move"

    def disturb(self) -> None:
        rig = self.rig
        rig.order(self.new)
        time.sleep(rig.chance.uniform(0, 0.008))  # not a synchronisation: when the cable is pulled
        rig.stage.lan["directory"].cut()
        rig.watch_for(rig.lease_s / 2)

    def heal(self) -> None:
        self.rig.stage.lan["directory"].heal()
