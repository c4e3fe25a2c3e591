"""What the parts of the handover share, for tests of the parts of the agent below `Agent`."""

from __future__ import annotations

from relocd.agent.convergence.host import Host
from relocd.agent.handover import round as handover
from relocd.agent.history.history import History
from relocd.agent.liveness.heartbeat import Heartbeat
from relocd.agent.shared_state import SharedState
from relocd.model.dn import DN
from relocd.model.settings import HandoverSettings
from tests.support.entries import ME
from tests.support.fake_directory import FakeDirectory

__all__ = ["handover_deps"]


def handover_deps(host: Host, directory: FakeDirectory | None = None) -> handover.HandoverDeps:
    """The dependencies of the handovers of a server over a directory in memory."""
    ways = (directory or FakeDirectory()).ways
    settings = HandoverSettings()
    heartbeat = Heartbeat(ways.writer, settings, host.heartbeats)
    history = History(ways.history, host.meter, lambda: DN.parse(ME), lambda *_: None)
    return handover.handover_deps(settings, host, ways.reader, ways.writer, heartbeat, SharedState(), history)
