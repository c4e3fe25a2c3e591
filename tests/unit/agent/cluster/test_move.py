"""A service moves between servers, or stays where it is when it cannot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relocd.model.writes import Unknown
from tests.support.entries import cluster, server
from tests.support.fakes import until
from tests.support.plans import GUARDS
from tests.unit.agent.cluster.cluster import (
    BOTH,
    PAIR,
    SOON_S,
    remains,
    running_cluster,
)
from tests.unit.agent.lab import web


class TestMove:
    async def test_a_move_is_one_more_link(self):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            assert lab.state == ("me", None, None, 1)
            lab.link("twin", "web")
            await lab.serves("twin")
            assert lab.state == ("twin", None, None, 2)
            assert lab.links() == {"twin"}
            await until(lambda: lab.me.server.state() == ({}, set(), set(), {}))

    async def test_the_holder_asks_the_directory_before_the_other_server_asks_for_the_service(self):
        """So that the answer is there when it hands over; a server that is not the holder asks nothing."""
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            asked = {name: _counted(node.writer, "reach") for name, node in lab.nodes.items()}
            lab.twin.server.renderer.templates["web", "conf.j2"] = "BAD"
            lab.link("twin", "web")
            await until(lambda: asked["me"])
            assert lab.state == ("me", None, None, 1)
            assert asked["twin"] == []
            lab.twin.server.renderer.templates["web", "conf.j2"] = "good"
            lab.twin.server.sets.tell()
            await lab.serves("twin")

    async def test_the_new_holder_renders_nothing_while_no_server_has_the_address(self):
        """Its files are beside their targets by then."""
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            held = _noted_at(lab.twin.server.renderer, lambda: lab.me.held | lab.twin.held)
            lab.link("twin", "web")
            await lab.serves("twin")
            assert held
            assert set() not in held

    async def test_a_move_in_a_cluster_is_one_modify_and_the_other_stands_by(self):
        async with running_cluster(*PAIR, cluster("pair", services=["web"], active="me")) as lab:
            await lab.serves("me")
            lab.directory.put(cluster("pair", services=["web"], active="twin"))
            await lab.serves("twin")
            await until(lambda: lab.me.state_of("web") == "standby")

    async def test_a_direct_link_outranks_the_clusters_and_the_service_returns_when_it_goes(self):
        third = server("third")
        names = ("me", "twin", "third")
        async with running_cluster(*PAIR, third, cluster("pair", services=["web"], active="me"), names=names) as lab:
            await lab.serves("me")
            lab.link("third", "web")
            await lab.serves("third", candidate="me")
            lab.unlink("third")
            await lab.serves("me")

    async def test_of_two_at_once_one_gets_it_and_its_link_is_the_one_that_stays(self):
        third = server("third")
        async with running_cluster(*BOTH, third, names=("me", "twin", "third")) as lab:
            await lab.serves("me")
            lab.link("twin", "web")
            lab.link("third", "web")
            await until(lambda: lab.is_settled("twin") or lab.is_settled("third"), SOON_S)
            await until(lambda: lab.links() == {lab.state[0]}, SOON_S)
            assert lab.state[0] in {"twin", "third"}

    async def test_back_and_forth(self):
        async with running_cluster(*BOTH) as lab:
            for name in ("me", "twin", "me", "twin"):
                lab.link(name, "web")
                await lab.serves(name)


class TestAModifyTakesNothingAway:
    async def test_that_names_a_server_that_is_not_ready(self):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            lab.twin.server.renderer.templates["web", "conf.j2"] = "BAD"
            lab.link("twin", "web")
            await lab.twin.says("its check says that it is bad")
            await remains(lab, "me")
            lab.twin.server.renderer.templates["web", "conf.j2"] = "good"
            lab.twin.server.sets.tell()
            await lab.serves("twin")

    async def test_that_names_a_dead_server(self):
        async with running_cluster(*BOTH, names=("me",)) as lab:
            await lab.serves("me")
            lab.link("twin", "web")
            await remains(lab, "me")
            assert lab.links() == {"me", "twin"}

    async def test_that_names_a_server_on_which_it_fails(self):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            lab.twin.server.units.broken = {"web"}
            lab.link("twin", "web")
            await until(lambda: lab.state[3] == 3, SOON_S)
            await lab.serves("me")
            assert lab.links() == {"me"}

    async def test_that_fails_and_the_server_says_so_until_it_has_served(self):
        """Whoever gave the order may look only in the morning."""
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            lab.twin.server.units.broken = {"web"}
            lab.link("twin", "web")
            await lab.twin.says("given back at 20")
            await lab.serves("me")
            await until(lambda: lab.twin.said.status["services"] == [], SOON_S)
            (said,) = lab.twin.problems()
            assert said.endswith("web does not start: look at its log")
            lab.twin.server.units.broken = set()
            lab.link("twin", "web")
            await lab.serves("twin")
            assert lab.twin.said.status["problems"] == []

    async def test_that_the_guards_refuse_says_each_reason_once(self):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            await lab.twin.stop()
            lab.twin.server.host = replace(lab.twin.server.host, guards=replace(GUARDS, units=(), folders=()))
            lab.twin.start()
            lab.link("twin", "web")
            await until(lambda: lab.twin.problems())
            assert "; ".join(lab.twin.problems()).count("unit web matches none") == 1
            await lab.serves("me")

    async def test_that_fails_in_a_cluster_and_it_is_not_tried_again_for_nothing(self):
        async with running_cluster(*PAIR, cluster("pair", services=["web"], active="me")) as lab:
            await lab.serves("me")
            lab.twin.server.units.broken = {"web"}
            lab.directory.put(cluster("pair", services=["web"], active="twin"))
            await until(lambda: lab.state[3] == 3, SOON_S)
            await lab.serves("me")
            await remains(lab, "me")
            await lab.twin.says("given back at 20")


class TestOrderBack:
    @pytest.mark.parametrize("unanswered", [0, 1])
    async def test_one_that_comes_while_the_move_is_cleaned_up_is_followed(self, unanswered):
        """The former holder's link is deleted, and ordered again before the new one has said that the move is over.

        The answer to the deletion may get lost; the next one says that there is nothing to delete.
        """
        async with running_cluster(server("me", services=["web"]), server("twin"), web()) as lab:
            await lab.serves("me")
            write, former = lab.twin.writer.apply, lab.directory.model.named("me").dn
            deletions = []

            async def ordered_back(modification):
                outcome = await write(modification)
                if modification.dn != former:
                    return outcome
                deletions.append(modification)
                if len(deletions) <= unanswered:
                    return Unknown("no answer")
                lab.twin.writer.apply = write
                lab.link("me", "web")
                return outcome

            lab.twin.writer.apply = ordered_back
            lab.link("twin", "web")
            await until(lambda: lab.twin.writer.apply == write)
            await lab.serves("me")


async def test_a_move_whose_write_got_no_answer_is_forgotten_once_the_service_has_moved():
    async with running_cluster(server("me", services=["web"]), server("twin"), web()) as lab:
        await lab.serves("me")
        write, moved = lab.me.writer.apply, []

        async def unanswered(modification):
            outcome = await write(modification)
            if "relocGeneration" not in str(modification) or moved:
                return outcome
            moved.append(modification)
            return Unknown("no answer")

        lab.me.writer.apply = unanswered
        lab.link("twin", "web")
        await lab.serves("twin")
        lab.link("me", "web")
        await lab.serves("me")
        assert moved
        await until(lambda: not lab.me.problems(), SOON_S)


async def test_each_step_is_logged_with_its_rule(caplog):
    caplog.set_level("INFO", "relocd.agent.handover.controller")
    async with running_cluster(*BOTH) as lab:
        await lab.serves("me")
        lab.link("twin", "web")
        await lab.serves("twin")
    fields = [record.fields for record in caplog.records if record.getMessage() == "handover"]
    rules = {(each["step"], each["rule"]) for each in fields}
    assert {("SwapIn", "R1"), ("BecomeCandidate", "R2"), ("HandOver", "R3"), ("Activate", "R4")} <= rules


def _counted(owner, name):
    """A list that grows with each call of a method from now on."""
    calls, method = [], getattr(owner, name)

    async def counted():
        calls.append(name)
        await method()

    setattr(owner, name, counted)
    return calls


def _noted_at(renderer, fact):
    """A list that grows by a fact with each rendering from now on."""
    facts, render = [], renderer.render

    async def noted(files, context):
        facts.append(fact())
        return await render(files, context)

    renderer.render = noted
    return facts
