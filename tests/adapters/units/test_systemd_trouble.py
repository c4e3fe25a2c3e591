"""Units of a real systemd that cannot be relied on: they are named, with what to do."""

from __future__ import annotations

from itertools import count

import pytest

from tests.lab.deadline import eventually

_numbers = count(1)


@pytest.fixture
def unit(systemd):
    """Install a service of a name of its own."""

    def installed(*lines):
        name = f"trouble{next(_numbers)}.service"
        systemd.install(name, "[Unit]", "StartLimitIntervalSec=0", "[Service]", *lines)
        return name

    return installed


async def test_a_unit_that_runs_or_could_run_has_none(units, unit):
    name = unit("ExecStart=sleep infinity", "Restart=always")
    assert await units.trouble(name) == ""
    await units.start(name)
    assert await units.trouble(name) == ""


async def test_a_unit_that_does_not_exist_is_named(units):
    assert "there is no unit no-such.service" in await units.trouble("no-such.service")


@pytest.mark.parametrize("remains", [False, True])
async def test_a_oneshot_ends_at_once_unless_it_remains(units, unit, remains):
    name = unit("Type=oneshot", "ExecStart=true", *(["RemainAfterExit=yes"] if remains else []))
    await units.start(name)
    assert ("RemainAfterExit=yes" in await units.trouble(name)) is not remains


async def test_a_oneshot_that_was_corrected_has_none_any_more(systemd, units, unit):
    name = unit("Type=oneshot", "ExecStart=true")
    assert await units.trouble(name)
    systemd.install(name, "[Service]", "Type=oneshot", "RemainAfterExit=yes", "ExecStart=true")
    systemd.systemctl("daemon-reload")

    async def is_well():
        return await units.trouble(name) == ""

    await eventually(is_well)


async def test_a_unit_that_crashes_again_and_again_is_named_whatever_its_state_is_just_then(systemd, units, unit):
    name = unit("ExecStart=sh -c 'sleep 0.05; exit 1'", "Restart=always", "RestartSec=50ms")
    told = []
    await units.state(name)
    units.watch(lambda: told.append(name))
    await units.start(name)

    async def is_in_trouble():
        return "crashes" in await units.trouble(name)

    await eventually(is_in_trouble)
    told.clear()
    for _ in range(20):
        await units.state(name)
        assert "crashes" in await units.trouble(name)

    async def is_told():
        return bool(told)

    await eventually(is_told)
    systemd.systemctl("stop", name)


async def test_one_restart_that_helped_is_no_trouble(systemd, units, unit, tmp_path):
    mark = tmp_path / "second"
    name = unit(f"ExecStart=sh -c 'test -e {mark} && exec sleep infinity; touch {mark}; exit 1'", "Restart=always",
                "RestartSec=10ms")  # fmt: skip
    await units.start(name)

    async def is_restarted():
        return systemd.property(name, "NRestarts") == "1"

    await eventually(is_restarted)
    assert await units.trouble(name) == ""
