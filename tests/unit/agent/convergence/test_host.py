"""One address, file or unit in two services of a server: the one that is here keeps it, the other has a problem."""

from __future__ import annotations

import pytest

from relocd.agent.convergence.converge import converge, leave
from relocd.agent.convergence.host import Claims
from relocd.model.host import UnitState
from relocd.model.template_set import FileSpec, Role, UnitAction, UnitSpec
from relocd.reconcile.desired import Footprint
from relocd.reconcile.goals import GoalId
from tests.support.entries import dn, server, service, uuid_of
from tests.support.fakes import FakeServer, until
from tests.support.plans import goal, placed, template_set, unit
from tests.unit.agent.cluster.cluster import SOON_S, a_while, running_cluster
from tests.unit.agent.lab import HELD, SETTINGS, Lab, web

FILES_ONLY = template_set("files", files=(FileSpec("a.j2", "/etc/app/one.conf"),), units=())
UNIT_ONLY = template_set("unit", files=(), units=(UnitSpec("web"),))
RELOADED = template_set(
    "reloaded",
    files=(),
    units=(UnitSpec("web", UnitAction.RESTART, UnitAction.RESTART, UnitAction.RESTART, UnitAction.RESTART),),
)
NONE = template_set("none", files=(), units=())


def lab_of(*services, linked=("web",)):
    lab = Lab(server("me", services=linked), *services)
    for found in (FILES_ONLY, UNIT_ONLY, RELOADED, NONE):
        lab.server.install_set(found, "x")
    return lab


def other(**more):
    return service("other", **more)


AT_REST = {"relocAddress": "192.0.2.20/24", "relocTemplateSet": "web"}


def lab_of_two_in_turn():
    """Two services on one server, the second of which gives way; both have the same unit and file."""
    lab = lab_of(web(relocDisplaces=dn("other")), other(**AT_REST), linked=("web", "other"))
    lab.server.install_set(template_set(files=(FileSpec("a.j2", "/etc/app/one.conf"),)), "x")
    return lab


@pytest.mark.parametrize("then", [server("me", services=["web"]), other(**AT_REST, description="new")])
@pytest.mark.parametrize("restarted", [True, False])
async def test_what_has_given_way_touches_nothing_of_the_one_that_serves(then, restarted):
    lab = lab_of_two_in_turn()
    async with lab.agent():
        lab.directory.refresh()
        await lab.serving()
        await until(lambda: lab.state_of("other") == "standby")
        if not restarted:
            await moved_on(lab, then)
    if restarted:
        async with lab.agent():
            lab.directory.refresh()
            await lab.serving()
            await moved_on(lab, then)


async def test_what_has_given_way_has_all_again_once_the_other_has_left():
    lab = lab_of_two_in_turn()
    async with lab.agent():
        lab.directory.refresh()
        await lab.serving()
        await until(lambda: lab.state_of("other") == "standby")
        lab.directory.put(server("me", services=["other"]))
        await until(lambda: lab.state_of("other") == "active" and lab.state_of("web") is None)
        await a_while()
        assert lab.server.units.states["web"] is UnitState.ACTIVE
        assert "/etc/app/one.conf" in lab.server.files.contents
        assert not lab.problems()


async def moved_on(lab, then):
    lab.directory.put(then)
    await a_while()
    assert not [each for each in lab.server.take_effects() if each.startswith(("stop", "remove", "drop"))]
    assert lab.state_of("web") == "active"
    assert not lab.problems()


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        pytest.param(web(), other(relocAddress="192.0.2.10/32", relocTemplateSet="none"), "192.0.2.10", id="address"),
        pytest.param(
            service("web", relocTemplateSet="files"),
            other(relocTemplateSet="files"),
            "/etc/app/one.conf",
            id="file",
        ),
        pytest.param(service("web", relocTemplateSet="unit"), other(relocTemplateSet="unit"), "unit web", id="unit"),
    ],
)
async def test_the_later_one_takes_nothing_and_has_it_when_the_first_leaves(first, second, what):
    lab = lab_of(first, second)
    async with lab.agent():
        lab.directory.refresh()
        await lab.serving()
        before = (dict(lab.server.files.contents), dict(lab.server.units.states), lab.server.addresses.ours)
        lab.directory.put(server("me", services=["web", "other"]))
        await until(lambda: any(what in each and "web's here" in each for each in lab.problems()))
        assert lab.state_of("other") == "failed" or lab.state_of("other") == "standby"
        assert lab.state_of("web") == "active"
        assert (lab.server.files.contents, lab.server.units.states, lab.server.addresses.ours) == before
        lab.directory.put(server("me", services=["other"]))
        await until(lambda: lab.state_of("other") == "active" and lab.state_of("web") is None, 10)
        assert not lab.problems()


