"""Everything with which the agent acts on its server, as one value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from relocd.agent.convergence.claims import Claims
from relocd.model.figures import Health
from relocd.ports import (
    Addresses,
    Commands,
    Files,
    HeartbeatRecord,
    Ledger,
    Meter,
    Probes,
    Renderer,
    TemplateSets,
    Units,
    Wire,
)
from relocd.reconcile.goals import SetFacts
from relocd.reconcile.guards import Guards

__all__ = ["UNMEASURED", "Host", "sets_of"]


class _Unmeasured:
    """The meter of an agent without metrics."""

    def acted(self, step: str, took_s: float, outcome: str) -> None:
        """Nothing is kept."""

    def searched(self) -> None:
        """Nothing is kept."""

    def confirmed(self, age_s: float) -> None:
        """Nothing is kept."""

    def check_failed(self, service: str, check: str) -> None:
        """Nothing is kept."""

    def stand(self, reason: Health) -> None:
        """Nothing is kept."""

    def sent(self, what: str, outcome: str) -> None:
        """Nothing is kept."""


UNMEASURED: Final[Meter] = _Unmeasured()


@dataclass(frozen=True, slots=True)
class Host:
    """The ports of one server, what its configuration allows, and the claims; `probing`: probes are sent at all."""

    guards: Guards
    probing: bool
    sets: TemplateSets
    renderer: Renderer
    files: Files
    addresses: Addresses
    wire: Wire
    units: Units
    commands: Commands
    probes: Probes
    ledger: Ledger
    heartbeats: HeartbeatRecord
    meter: Meter = UNMEASURED
    claims: Claims = field(default_factory=Claims)


def sets_of(host: Host) -> Callable[[str], SetFacts | None]:
    """The facts of a template set of this host by its name, None while it cannot be read."""

    def facts(name: str) -> SetFacts | None:
        try:
            found = host.sets.get(name)
        except Exception:  # noqa: BLE001 - also for a defect: the worker of the service meets it again and reports it
            return None
        return SetFacts(found.scope, found.reads_services)

    return facts
