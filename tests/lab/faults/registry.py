"""All kinds by their names, in the order in which the campaign goes through them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.lab.faults.addresses import AddressTwice, ClonedServer, ForeignAddress, MarkLost, NameTwice, RecordFull
from tests.lab.faults.directory import BadProvider, ClockAhead, EmptyDirectory, ParentRenamed
from tests.lab.faults.inputs import BadConfiguration, BadSet, DescriptorsShort, ModeUnreadable
from tests.lab.faults.kind import Kind
from tests.lab.faults.moves import HandoverQuiet, TwoTriggers
from tests.lab.faults.processes import AgentKilledInMove, AgentsHung, AgentsKilled, ProvidersHung, ProvidersKilled
from tests.lab.faults.units import ActivationFails, StopFails, StopHangs
from tests.lab.faults.wire import CutHeals, CutInMove

__all__ = ["KINDS"]

KINDS: Final[Mapping[str, type[Kind]]] = {
    kind.name: kind
    for kind in (
        HandoverQuiet,
        TwoTriggers,
        MarkLost,
        AddressTwice,
        NameTwice,
        ForeignAddress,
        RecordFull,
        ClonedServer,
        ActivationFails,
        StopFails,
        StopHangs,
        CutHeals,
        CutInMove,
        AgentKilledInMove,
        AgentsKilled,
        AgentsHung,
        ProvidersKilled,
        ProvidersHung,
        ParentRenamed,
        ClockAhead,
        EmptyDirectory,
        BadProvider,
        BadSet,
        BadConfiguration,
        ModeUnreadable,
        DescriptorsShort,
    )
}
