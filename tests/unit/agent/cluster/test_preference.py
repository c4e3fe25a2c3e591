"""Which member of an automatic cluster becomes active: preferred ones first, and not where a service has failed."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest

from relocd.model.dn import DN
from relocd.model.status import Mode
from relocd.reconcile.goals import goal_id
from tests.support.entries import cluster, dn, server, uuid_of
from tests.support.fakes import until
from tests.support.virtual_time import in_virtual_time
from tests.unit.agent.cluster.cluster import LEASE_S, SOON_S, a_while, running_cluster
from tests.unit.agent.lab import web

NAMES = ("a", "b", "c")
MEMBERS = (*(server(name, clusters=["pair"]) for name in NAMES), web())
LONG_S = 30.0
WEB = goal_id(uuid_of("web"))


def pair(active="a", *, preferred=(), failover="automatic", **more):
    settings = {"relocFailover": failover, "relocPreferred": list(map(dn, preferred))}
    return cluster("pair", services=["web"], active=active, **settings | more)


def members(*entries, names=NAMES):
    return running_cluster(*entries, *MEMBERS, names=names)


def active(lab):
    (value,) = lab.attribute("pair", "relocActive")
    return next(name for name in NAMES if value == dn(name).encode())


def sicken(node):
    node.failures.fail(WEB, "http answers 500")


async def published(lab, *names):
    """Wait until these servers publish that the service has failed there."""
    statuses = [DN.parse(f"cn=status,{dn(name)}") for name in names]
    await until(lambda: all(lab.attribute(each, "relocFailedService") for each in statuses), SOON_S)


class TestPreferred:
    @in_virtual_time
    async def test_a_preferred_member_takes_over_from_a_dead_one_before_those_that_come_first_by_name(self):
        async with members(pair(preferred=["c"])) as lab:
            await lab.serves("a")
            await lab.a.power_off()
            await lab.serves("c")
            assert active(lab) == "c"

    @in_virtual_time
    async def test_an_active_member_that_never_held_anything_is_replaced_once_its_silence_is_certain(self):
        """Its agent has never run; that its status is not there proves nothing before a lease has passed."""
        began = time.monotonic()
        async with members(pair(), names=("b", "c")) as lab:
            await until(lambda: active(lab) == "b", SOON_S)
            assert time.monotonic() - began >= LEASE_S
            await lab.serves("b")

    @in_virtual_time
    async def test_the_next_one_does_where_the_preferred_one_could_not_serve(self):
        async with members(pair(preferred=["c"])) as lab:
            await lab.serves("a")
            lab.c.server.renderer.templates["web", "conf.j2"] = "BAD"
            lab.c.server.sets.tell()
            await lab.a.power_off()
            await lab.serves("b")

    @in_virtual_time
    async def test_a_drained_member_gives_to_the_preferred_one(self):
        async with members(pair(preferred=["c"], failover="manual")) as lab:
            await lab.serves("a")
            lab.a.orders.word = Mode.DRAINED
            await lab.serves("c")
            assert active(lab) == "c"


class TestFailback:
    @in_virtual_time
    async def test_a_preferred_member_becomes_active_again_once_it_was_ready_for_so_long(self):
        async with members(pair("b", preferred=["a"], relocFailback="20")) as lab:
            await lab.serves("b")
            began = time.monotonic()
            await until(lambda: active(lab) == "a", 2 * LONG_S)
            assert time.monotonic() - began > 20 - LEASE_S
            await lab.serves("a")
            assert lab.state[3] == 2

    @pytest.mark.parametrize(
        ("more", "failover"),
        [({}, "automatic"), ({"relocFailback": "0"}, "manual")],
        ids=["no relocFailback", "manual"],
    )
    @in_virtual_time
    async def test_not_where_the_cluster_does_not_say_so(self, more, failover):
        async with members(pair("b", preferred=["a"], failover=failover, **more)) as lab:
            await lab.serves("b")
            await asyncio.sleep(LONG_S)
            assert (active(lab), lab.state[0]) == ("b", "b")

    @in_virtual_time
    async def test_a_move_by_an_administrator_is_undone_only_after_that_time(self):
        async with members(pair("a", preferred=["a"], relocFailback="20")) as lab:
            await lab.serves("a")
            await asyncio.sleep(20)
            lab.directory.put(pair("b", preferred=["a"], relocFailback="20"))
            began = time.monotonic()
            await until(lambda: lab.state[0] == "b", SOON_S)
            await until(lambda: active(lab) == "a", 2 * LONG_S)
            assert time.monotonic() - began > 20
            await lab.serves("a")

    @in_virtual_time
    async def test_not_while_a_service_has_failed_there(self):
        async with members(pair("b", preferred=["a"], relocFailback="0")) as lab:
            sicken(lab.a)
            await lab.serves("b")
            await asyncio.sleep(LONG_S)
            assert active(lab) == "b"
            lab.a.failures.recover(WEB)
            await lab.serves("a")

    @in_virtual_time
    async def test_a_restart_of_its_agent_begins_the_time_again(self):
        async with members(pair("b", preferred=["a"], relocFailback="20")) as lab:
            await lab.serves("b")
            await asyncio.sleep(15)
            await lab.a.stop()
            lab.a.start()
            began = time.monotonic()
            await until(lambda: active(lab) == "a", LONG_S)
            assert time.monotonic() - began > 20 - LEASE_S

    @in_virtual_time
    async def test_one_whose_activation_fails_gives_back_and_is_not_tried_again_for_nothing(self):
        """The cluster goes on naming it, as after an order of a person; a healthy member serves."""
        async with members(pair("b", preferred=["a"], relocFailback="5")) as lab:
            await lab.serves("b")
            lab.a.server.units.broken = {"web"}
            await asyncio.sleep(5 * LONG_S)
            assert lab.state == ("b", None, None, 3)
            assert lab.b.held

    @in_virtual_time
    async def test_one_on_which_it_fails_again_and_again_is_tried_after_ever_longer_pauses(self):
        async with members(pair("b", preferred=["a"], relocFailback="5")) as lab:
            await lab.serves("b")
            ends, became = time.monotonic() + 10 * LONG_S, []
            while time.monotonic() < ends:
                await asyncio.sleep(0.1)
                if lab.state[0] == "a":
                    became.append(time.monotonic())
                    sicken(lab.a)
                    await lab.serves("b")
                    lab.a.failures.recover(WEB)
            pauses = [later - earlier for earlier, later in pairwise(became)]
            assert len(pauses) >= 3
            assert all(later > 1.8 * earlier for earlier, later in pairwise(pauses))

    @in_virtual_time
    async def test_not_to_one_that_could_not_serve(self):
        async with members(pair("b", preferred=["a"], relocFailback="0")) as lab:
            lab.a.server.renderer.templates["web", "conf.j2"] = "BAD"
            await lab.serves("b")
            await asyncio.sleep(LONG_S)
            assert (active(lab), lab.state[0]) == ("b", "b")


class TestFailed:
    @in_virtual_time
    async def test_an_active_member_on_which_a_service_failed_gives_to_the_next_at_once(self):
        async with members(pair()) as lab:
            await lab.serves("a")
            sicken(lab.a)
            began = time.monotonic()
            await until(lambda: active(lab) == "b", SOON_S)
            assert time.monotonic() - began < LEASE_S / 4  # before the next heartbeat

    @in_virtual_time
    async def test_not_to_one_on_which_it_failed_too(self):
        async with members(pair()) as lab:
            sicken(lab.b)
            await lab.serves("a")
            await published(lab, "b")
            sicken(lab.a)
            await until(lambda: active(lab) == "c", SOON_S)

    @in_virtual_time
    async def test_the_next_one_takes_it_where_a_chosen_member_cannot_take_the_service(self):
        """It is not ready, which its agent publishes; the former one serves on meanwhile."""
        async with members(pair()) as lab:
            lab.b.server.renderer.templates["web", "conf.j2"] = "BAD"
            await lab.serves("a")
            lab.directory.put(pair("b"))
            await until(lambda: active(lab) == "a", SOON_S)
            await lab.serves("a")
            assert lab.state[3] == 1

    @in_virtual_time
    async def test_nothing_moves_where_every_member_has_failed(self):
        async with members(pair()) as lab:
            await lab.serves("a")
            for node in (lab.b, lab.c):
                sicken(node)
            await published(lab, "b", "c")
            sicken(lab.a)
            await asyncio.sleep(LONG_S)
            assert (active(lab), lab.state[0]) == ("a", "a")
            assert lab.a.held

    @in_virtual_time
    async def test_a_gateway_that_is_gone_for_all_members_moves_nothing(self):
        """Each has counted to `fall` a little later than the one before."""
        async with members(pair()) as lab:
            await lab.serves("a")
            for node in lab.nodes.values():
                node.failures.doubt_server("192.0.2.254 does not answer")
            for node in lab.nodes.values():
                await asyncio.sleep(1)
                node.failures.fail_server("192.0.2.254 does not answer")
                node.failures.doubt_server("")
            await asyncio.sleep(LONG_S)
            assert (lab.state[0], lab.state[3], bool(lab.a.held)) == ("a", 1, True)

    @in_virtual_time
    async def test_a_service_that_flaps_moves_three_times_in_ten_minutes_and_then_stays(self):
        async with members(pair(preferred=["a"], relocFailback="30")) as lab:
            await lab.serves("a")
            ends, holders = time.monotonic() + 500, ["a"]
            while time.monotonic() < ends:
                holder = lab.state[0]
                for node in lab.nodes.values():
                    sicken(node) if node.name == holder else node.failures.recover(WEB)
                await asyncio.sleep(5)
                if lab.state[0] != holders[-1]:
                    holders.append(lab.state[0])
            assert len(holders) == 1 + 3
            assert lab.nodes[holders[-1]].held

    @pytest.mark.parametrize("failover", ["manual", "external"])
    @in_virtual_time
    async def test_nothing_moves_where_failover_is_not_automatic(self, failover):
        async with members(pair(failover=failover)) as lab:
            await until(lambda: lab.a.state_of("web") is not None, SOON_S)
            sicken(lab.a)
            await asyncio.sleep(LONG_S)
            assert active(lab) == "a"

    @in_virtual_time
    async def test_a_paused_member_keeps_its_cluster(self):
        async with members(pair()) as lab:
            await lab.serves("a")
            lab.a.orders.word = Mode.PAUSED
            await until(lambda: lab.a.said.status["mode"] == "paused", SOON_S)
            sicken(lab.a)
            await a_while()
            await asyncio.sleep(LONG_S)
            assert active(lab) == "a"
