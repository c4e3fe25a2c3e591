"""A service that is unhealthy on its holder: it moves where another server can run it, and stays where none can."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager

from relocd.model.health import CheckKind, HealthLimits, HealthSpec
from relocd.reconcile.goals import goal_id
from tests.support.entries import cluster, server
from tests.support.fakes import until
from tests.support.plans import template_set
from tests.support.virtual_time import in_virtual_time
from tests.unit.agent.cluster.cluster import SOON_S, remains, running_cluster
from tests.unit.agent.lab import web

MEMBERS = (server("me", services=["web"], clusters=["pair"]), server("twin", clusters=["pair"]), web())
PAIR = (*MEMBERS, cluster("pair", services=["web"], active="twin"))
"""me is linked directly; twin is the active member of the cluster, and candidate from then on."""
LIMITS = HealthLimits(interval_s=2.0, timeout_s=1.0, fall=3, rise=2, start_s=10.0, restarts=1)
TCP = HealthSpec(CheckKind.TCP, ("192.0.2.10:80",), LIMITS)


def web_id(lab):
    return goal_id(lab.directory.model.named("web").uuid)


def fail(lab, name, why="HTTP 500"):
    lab.nodes[name].failures.fail(web_id(lab), why)


def published(lab, name):
    """Whether a server publishes that the service has failed there."""
    entry = lab.directory.model.named(lab.directory.model.named(name).dn.below("cn=status"))
    return bool(entry.attributes.get("relocfailedservice"))


async def test_it_moves_to_a_server_that_is_ready_also_where_a_direct_link_outranks_that():
    async with running_cluster(*PAIR) as lab:
        await lab.serves("me", candidate="twin")
        fail(lab, "me")
        await lab.serves("twin")
        assert "me" not in lab.links()
        await until(lambda: published(lab, "me"))
        assert not published(lab, "twin")


async def test_it_stays_where_no_other_server_may_run_it():
    async with running_cluster(server("me", services=["web"]), web(), names=("me",)) as lab:
        await lab.serves("me")
        fail(lab, "me")
        await until(lambda: published(lab, "me"))
        await remains(lab, "me")
        assert lab.me.state_of("web") == "active"


async def test_it_stays_where_the_other_server_has_failed_as_well_until_that_may_try_again():
    async with running_cluster(*PAIR) as lab:
        await lab.serves("me", candidate="twin")
        lab.twin.failures.fail_server("eth0 has no carrier")
        await lab.serves("me")
        fail(lab, "me")
        await remains(lab, "me")
        lab.twin.failures.recover_server()
        await lab.serves("twin")


async def test_a_server_takes_nothing_over_while_a_check_of_that_server_fails_that_does_not_count_yet():
    async with running_cluster(*PAIR) as lab:
        await lab.serves("me", candidate="twin")
        lab.twin.failures.doubt_server("192.0.2.254 does not answer")
        await lab.serves("me")
        fail(lab, "me")
        await remains(lab, "me")
        lab.twin.failures.doubt_server("")
        await lab.serves("twin")


async def test_where_it_has_failed_it_is_tried_again_when_somebody_orders_that():
    async with running_cluster(*PAIR) as lab:
        await lab.serves("me", candidate="twin")
        fail(lab, "twin")
        await lab.serves("me")
        await until(lambda: published(lab, "twin"))
        await remains(lab, "me")
        lab.twin.failures.retry(web_id(lab))
        await lab.serves("me", candidate="twin")
        await until(lambda: not published(lab, "twin"))


async def test_what_recovers_before_another_server_is_ready_stays():
    async with running_cluster(*PAIR) as lab:
        await lab.serves("me", candidate="twin")
        lab.twin.failures.fail_server("eth0 has no carrier")
        await lab.serves("me")
        fail(lab, "me")
        await until(lambda: published(lab, "me"))
        lab.me.failures.recover(web_id(lab))
        lab.twin.failures.recover_server()
        await lab.serves("me", candidate="twin")


async def test_a_cluster_whose_active_member_somebody_changes_moves_by_hand():
    """Its members do not take each other's place by themselves."""
    members = (server("me", clusters=["pair"]), server("twin", clusters=["pair"]), web())
    async with running_cluster(*members, cluster("pair", services=["web"], active="me")) as lab:
        await lab.serves("me")
        fail(lab, "me")
        await until(lambda: published(lab, "me"))
        await remains(lab, "me")
        lab.directory.put(cluster("pair", services=["web"], active="twin"))
        await lab.serves("twin")
        assert published(lab, "me")


async def test_after_too_many_moves_for_its_health_it_stays_and_says_so(caplog):
    """Both servers count each of them, whichever was the holder."""
    caplog.set_level(logging.INFO, "relocd.agent.health.failures")

    def counted():
        return sum("moves" in getattr(record, "fields", {}) for record in caplog.records)

    async with running_cluster(*PAIR) as lab:
        await lab.serves("me", candidate="twin")
        fail(lab, "me")
        await lab.serves("twin")
        for number, (holder, other) in enumerate((("twin", "me"), ("me", "twin")), 1):
            await until(lambda: counted() == 2 * number, SOON_S)  # noqa: B023
            fail(lab, holder)
            lab.directory.put(cluster("pair", services=["web"], active=other))
            await lab.serves(other)
        await until(lambda: counted() == 6, SOON_S)
        lab.link("me", "web", clusters=["pair"])
        await lab.serves("me", candidate="twin")
        fail(lab, "me")
        await lab.me.says("3 times")
        await remains(lab, "me")


@asynccontextmanager
async def checked_pair():
    """A service whose check fails from now on; me holds it, and twin, which that outranks, stays its candidate."""
    async with running_cluster(*PAIR) as lab:
        for node in lab.nodes.values():
            node.server.install_set(template_set(health=[TCP]), "conf of {service[name]}")
            node.server.sets.tell()
        await lab.serves("me", candidate="twin")
        await asyncio.sleep(20)
        lab.me.server.take_effects()
        lab.me.server.probes.answers["tcp 192.0.2.10:80"] = "refused"
        yield lab


@in_virtual_time
async def test_it_is_restarted_and_then_moves_also_where_a_candidate_has_waited_all_the_time():
    async with checked_pair() as lab:
        await asyncio.sleep(8)
        assert lab.me.server.take_effects().count("restart web") == 1
        await asyncio.sleep(25)
        await lab.serves("twin")


@in_virtual_time
async def test_it_is_restarted_and_then_fails_also_where_a_dead_server_is_still_the_candidate():
    async with checked_pair() as lab:
        await lab.twin.power_off()
        await asyncio.sleep(40)
        assert lab.me.server.take_effects().count("restart web") == 1
        assert lab.me.failures.own(web_id(lab))
        assert lab.state[:2] == ("me", "twin")
