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
        scene = self.scene
        scene.pull(self.old)
        scene.order(self.new)
        until(lambda: self.new in scene.stage.holders(), 2 * scene.lease_s + 10)
        scene.watch_for(scene.lease_s)

    def heal(self) -> None:
        self.scene.plug(self.old)


class CutInMove(Kind):
    """The directory's cable is pulled within a move: whoever lets go has to be able to say so."""

    name = "cut-in-move"
    what = "the directory is cut off within the milliseconds of a move"

    def disturb(self) -> None:
        scene = self.scene
        scene.order(self.new)
        time.sleep(scene.chance.uniform(0, 0.008))  # not a synchronisation: when the cable is pulled
        scene.stage.lan["directory"].cut()
        scene.watch_for(scene.lease_s / 2)

    def heal(self) -> None:
        self.scene.stage.lan["directory"].heal()
