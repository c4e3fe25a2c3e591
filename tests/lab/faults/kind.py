"""What a kind of fault is: how it is prepared, how it disturbs, how it heals, and what must hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, ClassVar

from tests.lab.faults.rig import Rig
from tests.lab.timeline import Claim

__all__ = ["Kind"]


class Kind:
    """One round of a kind; the rig outlives it. `number` counts the rounds, so that a kind may vary.

    The class attributes say on which rigs it makes a difference: `servers` are the hosts (`spare` are those whose
    agents it starts itself), `facts` are of the service, `tables` of every agent's configuration, and the units of the
    services in `alone` may run on one server only. `double_ms` is how long two servers may answer, by the number of
    providers: None where that is only shown.
    """

    name: ClassVar[str]
    what: ClassVar[str]
    isolations: ClassVar[Sequence[str]] = ("keep", "release")
    providers: ClassVar[Sequence[int]] = (1,)
    servers: ClassVar[Sequence[str]] = ("node1", "node2")
    spare: ClassVar[Sequence[str]] = ()
    facts: ClassVar[Mapping[str, Any]] = {}
    tables: ClassVar[Mapping[str, Any]] = {}
    alone: ClassVar[tuple[str, ...]] = ("web",)
    answers_twice: ClassVar[bool] = False
    """Whether the disturbance itself makes two answer: then only what comes after the healing counts."""

    def __init__(self, rig: Rig, number: int) -> None:
        self.rig = rig
        self.number = number
        self.old = rig.holder
        self.new = rig.other()

    @staticmethod
    def double_ms(isolation: str, providers: int) -> float | None:  # noqa: ARG004 - others look at them
        """How long two may answer, None where the figure is only shown."""
        return 0.0

    @classmethod
    def prepare(cls, rig: Rig, stack: ExitStack) -> Mapping[str, Any]:  # noqa: ARG003 - others need them
        """Before the agents start; the tables of their configurations. What has to be undone goes to the stack."""
        return cls.tables

    def disturb(self) -> None:
        """Do what goes wrong, for as long as it does."""
        raise NotImplementedError

    def heal(self) -> None:
        """End it; from now on the lease counts."""

    def ends_at(self) -> Sequence[str]:
        """The servers of which one has the service in the end: all whose link was added last."""
        return [self.new]

    def claims(self) -> Iterable[Claim]:
        """What must hold beyond that, judged once all has come to rest."""
        return ()
