"""Two providers: what one of them may not have been told is said again."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest

from relocd.model.status import Mode
from tests.support.entries import server, state, status
from tests.support.virtual_time import in_virtual_time
from tests.unit.agent.cluster import cluster as towns
from tests.unit.agent.cluster.cluster import LEASE_S, running_cluster
from tests.unit.agent.lab import web

WAITING = (server("me", services=["web"]), server("twin", services=["web"]), web(), state("web", holder="twin"))


def _one_of_several(number):
    return datetime.fromtimestamp(time.time(), UTC).strftime(f"%Y%m%d%H%M%S.%fZ#{number:06x}#001#000000")


async def asked_at(lab, times, *, within_s):
    """When `me` has asked for the service, while its holder lives and lets nothing go."""
    found = []
    end = time.monotonic() + within_s
    while len(found) < times and time.monotonic() < end:
        stamp = datetime.fromtimestamp(time.time(), UTC).strftime("%Y%m%d%H%M%S.%fZ")
        lab.directory.put(status("twin", heartbeat=stamp, relocMode=str(Mode.NORMAL)))
        asked = [each for each in lab.me.writer.written if "replace relocCandidate" in each]
        found += [time.monotonic()] * (len(asked) - len(found))
        await asyncio.sleep(LEASE_S / 40)
    return found


@in_virtual_time
async def test_who_waits_for_a_lease_asks_again_and_then_waits_longer(monkeypatch):
    """The holder's provider may have kept another candidate, or none."""
    monkeypatch.setattr(towns, "stamped", _one_of_several)
    async with running_cluster(*WAITING, names=("me",)) as lab:
        first, second, third = await asked_at(lab, 3, within_s=5 * LEASE_S)
        assert second - first == pytest.approx(LEASE_S, rel=0.4)
        assert third - second == pytest.approx(2 * LEASE_S, rel=0.3)


@in_virtual_time
async def test_with_one_provider_it_has_been_told():
    async with running_cluster(*WAITING, names=("me",)) as lab:
        assert len(await asked_at(lab, 2, within_s=2 * LEASE_S)) == 1
