"""A server and a directory in memory with an agent between them, and what the agent says."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

from relocd.agent.agent import Agent
from relocd.model.settings import AgentSettings, DirectorySettings, ServerSettings, Settings, WireSettings
from tests.support.entries import BASE, ME, service
from tests.support.fake_directory import FakeDirectory, FakeOrders, FakeOutlets
from tests.support.fakes import FakeServer, until
from tests.support.plans import template_set

__all__ = ["HELD", "PATIENT", "SETTINGS", "SPARELESS", "Lab", "a_while", "web"]

SETTINGS = Settings(
    ServerSettings(ME),
    DirectorySettings(("ldap://localhost",), BASE, retry_min_s=0.005, retry_max_s=0.01),
    wire=WireSettings(announce_burst=1, announce_refresh_s=0),
    agent=AgentSettings(settle_ms=0, retry_min_s=0.005, retry_max_s=0.01),
)
# One that keeps nothing in stock, so that what comes to be of interest is read directly; and one that asks again late.
SPARELESS = replace(SETTINGS, agent=replace(SETTINGS.agent, spare_mib=0))
PATIENT = replace(SPARELESS, directory=replace(SETTINGS.directory, retry_min_s=600, retry_max_s=600))
HELD = "192.0.2.10/24 on eth0"


async def a_while():
    """Long enough for an agent that would act to have acted."""
    await asyncio.sleep(0.04)


def web(name="web", **more):
    return service(name, relocAddress="192.0.2.10/24", relocTemplateSet="web", **more)


class Lab:
    """A server, the directory (its own, unless it is given) and what the agent says; `agent()` runs one."""

    def __init__(self, *entries, directory=None):
        self.server = FakeServer()
        self.server.install_set(template_set(), "conf of {service[name]}, {role}")
        self.directory = directory or FakeDirectory(*entries)
        self.said = FakeOutlets()
        self.orders = FakeOrders()

    @asynccontextmanager
    async def agent(self, settings=SETTINGS):
        agent = Agent(settings, self.server.host, self.directory.ways, self.said.outlets, self.orders)
        self.failures = agent.failures
        task = asyncio.create_task(agent.run())
        try:
            yield task
            assert not task.done(), task.exception()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def serving(self):
        await until(lambda: self.state_of("web") == "active")

    def state_of(self, name):
        return next((each["state"] for each in self.said.status.get("services", ()) if each["name"] == name), None)

    async def says(self, text):
        """Wait for a problem with that text."""
        await until(lambda: any(text in problem for problem in self.problems()))

    def problems(self):
        services = [problem for each in self.said.status.get("services", ()) for problem in each["problems"]]
        return [problem["message"] for problem in self.said.status.get("problems", ())] + services
