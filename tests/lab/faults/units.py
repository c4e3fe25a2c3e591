"""Units that do not do as they are told."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import ClassVar

from tests.lab.deadline import until
from tests.lab.faults.kind import Kind
from tests.lab.probers.trace import COMPLAINTS
from tests.lab.timeline import Claim

__all__ = ["ActivationFails", "StopFails", "StopHangs"]

_FAILING_S = 3.0
_MOST_STARTS = 10  # with pauses of 0.2 s that grow to 1 s it is five
_MOST_LINES = 300


class ActivationFails(Kind):
    """The only server that is linked cannot start the unit: it tries again after pauses that grow."""

    name = "activation-fails"
    what = "the unit of the only server that is linked does not start"

    def disturb(self) -> None:
        rig, unit = self.rig, self.rig.unit(self.new)
        rig.unlink(self.old)
        until(lambda: not rig.stage.holders())
        unit.spoil()
        before, began_ns = unit.starts, time.monotonic_ns()
        rig.order(self.new)
        rig.watch_for(_FAILING_S)
        self.starts = unit.starts - before
        self.lines = sum(line.at_ns >= began_ns for line in rig.node(self.new).lines())

    def heal(self) -> None:
        self.rig.unit(self.new).mend()

    def claims(self) -> Iterable[Claim]:
        yield Claim(
            "it is tried again after pauses",
            1 < self.starts <= _MOST_STARTS,
            f"{self.starts} starts in {_FAILING_S:g} s",
        )
        yield Claim("the log stays short", self.lines <= _MOST_LINES, f"{self.lines} lines in {_FAILING_S:g} s")


class StopFails(Kind):
    """The holder's unit does not stop while another server waits: the service stays where it is, whole."""

    name = "stop-fails"
    what = "the holder's unit does not stop while another server is linked"
    tables: ClassVar = {"units": {"timeout_s": 1.0}}

    def disturb(self) -> None:
        rig, unit = self.rig, self.rig.unit(self.old)
        self.trouble(unit)
        self.began_ns = time.monotonic_ns()
        rig.order(self.new)
        rig.watch_for(_FAILING_S)
        self.ended_ns = time.monotonic_ns()

    @staticmethod
    def trouble(unit) -> None:
        unit.stick()

    def heal(self) -> None:
        self.rig.unit(self.old).free()

    def claims(self) -> Iterable[Claim]:
        lines = [each for each in self.rig.lines(self.old, self.began_ns) if each.at_ns <= self.ended_ns]
        drops = sum(each.action.startswith("drop") for each in lines)
        yield Claim("the address stays while the unit does not stop", drops == 0, f"dropped {drops} times")
        named = any("u-web" in " ".join(each.fields.values()) for each in lines if each.level in COMPLAINTS)
        yield Claim("the unit is named", named, "no warning names u-web")


class StopHangs(StopFails):
    """The same with a stop that does not end."""

    name = "stop-hangs"
    what = "the stop of the holder's unit does not end while another server is linked"

    @staticmethod
    def trouble(unit) -> None:
        unit.hang()
