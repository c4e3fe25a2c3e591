"""Two providers: what one of them may not have been told is said again."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest

from relocd.model.status import Mode
from tests.support.entries import dn, server, state, status
from tests.support.fakes import until
from tests.support.virtual_time import in_virtual_time
from tests.unit.agent.cluster import cluster as towns
from tests.unit.agent.cluster.cluster import LEASE_S, SOON_S, remains, running_cluster
from tests.unit.agent.lab import web

ALONE = (server("me", services=["web"]), server("twin"), web())
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


class TestTheLastLinkIsDeleted:
    async def test_by_another_server_the_holder_serves_on(self, monkeypatch):
        """That one was the holder at the other provider, until the two met."""
        monkeypatch.setattr(towns, "stamped", _one_of_several)
        async with running_cluster(*ALONE, names=("me",)) as lab:
            await lab.serves("me")
            lab.directory.put(server("me", modifiersName=dn("twin")))
            await remains(lab, "me")
            lab.directory.put(server("me", services=["web"], modifiersName="cn=admin,dc=x"))
            await remains(lab, "me")
            lab.directory.put(server("me", modifiersName="cn=admin,dc=x"))
            await until(lambda: lab.state[0] is None, SOON_S)

    @pytest.mark.parametrize("by", ["cn=admin,dc=x", "", "me"])
    async def test_by_anybody_else_the_holder_releases_it(self, monkeypatch, by):
        monkeypatch.setattr(towns, "stamped", _one_of_several)
        async with running_cluster(*ALONE, names=("me",)) as lab:
            await lab.serves("me")
            lab.directory.put(server("me", modifiersName=dn("me") if by == "me" else by))
            await until(lambda: lab.state[0] is None, SOON_S)

    async def test_with_one_provider_it_is_released_whoever_did_it(self):
        async with running_cluster(*ALONE, names=("me",)) as lab:
            await lab.serves("me")
            lab.directory.put(server("me", modifiersName=dn("twin")))
            await until(lambda: lab.state[0] is None, SOON_S)

    async def test_by_a_server_before_the_agent_began_it_is_released(self, monkeypatch):
        """Who deleted the link that it has never seen nobody can say: a later change may hide that."""
        monkeypatch.setattr(towns, "stamped", _one_of_several)
        held = (server("me", modifiersName=dn("twin")), server("twin"), web(), state("web", holder="me"))
        async with running_cluster(*held, names=("me",)) as lab:
            await until(lambda: lab.state[0] is None, SOON_S)
