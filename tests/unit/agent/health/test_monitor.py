"""Health checks of a service beside a real agent, in virtual time: restarts, failures, recoveries, and their limits."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from relocd.model.health import CheckKind, HealthSpec
from relocd.model.host import UnitState
from relocd.model.settings import ServerCheck
from relocd.model.status import Mode
from relocd.model.template_set import UnitAction, UnitSpec
from tests.support.entries import server, service
from tests.support.fake_directory import FakeDirectory
from tests.support.plans import template_set
from tests.support.virtual_time import run, stamped
from tests.unit.agent.health.world import COMMAND, LIMITS, NAME, TCP, WEB, World
from tests.unit.agent.lab import SETTINGS, Lab, web


def test_a_service_that_answers_is_left_alone():
    world = World(TCP)

    async def acts():
        await asyncio.sleep(100)
        assert 45 <= world.probes.asked.count(NAME) <= 53
        assert (world.failed, world.lab.server.take_effects()) == (None, [])

    world.play(acts)


def test_a_service_that_fails_is_restarted_once_and_then_has_failed_here():
    world = World(TCP)

    async def acts():
        world.probes.answers[NAME] = "refused"
        await asyncio.sleep(4)
        assert (world.failed, world.restarts()) == (None, 0)
        await asyncio.sleep(3)
        assert (world.failed, world.restarts()) == (None, 1)
        await asyncio.sleep(10)  # the time to start does not count
        assert world.failed is None
        await asyncio.sleep(8)
        assert (world.failed, world.restarts()) == ("tcp 192.0.2.10:80: refused", 0)

    world.play(acts)


def test_a_hung_answer_is_a_failure():
    world = World(replace(TCP, limits=replace(LIMITS, restarts=0)))

    async def acts():
        world.probes.answers[NAME] = None
        await asyncio.sleep(8)
        assert "no answer within 1 s" in world.failed

    world.play(acts)


def test_a_service_that_cannot_be_restarted_because_each_round_meets_an_error_has_failed_here():
    world = World(TCP)

    async def acts():
        world.lab.server.sets.sets = None
        world.probes.answers[NAME] = "refused"
        await asyncio.sleep(60)
        assert (world.failed, world.restarts()) == ("tcp 192.0.2.10:80: refused", 0)

    world.play(acts)


def test_a_restart_that_helps_is_all_that_happens():
    world = World(TCP)

    async def acts():
        world.probes.answers[NAME] = "refused"
        await asyncio.sleep(7)
        world.probes.answers[NAME] = ""
        await asyncio.sleep(120)
        assert (world.failed, world.restarts()) == (None, 1)

    world.play(acts)


def test_a_service_that_answers_again_recovers_while_it_is_still_served_here():
    world = World(replace(TCP, limits=replace(LIMITS, restarts=0)))

    async def acts():
        world.probes.answers[NAME] = "refused"
        await asyncio.sleep(8)
        assert world.failed
        world.probes.answers[NAME] = ""
        await asyncio.sleep(1)
        assert world.failed
        await asyncio.sleep(4)
        assert world.failed is None
        assert world.lab.state_of("web") == "active"

    world.play(acts)


def test_the_last_server_of_a_service_restarts_it_again_with_growing_pauses():
    world = World(TCP)

    async def acts():
        world.probes.answers[NAME] = "refused"
        await asyncio.sleep(3600)
        assert world.failed
        assert 6 <= world.restarts() <= 10

    world.play(acts)


def test_what_is_cleared_elsewhere_is_judged_from_scratch():
    world = World(TCP)

    async def acts():
        world.probes.answers[NAME] = "refused"
        await asyncio.sleep(30)
        assert world.failed
        world.restarts()
        world.lab.failures.retry(WEB)
        await asyncio.sleep(1)
        assert world.failed is None
        await asyncio.sleep(7)
        assert (world.failed, world.restarts()) == (None, 1)
        await asyncio.sleep(18)
        assert world.failed

    world.play(acts)


def test_a_program_is_run_with_its_arguments_and_its_failure_counts():
    world = World(COMMAND)

    async def acts():
        await asyncio.sleep(5)
        assert "run look at it" in world.lab.server.take_effects()
        world.lab.server.commands.failing.add("look at it")
        await asyncio.sleep(8)
        assert "look at it" in world.failed

    world.play(acts)


def test_a_check_that_cannot_be_made_is_a_problem_and_no_failure():
    world = World(HealthSpec(CheckKind.TCP, ("web.example.org:80",), LIMITS))

    async def acts():
        await asyncio.sleep(60)
        assert world.failed is None
        assert any("where an IP address is needed" in problem for problem in world.lab.problems())

    world.play(acts)


def test_a_parameter_that_is_refused_is_one_problem_though_the_check_needs_it_too():
    world = World(TCP)
    world.lab.server.renderer.refused = "eighty"

    async def acts():
        world.lab.directory.put(web(relocParameter="port=eighty", at=2))
        await asyncio.sleep(30)
        assert world.lab.problems() == ["template set web: a parameter is 'eighty'"]
        assert world.failed is None

    world.play(acts)


def test_a_program_that_is_not_here_says_nothing_about_a_service():
    world = World(COMMAND)
    world.lab.server.commands.missing.add("look")

    async def acts():
        await asyncio.sleep(60)
        assert world.lab.failures.failed(WEB) is None
        assert len([problem for problem in world.lab.problems() if "runs look" in problem]) == 2

    world.play(acts, ServerCheck(command=("look",)))


def test_a_check_that_uses_a_secret_is_not_made():
    world = World(HealthSpec(CheckKind.COMMAND, ("look", "{{ secrets.key }}"), LIMITS))

    async def acts():
        await asyncio.sleep(10)
        assert any("uses a secret" in problem for problem in world.lab.problems())
        assert not world.lab.server.take_effects()

    world.play(acts)


def test_units_that_cannot_be_kept_running_fail_by_themselves():
    world = World()

    async def acts():
        world.units.broken.add("web")
        world.units.dies("web")
        await asyncio.sleep(2)
        assert world.failed is None
        await asyncio.sleep(10)
        assert world.failed.startswith("units: ")
        world.units.broken.clear()
        await asyncio.sleep(90)
        assert world.units.states["web"] is UnitState.ACTIVE
        assert world.failed is None

    world.play(acts)


def test_a_unit_that_dies_again_and_again_fails_although_each_start_succeeds():
    world = World()

    async def acts():
        for _ in range(5):
            world.units.dies("web")
            await asyncio.sleep(5)
        assert world.failed.startswith("units: start web: done ")
        await asyncio.sleep(200)
        assert world.failed is None

    world.play(acts)


def test_a_lost_carrier_fails_the_services_whose_addresses_are_on_the_interface():
    world = World()

    async def acts():
        addresses = world.lab.server.addresses
        link = addresses.links[0]
        addresses.links[0] = replace(link, up=False)
        addresses.tell()
        await asyncio.sleep(2)
        assert "eth0" in world.failed
        addresses.links[0] = link
        addresses.tell()
        await asyncio.sleep(5)
        assert world.failed is None

    world.play(acts)


def test_only_units_that_are_not_early_are_restarted_and_shared_ones_only_reloaded():
    units = (
        UnitSpec("web-data", early=True),
        UnitSpec("web"),
        UnitSpec("web-shared", active=UnitAction.RELOAD),
        UnitSpec("web-none", active=UnitAction.NONE),
    )
    world = World(TCP, units=units)

    async def acts():
        world.probes.answers[NAME] = "refused"
        await asyncio.sleep(8)
        assert world.lab.server.take_effects() == ["restart web", "reload web-shared"]

    world.play(acts)


def test_a_paused_agent_checks_nothing_and_does_nothing():
    world = World(TCP)

    async def acts():
        world.lab.orders.word = Mode.PAUSED
        world.probes.answers[NAME] = "refused"
        await asyncio.sleep(3)
        world.probes.asked.clear()
        await asyncio.sleep(60)
        assert (world.probes.asked, world.failed, world.restarts()) == ([], None, 0)

    world.play(acts)


def test_a_service_that_leaves_is_not_checked_any_more():
    world = World(TCP)

    async def acts():
        world.lab.directory.put(server("me", at=2))
        await asyncio.sleep(5)
        world.probes.asked.clear()
        await asyncio.sleep(10)
        assert world.probes.asked == []

    world.play(acts)


def test_the_checks_of_twenty_services_are_spread():
    names = [f"web{number}" for number in range(20)]
    entries = [service(name, relocTemplateSet="web") for name in names]
    lab = Lab(directory=FakeDirectory(server("me", services=names), *entries, stamp=stamped))
    lab.server.install_set(template_set(files=(), units=(), health=(TCP,)), "")
    moments = []

    async def probe(check):
        moments.append(round(asyncio.get_running_loop().time(), 3))

    lab.server.probes.probe = probe

    async def whole():
        async with lab.agent(SETTINGS):
            lab.directory.refresh()
            await asyncio.sleep(20)

    run(whole)
    assert len(moments) > 150
    assert len(set(moments)) > 0.9 * len(moments)


def test_an_order_to_try_again_clears_the_failure():
    world = World(replace(TCP, limits=replace(LIMITS, restarts=0)))

    async def acts():
        world.probes.answers[NAME] = "refused"
        await asyncio.sleep(8)
        assert world.failed
        world.lab.orders.again = ["web", "nothing of that name"]
        await asyncio.sleep(1)
        assert world.failed is None
        await asyncio.sleep(8)
        assert world.failed

    world.play(acts)


def test_the_status_says_what_each_check_says():
    world = World(replace(TCP, limits=replace(LIMITS, restarts=0)))

    async def acts():
        world.probes.answers[NAME] = "refused"
        await asyncio.sleep(8)
        (found,) = world.lab.said.status["services"]
        states = {each["check"]: (each["state"], each["failure"]) for each in found["health"]}
        assert states == {"units": ("ok", ""), "carrier": ("ok", ""), NAME: ("failing", f"{NAME}: refused")}
        assert "refused" in found["failed_here"]
        assert world.lab.said.status["health"][0]["check"] == "interface eth0"

    world.play(acts, ServerCheck(interface="eth0"))
