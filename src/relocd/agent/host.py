"""Everything that the agent acts with on its server, as one value."""

from __future__ import annotations

from dataclasses import dataclass

from relocd.plan.guards import Guards
from relocd.ports import Addresses, Commands, Files, Ledger, Renderer, TemplateSets, Units, Wire

__all__ = ["Host"]


@dataclass(frozen=True, slots=True)
class Host:
    """The ports of one server and what its configuration allows; `probing` when the wire is asked at all."""

    guards: Guards
    probing: bool
    sets: TemplateSets
    renderer: Renderer
    files: Files
    addresses: Addresses
    wire: Wire
    units: Units
    commands: Commands
    ledger: Ledger
