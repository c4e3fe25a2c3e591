"""A systemd of the laboratory for each file, and the adapter on its bus."""

from __future__ import annotations

import pytest

from relocd.adapters.units.systemd import SystemdUnits
from relocd.model.settings import UnitSettings
from tests.lab.hosts.systemd import Systemd


@pytest.fixture(scope="module")
def systemd():
    with Systemd() as started:
        yield started


@pytest.fixture
async def units(systemd):
    async with SystemdUnits(UnitSettings(timeout_s=5.0), systemd.bus_address) as opened:
        yield opened
