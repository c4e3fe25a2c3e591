"""A machine was cloned: two agents go by one server entry, and neither of them takes anything."""

from __future__ import annotations

from tests.support.entries import server
from tests.support.fakes import until
from tests.unit.agent.cluster.cluster import SOON_S, MemoryNode, a_while, running_cluster
from tests.unit.agent.lab import web


def is_told(node):
    return "heartbeat" in {problem["subject"] for problem in node.said.status.get("problems", ())}


async def test_it_asks_for_no_service_until_it_is_the_only_one_again():
    async with running_cluster(server("me", services=["web"]), server("twin"), web()) as lab:
        await lab.serves("me")
        clone = MemoryNode("twin", lab.directory)
        clone.start()
        try:
            await until(lambda: is_told(lab.twin) and is_told(clone), SOON_S)
            lab.link("twin", "web")
            await a_while()
            assert lab.state == ("me", None, None, 1)
        finally:
            await clone.stop()
        await lab.serves("twin")
        assert not is_told(lab.twin)
