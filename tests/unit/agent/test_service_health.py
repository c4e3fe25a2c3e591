"""The agent in figures: who need hold a service, what is held, the mode, and whether the directory is followed."""

from __future__ import annotations

from dataclasses import replace

from relocd.agent.convergence.host import UNMEASURED
from relocd.model.figures import Health, ServiceHealth
from relocd.model.status import Mode
from relocd.sync.session import SearchLost
from tests.support.entries import cluster, server, service, state
from tests.support.fakes import until
from tests.unit.agent.lab import Lab, web


class Meter(type(UNMEASURED)):
    """Keeps the last standing."""

    def __init__(self) -> None:
        self.now = Health()

    def stand(self, standing: Health) -> None:
        self.now = standing


def lab_of(*entries) -> tuple[Lab, Meter]:
    lab, meter = Lab(*entries), Meter()
    lab.server.host = replace(lab.server.host, meter=meter)
    return lab, meter


async def stands(lab: Lab, meter: Meter, wanted: ServiceHealth) -> None:
    """Wait until a service stands like that."""
    lab.directory.refresh()
    await until(lambda: wanted in [replace(each, checks=()) for each in meter.now.services])


async def test_a_service_that_is_held():
    lab, meter = lab_of(server("me", services=["web"]), web())
    async with lab.agent():
        await stands(lab, meter, ServiceHealth("web", "active", holds=True, generation=1))
        assert (meter.now.mode, meter.now.current, meter.now.problems) == (Mode.NORMAL, True, 0)


async def test_one_that_another_server_is_to_hold():
    members = [server(name, clusters=["pair"]) for name in ("me", "you")]
    lab, meter = lab_of(*members, cluster("pair", services=["web"], active="you"), web())
    async with lab.agent():
        await stands(lab, meter, ServiceHealth("web", "standby", holds=False, generation=0))


async def test_nobody_need_hold_what_is_shared_or_not_chosen():
    members = [server("me", clusters=["pair"], services=["ntp"]), server("you", clusters=["pair"])]
    lab, meter = lab_of(*members, cluster("pair", services=["web"]), web(), service("ntp"))
    async with lab.agent():
        await stands(lab, meter, ServiceHealth("web", "standby", holds=None, generation=0))
        await stands(lab, meter, ServiceHealth("ntp", "active"))


async def test_nobody_need_hold_here_what_rests_beside_another():
    first = web(relocDisplaces="cn=db,ou=relocd,dc=example,dc=org")
    second = service("db", relocTemplateSet="web", relocExclusive="TRUE")
    lab, meter = lab_of(server("me", services=["web", "db"]), first, second, state("web", holder="me"))
    async with lab.agent():
        lab.directory.refresh()
        await until(lambda: {each.name: each.holds for each in meter.now.services} == {"web": True, "db": None})


async def test_mode_connection_and_problems():
    lab, meter = lab_of(server("me", services=["web"]), service("web", relocTemplateSet="gone"))
    async with lab.agent():
        lab.directory.refresh()
        await until(lambda: meter.now.problems == 1)
        lab.directory.feed.tell([SearchLost("cut")])
        await until(lambda: not meter.now.current)
        lab.orders.word = Mode.PAUSED
        await until(lambda: meter.now.mode is Mode.PAUSED)
