"""A server that serves `web` with some health checks, beside a real agent in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from relocd.model.health import CheckKind, HealthLimits, HealthSpec
from relocd.model.settings import AgentSettings
from tests.support.entries import server, uuid_of
from tests.support.fake_directory import FakeDirectory
from tests.support.plans import template_set
from tests.support.virtual_time import run, stamped
from tests.unit.agent.lab import SETTINGS, Lab, web

LIMITS = HealthLimits(interval_s=2.0, timeout_s=1.0, fall=3, rise=2, start_s=10.0, restarts=1)
TCP = HealthSpec(CheckKind.TCP, ("192.0.2.10:80",), LIMITS)
NAME = "tcp 192.0.2.10:80"
COMMAND = HealthSpec(CheckKind.COMMAND, ("look", "at it"), replace(LIMITS, restarts=0))
WEB = uuid_of("web")


class World:
    """A server that serves `web`, with these checks; the plays are in seconds."""

    def __init__(self, *health, **more):
        self.lab = Lab(directory=FakeDirectory(server("me", services=["web"]), web(), stamp=stamped))
        self.lab.server.install_set(template_set(health=health, **more), "conf of {service[name]}")
        self.probes, self.units = self.lab.server.probes, self.lab.server.units

    def play(self, acts, *checks):
        async def whole():
            async with self.lab.agent(replace(SETTINGS, agent=AgentSettings(), health=checks)):
                self.lab.directory.refresh()
                await asyncio.sleep(5)
                assert self.lab.state_of("web") == "active"
                self.lab.server.take_effects()
                await acts()

        run(whole)

    @property
    def failed(self):
        return self.lab.failures.own(WEB)

    def restarts(self):
        return self.lab.server.take_effects().count("restart web")
