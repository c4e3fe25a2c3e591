"""Servers that agree on who runs a service: what ends it, what fails, and that no two ever have it."""

from __future__ import annotations

import asyncio
from ipaddress import ip_interface

from relocd.errors import Unavailable
from relocd.model.dn import DN
from relocd.model.template_set import UnitSpec
from tests.support.entries import cluster, dn, server, service, state, uuid_of
from tests.support.fakes import until
from tests.support.plans import template_set
from tests.unit.agent.cluster.cluster import (
    BOTH,
    LEASE_S,
    PAIR,
    SOON_S,
    MemoryCluster,
    a_while,
    remains,
    running_cluster,
)
from tests.unit.agent.lab import web


async def test_what_two_servers_have_at_once_is_seen():
    """Or the other tests of a cluster prove little."""
    lab = MemoryCluster(("me", "twin"), BOTH)
    for node in lab.nodes.values():
        await node.server.host.addresses.add("eth0", ip_interface("192.0.2.10/24"))
        await node.server.host.units.start("web")
    await asyncio.sleep(0)
    assert set(lab.doubles) == {"192.0.2.10", "web"}


class TestRestoredBackup:
    async def test_who_is_the_holder_again_asks_the_wire_first(self):
        """That the state changes to this server's name is no handover then: the other one still serves."""
        pair = cluster("pair", services=["web"], active="me")
        async with running_cluster(*PAIR, pair) as lab:
            await lab.serves("me")
            await lab.me.stop()
            lab.me.start()
            await lab.serves("me")
            lab.directory.put(cluster("pair", services=["web"], active="twin"))
            await lab.serves("twin")
            before = [*lab.directory.model.put(pair), *lab.directory.model.put(state("web", holder="me"))]
            lab.me.feed.tell(before)
            await until(lambda: "is answered by" in str(lab.me.problems()), SOON_S)
            lab.twin.feed.tell(before)
            await lab.serves("me")


class TestNobodyIsChosen:
    async def test_it_is_let_go(self):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            lab.unlink("me")
            await until(lambda: lab.state == (None, None, None, 2), SOON_S)
            await until(lambda: lab.me.server.state() == ({}, set(), set(), {}))

    async def test_not_while_a_direct_read_finds_a_link(self):
        """The search may come from a provider that has not heard of it."""
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            told = lab.directory.model.put(server("me"))
            lab.directory.model.put(server("me", services=["web"]))
            lab.me.feed.tell(told)
            await remains(lab, "me")
            lab.unlink("me")
            await until(lambda: lab.state[0] is None and not lab.me.held, SOON_S)

    async def test_not_while_a_cluster_names_a_server_that_is_no_member_and_that_is_said(self):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            lab.directory.put(cluster("pair", services=["web"], active="twin"))
            lab.unlink("me")
            await until(lambda: "twin as relocActive" in lab.me.reason_of("web"), SOON_S)
            await remains(lab, "me")

    async def test_although_a_cluster_manager_has_an_active_server_for_it(self):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            lab.directory.put(cluster("pair", services=["web"], active="twin", relocFailover="external"))
            lab.unlink("me")
            await until(lambda: lab.state[0] is None and not lab.me.held, SOON_S)

    async def test_not_while_nothing_can_be_read(self):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            lab.me.reader.refusal = Unavailable("no server answers")
            lab.unlink("me")
            await remains(lab, "me")
            lab.me.reader.refusal = None
            await until(lambda: lab.state[0] is None and not lab.me.held, SOON_S)


class TestFenced:
    async def test_a_server_declared_off_is_taken_from_at_once_and_clears_the_flag_when_it_holds_nothing(self):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            await lab.me.power_off()
            lab.link("me", "web", relocFenced="TRUE")
            lab.link("twin", "web")
            await lab.serves("twin")
            lab.me.start()
            await until(lambda: b"TRUE" not in lab.attribute("me", "relocFenced"), SOON_S)
            await remains(lab, "twin")

    async def test_a_holder_that_was_away_and_that_a_direct_read_finds_fenced_raises_nothing(self):
        """The search has not brought the fence yet: others may be taking this server for dead."""
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            await lab.me.power_off()
            await asyncio.sleep(LEASE_S)
            lab.me.start()
            lab.directory.model.put(server("me", services=["web"], relocFenced="TRUE"))
            await until(lambda: "finds this server fenced" in str(lab.me.said.status), SOON_S)
            assert not lab.me.held
            lab.directory.put(server("me", services=["web"]))
            await lab.serves("me")

    async def test_nor_does_it_once_another_server_has_asked_since_it_returned(self):
        """The state is newer than the return of the heartbeat then, and yet it says nothing about the fence."""
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            await lab.me.power_off()
            await asyncio.sleep(LEASE_S)
            lab.me.start()
            lab.directory.model.put(server("me", services=["web"], relocFenced="TRUE"))
            await until(lambda: "finds this server fenced" in str(lab.me.said.status), SOON_S)
            lab.link("twin", "web")
            await until(lambda: lab.state[1] == "twin", SOON_S)
            await a_while()
            assert (lab.state[0], lab.me.held) == ("me", set())

    async def test_one_that_is_up_steps_down(self):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            lab.link("me", "web", relocFenced="TRUE")
            await until(lambda: lab.state[3] >= 2, SOON_S)
            await until(lambda: not lab.attribute("me", "relocFenced"), SOON_S)
            await lab.serves("me")