async def test_when_the_later_one_is_unlinked_the_first_goes_on_untouched():
    lab = lab_of(web(), other(relocAddress="192.0.2.10/24", relocTemplateSet="web"))
    async with lab.agent():
        lab.directory.refresh()
        await lab.serving()
        lab.directory.put(server("me", services=["web", "other"]))
        await lab.says("web's here")
        lab.server.take_effects()
        lab.directory.put(server("me", services=["web"]))
        await until(lambda: lab.state_of("other") is None)
        assert [each for each in lab.server.take_effects() if not each.startswith("announce")] == []
        assert lab.server.addresses.ours == {HELD}


async def test_of_two_that_begin_at_once_one_has_it():
    lab = lab_of(web(), other(relocAddress="192.0.2.10/24", relocTemplateSet="web"), linked=("web", "other"))
    async with lab.agent():
        lab.directory.refresh()
        await until(lambda: any("here; give one" in each for each in lab.problems()))
        await until(lambda: sorted([lab.state_of("web"), lab.state_of("other")])[0] == "active")
        assert [each for each in lab.server.world.effects if each.startswith("raise")] == [f"raise {HELD}"]


async def test_a_restart_changes_nothing():
    lab = lab_of(web(), other(relocAddress="192.0.2.10/24", relocTemplateSet="web"))
    async with lab.agent():
        lab.directory.refresh()
        await lab.serving()
    lab.directory.put(server("me", services=["web", "other"]))
    async with lab.agent(SETTINGS):
        lab.directory.refresh()
        await lab.says("web's here")
        assert lab.state_of("web") == "active"
        assert lab.server.addresses.ours == {HELD}


async def test_a_daemon_that_services_only_restart_is_shared():
    lab = lab_of(
        service("web", relocTemplateSet="reloaded"), other(relocTemplateSet="reloaded"), linked=("web", "other")
    )
    async with lab.agent():
        lab.directory.refresh()
        await until(lambda: (lab.state_of("web"), lab.state_of("other")) == ("active", "active"))
        assert not lab.problems()


async def test_a_server_that_has_it_for_another_service_is_not_ready_to_take_over():
    """A trigger that names it takes nothing away from the one that serves."""
    db = service("db", relocTemplateSet="web", relocExclusive="TRUE")
    async with running_cluster(server("me", services=["web"]), server("twin", services=["db"]), web(), db) as lab:
        await lab.serves("me")
        await until(lambda: lab.twin.state_of("db") == "active", SOON_S)
        lab.link("me", "web", "db")
        await lab.me.says("unit web is web's here")
        await a_while()
        assert lab.directory.model.named_state("db")[:2] == ("twin", None)
        assert lab.twin.state_of("db") == "active"
        lab.doubles.clear()  # one unit, for another service on each server


class TestOutdatedFootprint:
    """What a service had here once, and another one has by now: a rest of it may name that still."""

    TWO = goal("two", Role.ACTIVE, sets=("none",))
    LEFT = Footprint(
        "two", files=frozenset({"/etc/app/one.conf"}), addresses=frozenset({placed()}), units=(unit("web"),)
    )

    @pytest.fixture
    async def found(self):
        """A server on which the service `one` has it all."""
        found = FakeServer()
        found.sets.sets["none"] = NONE
        await converge(found.host, goal("one", Role.ACTIVE, "192.0.2.10/24"), Footprint("one"))
        found.take_effects()
        return found

    async def test_nothing_of_it_goes_when_the_first_one_begins_anew(self, found):
        report = await converge(found.host, self.TWO, self.LEFT)
        assert found.take_effects() == []
        assert all("one's here" in problem for problem in report.problems)
        assert len(report.problems) == 3

    async def test_nothing_of_it_goes_when_the_first_one_leaves(self, found):
        report = await leave(found.host, self.TWO.id, self.LEFT, "no longer linked")
        assert found.take_effects() == []
        assert (report.footprint, report.problems) == (None, ())


class TestAdopted:
    A, B = GoalId(uuid_of("a")), GoalId(uuid_of("b"))

    def test_what_two_footprints_name_is_the_first_ones(self):
        both = {
            goal: Footprint(name, files=frozenset({"/x"}), addresses=frozenset({placed()}), units=(unit("u"),))
            for goal, name in ((self.A, "a"), (self.B, "b"))
        }
        first, second = sorted(both)
        found = Claims().adopt(both)
        assert found[first] == both[first]
        assert (found[second].files, found[second].addresses, found[second].units) == (frozenset(), frozenset(), ())
