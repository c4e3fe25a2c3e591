"""What a person tells an agent, drain, pause and resume, in servers that agree on who runs a service."""

from __future__ import annotations

import asyncio

from relocd.model.status import Mode
from tests.support.entries import cluster, server, service, state
from tests.support.fakes import until
from tests.support.plans import placed
from tests.unit.agent.cluster.cluster import BOTH, SOON_S, remains, running_cluster
from tests.unit.agent.lab import web


async def obeys(node, mode):
    """A person tells the agent something, and it has noticed."""
    node.orders.word = mode
    await until(lambda: node.said.status.get("mode") == mode)


class TestOrders:
    async def test_a_drained_server_hands_over_to_whoever_is_ready(self):
        async with running_cluster(server("me", services=["web"]), server("twin"), web()) as lab:
            await lab.serves("me")
            lab.twin.server.renderer.templates["web", "conf.j2"] = "BAD"
            lab.link("twin", "web")
            await obeys(lab.me, Mode.DRAINED)
            await remains(lab, "me")
            lab.twin.server.renderer.templates["web", "conf.j2"] = "good"
            lab.twin.server.sets.tell()
            await lab.serves("twin")

    async def test_it_hands_over_to_one_that_failed_once_what_was_in_the_way_there_is_gone(self):
        """Somebody puts the address at the other server just when that takes over, and removes it later."""
        pair = cluster("pair", services=["web"], active="me")
        members = [server(name, clusters=["pair"]) for name in ("me", "twin")]
        async with running_cluster(*members, pair, web()) as lab:
            await lab.serves("me")
            addresses, copy = lab.twin.server.addresses, placed("192.0.2.10/24")
            add = addresses.add

            async def somebody_is_faster(*arguments):
                addresses.add = add
                addresses.there[copy] = False
                await add(*arguments)

            addresses.add = somebody_is_faster
            lab.directory.put(cluster("pair", services=["web"], active="twin"))
            await until(lambda: lab.twin.state_of("web") == "failed", SOON_S)
            await obeys(lab.me, Mode.DRAINED)
            addresses.remove_by_hand(copy)
            await lab.serves("twin")

    async def test_it_hands_over_also_where_that_was_gone_before_the_attempt_had_ended(self):
        pair = cluster("pair", services=["web"], active="me")
        members = [server(name, clusters=["pair"]) for name in ("me", "twin")]
        async with running_cluster(*members, pair, web()) as lab:
            await lab.serves("me")
            addresses, copy = lab.twin.server.addresses, placed("192.0.2.10/24")
            add = addresses.add

            async def somebody_is_there_for_a_moment(*arguments):
                addresses.add = add
                addresses.there[copy] = False
                addresses.tell()
                await asyncio.sleep(0)  # the news is heard
                try:
                    await add(*arguments)
                finally:
                    addresses.remove_by_hand(copy)
                    await asyncio.sleep(0)

            addresses.add = somebody_is_there_for_a_moment
            lab.directory.put(cluster("pair", services=["web"], active="twin"))
            await lab.serves("twin")

    async def test_a_drained_server_takes_nothing(self):
        async with running_cluster(server("me"), server("twin", services=["web"]), web()) as lab:
            await lab.serves("twin")
            await obeys(lab.me, Mode.DRAINED)
            lab.link("me", "web")
            await remains(lab, "twin")
            await obeys(lab.me, Mode.NORMAL)
            await lab.serves("me")

    async def test_a_drained_server_that_is_the_only_one_stops_and_resumes(self):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            await obeys(lab.me, Mode.DRAINED)
            await until(lambda: lab.state[0] is None and not lab.me.held, SOON_S)
            await obeys(lab.me, Mode.NORMAL)
            await lab.serves("me")

    async def test_a_paused_server_does_nothing(self):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            await obeys(lab.me, Mode.PAUSED)
            lab.link("twin", "web")
            await until(lambda: lab.state[1] == "twin", SOON_S)
            await remains(lab, "me")
            await obeys(lab.me, Mode.NORMAL)
            await lab.serves("twin")

    async def test_a_paused_server_begins_and_ends_nothing_that_is_shared(self):
        async with running_cluster(*BOTH, service("db")) as lab:
            await lab.serves("me")
            await obeys(lab.me, Mode.PAUSED)
            lab.link("me", "web", "db")
            await until(lambda: lab.me.reason_of("db").startswith("paused"), SOON_S)
            await remains(lab, "me")
            await obeys(lab.me, Mode.NORMAL)
            await until(lambda: lab.me.state_of("db") == "active", SOON_S)
            await obeys(lab.me, Mode.PAUSED)
            lab.link("me", "web")
            await remains(lab, "me")
            await obeys(lab.me, Mode.NORMAL)
            await until(lambda: lab.me.state_of("db") is None, SOON_S)

    async def test_a_paused_server_keeps_what_it_neither_holds_nor_is_linked_to_any_more(self):
        """As after the directory was restored from a backup: whoever paused it wants to look first."""
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            await obeys(lab.me, Mode.PAUSED)
            lab.directory.put(state("web", holder="twin", generation=1))
            lab.unlink("me")
            lab.link("twin", "web")
            await remains(lab, "me")
            await obeys(lab.me, Mode.NORMAL)
            await lab.serves("twin")