TWINS_STATUS = DN.parse(f"cn=status,{dn('twin')}")
WAITS = b"web waits: me is silent in the directory but 192.0.2.10"


class TestDeath:
    async def test_a_dead_holder_is_taken_from_when_directory_and_wire_are_silent(self):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            await lab.me.power_off()
            lab.link("twin", "web")
            await lab.serves("twin")
            assert lab.links() == {"twin"}
            lab.me.start()
            await remains(lab, "twin")

    async def test_one_that_still_answers_is_not_and_the_status_says_for_what_it_is_waited(self):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            await lab.me.stop()
            lab.link("twin", "web")
            await until(lambda: "me is silent in the directory but 192.0.2.10" in lab.twin.reason_of("web"), SOON_S)
            await a_while()
            assert (lab.state[:2], lab.twin.held) == (("me", "twin"), set())
            await until(lambda: any(WAITS in each for each in lab.attribute(TWINS_STATUS, "relocProblem")), SOON_S)
            await lab.me.power_off()
            await lab.serves("twin")
            await until(lambda: not lab.attribute(TWINS_STATUS, "relocProblem"), SOON_S)

    async def test_an_automatic_cluster_fails_over_by_itself(self):
        pair = cluster("pair", services=["web"], active="me", relocFailover="automatic")
        async with running_cluster(*PAIR, pair) as lab:
            await lab.serves("me")
            await lab.me.power_off()
            await lab.serves("twin")
            assert lab.attribute("pair", "relocActive") == (dn("twin").encode(),)


class TestRenamed:
    async def test_a_holder_keeps_serving_by_its_new_name(self):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            lab.me.server.take_effects()
            lab.directory.rename(uuid_of("me"), "myself")
            await until(lambda: lab.state == ("myself", None, None, 1), SOON_S)
            await until(lambda: "cn=status,cn=myself" in lab.me.feed.filter, SOON_S)
            lab.link("twin", "web")
            await lab.serves("twin")

    async def test_a_service_keeps_running_when_it_is_renamed(self):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            lab.me.server.install_set(template_set(), "the same for any name")
            lab.directory.rename(uuid_of("web"), "www")
            await a_while()
            assert lab.me.held == {"192.0.2.10"}
            lab.link("me", "www")
            lab.link("twin", "www")
            await lab.serves("twin", "www")
            assert lab.directory.model.named_state("www")[0] == "twin"


def spares(*entries):
    """Two services, of which the first displaces the other."""
    main = service("main", relocAddress="192.0.2.20/24", relocTemplateSet="web", relocDisplaces=dn("spare"))
    spare = service("spare", relocAddress="192.0.2.21/24", relocTemplateSet="web")
    return (*entries, main, spare)


async def test_what_is_displaced_gives_way_first_and_resumes_when_the_other_moves_away():
    async with running_cluster(*spares(server("me", services=["spare"]), server("twin"))) as lab:
        for node in lab.nodes.values():
            node.server.install_set(template_set(units=(UnitSpec("web-{name}"),)), "conf of {service[name]}")
        await lab.serves("me", "spare")
        lab.me.server.take_effects()
        lab.link("me", "spare", "main")
        await lab.serves("me", "main")
        effects = lab.me.server.take_effects()
        assert effects.index("drop 192.0.2.21/24 on eth0") < effects.index("raise 192.0.2.20/24 on eth0")
        assert lab.me.held == {"192.0.2.20"}
        lab.link("twin", "main")
        await until(lambda: lab.twin.held == {"192.0.2.20"} and lab.me.held == {"192.0.2.21"}, SOON_S)


class TestWarrant:
    async def test_what_allowed_an_address_is_too_old_after_a_slow_probe_and_nothing_is_raised_on_it(self):
        """Another one may hold the service by then."""
        async with running_cluster(server("me"), server("twin"), web()) as lab:
            lab.me.server.wire.slow.clear()
            lab.link("me", "web")
            await until(lambda: lab.state[0] == "me", SOON_S)
            await asyncio.sleep(LEASE_S / 2)  # longer than it is good for
            lab.me.reader.refusal = Unavailable("no server answers")
            lab.me.server.take_effects()
            lab.me.server.wire.slow.set()
            await lab.me.says("no server answers")
            assert (lab.me.held, lab.me.running) == (set(), set())
            lab.me.reader.refusal = None
            await lab.serves("me")
