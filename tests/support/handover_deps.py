"""What the parts of the handover share, for tests of the parts of the agent below `Agent`."""

from __future__ import annotations

from relocd.agent.convergence.host import Host
from relocd.agent.handover.round import HandoverDeps
from relocd.agent.health.failures import HealthFailures
from relocd.agent.liveness.failure_detector import FailureDetector, PeerHeartbeats
from relocd.agent.liveness.heartbeat import Heartbeat
from relocd.agent.liveness.lease_guard import LeaseGuard
from relocd.agent.shared_state import SharedState
from relocd.model.settings import HandoverSettings
from tests.support.fake_directory import FakeDirectory

__all__ = ["handover_deps"]


def handover_deps(host: Host, directory: FakeDirectory | None = None) -> HandoverDeps:
    """The dependencies of the handovers of a server over a directory in memory."""
    ways = (directory or FakeDirectory()).ways
    settings = HandoverSettings()
    heartbeat = Heartbeat(ways.writer, settings, host.heartbeats)
    return HandoverDeps(
        reader=ways.reader,
        writer=ways.writer,
        heartbeat=heartbeat,
        detector=FailureDetector(host, PeerHeartbeats(ways.reader, settings.lease_s), heartbeat, settings),
        guard=LeaseGuard(ways.reader, heartbeat, settings),
        settings=settings,
        state=SharedState(),
        failures=HealthFailures(settings.health_retry_s),
    )
