"""A worker at work on a fake server, and the goals that it is given."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from relocd.agent.pauses import Pace
from relocd.agent.worker import Leave, Worker
from relocd.model.settings import AgentSettings, WireSettings
from relocd.model.template_set import Role
from tests.support.handover_deps import handover_deps
from tests.support.plans import goal

ADDRESS = "192.0.2.10/24"
ACTIVE, STANDBY = goal("one", Role.ACTIVE, ADDRESS), goal("one", Role.STANDBY, ADDRESS)
HELD = "192.0.2.10/24 on eth0"
LEAVE = Leave("no longer linked")
CONF = "/etc/app/one.conf"
NEVER_S = 600.0


def pace(*, settle_ms=0.0, retry_s=0.005, retry_max_s=0.02, probe_ms=5.0, burst=1, refresh_s=0.0):
    return Pace(
        AgentSettings(settle_ms=settle_ms, retry_min_s=retry_s, retry_max_s=max(retry_s, retry_max_s)),
        WireSettings(probe_interval_ms=probe_ms, announce_burst=burst, announce_refresh_s=refresh_s),
    )


@asynccontextmanager
async def at_work(server, footprint=None, paced=None):
    """A worker whose run is a task; it hears of units and addresses as in the agent."""
    worker = Worker(server.host, ACTIVE.id, footprint, paced or pace(), handover_deps(server.host), lambda: None)
    server.units.watch(worker.nudge_if_units_matter)
    server.addresses.watch(worker.nudge_if_drifted)
    task = asyncio.create_task(worker.run())
    try:
        yield worker, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def is_active(worker):
    return worker.footprint is not None and worker.footprint.role is Role.ACTIVE and not worker.report.problems


async def a_while():
    """Long enough for anything that would happen at once."""
    await asyncio.sleep(0.03)
