"""What becomes of a move in the history: who began it, why, what came of it, and that no move waits for it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from relocd.errors import Failed, Unavailable
from relocd.model.history import Happened, now
from relocd.model.status import Mode
from relocd.reconcile.goals import goal_id
from tests.support.entries import cluster, dn, server, uuid_of
from tests.support.fakes import until
from tests.unit.agent.cluster.cluster import SOON_S, running_cluster
from tests.unit.agent.lab import web

ANNA, ROBOT = "cn=anna,ou=people,dc=example,dc=org", "cn=robot,dc=example,dc=org"
BOTH = (server("me", services=["web"], modifiersName=ANNA), server("twin"), web())
PAIR = (server("me", clusters=["pair"]), server("twin", clusters=["pair"]), web())


def pair(active, by=ANNA, **more):
    return cluster("pair", services=["web"], active=active, modifiersName=by, **more)


def recorded(lab):
    """The records of the service so far."""
    return lab.directory.history.records.get("web", [])


async def records(lab, number):
    await until(lambda: len(recorded(lab)) >= number, SOON_S)
    return recorded(lab)[number - 1]


def essence(record):
    return record.event, record.generation, record.source, record.target, record.by


class TestWhoBeganIt:
    async def test_whoever_linked_the_server(self):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            lab.link("twin", "web", modifiersName=ROBOT)
            await lab.serves("twin")
            assert essence(await records(lab, 1)) == (Happened.SERVED, 1, "", dn("me"), ANNA)
            record = await records(lab, 2)
            assert essence(record) == (Happened.SERVED, 2, dn("me"), dn("twin"), ROBOT)
            assert record.server == dn("twin")
            assert record.rule == "R3"
            assert record.took_ms >= 0
            assert now() - timedelta(seconds=60) < record.at <= now()

    async def test_a_later_change_of_the_entry_hides_nobody(self):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            lab.twin.server.renderer.templates["web", "conf.j2"] = "BAD"
            lab.link("twin", "web", modifiersName=ROBOT)
            await until(lambda: lab.twin.problems())
            lab.link("twin", "web", modifiersName=ANNA, description="in the cellar")
            await until(lambda: lab.directory.model.named("twin").attributes.get("description"))
            lab.twin.server.renderer.templates["web", "conf.j2"] = "good"
            lab.twin.server.sets.tell()
            await lab.serves("twin")
            assert (await records(lab, 2)).by == ROBOT

    async def test_whoever_made_the_member_active(self):
        async with running_cluster(*PAIR, pair("me")) as lab:
            await lab.serves("me")
            lab.directory.put(pair("twin", ROBOT))
            await lab.serves("twin")
            record = await records(lab, 2)
            assert essence(record) == (Happened.SERVED, 2, dn("me"), dn("twin"), ROBOT)
            assert record.reason == "twin made active in pair"

    async def test_whoever_fenced_the_dead_holder(self):
        async with running_cluster(server("me", services=["web"]), server("twin", services=["web"]), web()) as lab:
            await until(lambda: lab.is_settled("me") or lab.is_settled("twin"), SOON_S)
            holder, other = ("me", "twin") if lab.state[0] == "me" else ("twin", "me")
            lab.link(other, "web", modifiersName=ANNA)
            await lab.nodes[holder].power_off()
            lab.link(holder, relocFenced="TRUE", modifiersName=ROBOT)
            await lab.serves(other)
            await until(lambda: recorded(lab)[-1].target == dn(other), SOON_S)
            assert recorded(lab)[-1].by == ROBOT
            assert recorded(lab)[-1].rule == "R8"

    async def test_the_agent_itself_where_a_dead_member_is_replaced(self):
        async with running_cluster(*PAIR, pair("me", relocFailover="automatic")) as lab:
            await lab.serves("me")
            await lab.me.power_off()
            await lab.serves("twin")
            record = await records(lab, 2)
            assert essence(record) == (Happened.SERVED, 2, dn("me"), dn("twin"), dn("twin"))
            assert record.rule == "R8"

    async def test_the_server_that_is_drained_and_gives_its_cluster_away(self):
        async with running_cluster(*PAIR, pair("me")) as lab:
            await lab.serves("me")
            lab.me.orders.word = Mode.DRAINED
            await lab.serves("twin")
            record = await records(lab, 2)
            assert essence(record) == (Happened.SERVED, 2, dn("me"), dn("twin"), dn("me"))
            assert (record.rule, record.reason) == ("R6", "me is drained")

    async def test_whoever_removed_the_last_link(self):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            await records(lab, 1)
            lab.link("me", modifiersName=ROBOT)
            record = await records(lab, 2)
            assert essence(record) == (Happened.RELEASED, 2, dn("me"), "", ROBOT)
            assert record.rule == "R6"


class TestWhatCameOfIt:
    async def test_a_sick_service_is_handed_over_with_the_reason_of_its_health(self):
        pair_of_both = cluster("pair", services=["web"], active="me", modifiersName=ANNA, relocFailover="automatic")
        async with running_cluster(*PAIR, pair_of_both) as lab:
            await lab.serves("me")
            await records(lab, 1)
            lab.me.failures.fail(goal_id(uuid_of("web")), "http answers 500")
            await lab.serves("twin")
            sick, moved = await records(lab, 2), await records(lab, 3)
            assert (sick.event, sick.server, sick.reason) == (Happened.UNHEALTHY, dn("me"), "http answers 500")
            assert essence(moved)[:4] == (Happened.SERVED, 2, dn("me"), dn("twin"))
            assert moved.by in {dn("me"), dn("twin")}
            assert "http answers 500" in moved.reason

    async def test_a_service_that_does_not_start_is_given_back_with_the_reason(self):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            lab.twin.server.units.broken = {"web"}
            lab.link("twin", "web", modifiersName=ROBOT)
            await until(lambda: lab.state == ("me", None, None, 3), SOON_S)
            failed, back = sorted([await records(lab, 2), await records(lab, 3)], key=lambda each: each.generation)
            assert essence(failed) == (Happened.FAILED, 2, dn("me"), dn("twin"), ROBOT)
            assert "web does not start" in failed.reason
            assert essence(back) == (Happened.GIVEN_BACK, 3, dn("twin"), dn("me"), dn("twin"))
            assert back.rule == "R5"
            assert "web does not start" in back.reason

    async def test_a_server_that_cannot_do_what_it_is_asked_says_so_once(self):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            lab.twin.server.renderer.templates["web", "conf.j2"] = "BAD"
            lab.link("twin", "web", modifiersName=ROBOT)
            record = await records(lab, 2)
            assert essence(record) == (Happened.REFUSED, 1, "", "", dn("twin"))
            assert record.reason
            for _ in range(3):
                lab.twin.server.sets.tell()
            lab.twin.server.renderer.templates["web", "conf.j2"] = "good"
            lab.twin.server.sets.tell()
            assert (await records(lab, 3)).event is Happened.SERVED


class TestNothingWaitsForIt:
    @pytest.mark.parametrize("refusal", [Failed("no such class"), Unavailable("no answer")])
    async def test_a_move_is_complete_while_no_record_can_be_written(self, refusal):
        async with running_cluster(*BOTH) as lab:
            lab.directory.history.refusal = refusal
            await lab.serves("me")
            lab.link("twin", "web")
            await lab.serves("twin")
            await until(lambda: lab.directory.history.tries)
            assert recorded(lab) == []

    async def test_a_move_is_complete_while_the_history_hangs(self):
        async with running_cluster(*BOTH) as lab:
            lab.directory.history.open.clear()
            await lab.serves("me")
            await until(lambda: lab.directory.history.tries)
            lab.link("twin", "web")
            await lab.serves("twin")
            lab.directory.history.open.set()
            await records(lab, 2)
