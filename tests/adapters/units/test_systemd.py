"""Units of a real systemd: what is done to them, what is seen of them, and what happens when it goes away."""

from __future__ import annotations

import asyncio
import os
import signal
from itertools import count

import pytest

from relocd.adapters.units.systemd import SystemdUnits
from relocd.errors import Failed, Invalid, Unavailable
from relocd.model.host import UnitState
from relocd.model.settings import UnitSettings
from tests.lab.deadline import eventually

SLEEP = ("[Service]", "ExecStart=sleep infinity")
HANG = ("[Service]", "Type=notify", "ExecStart=sleep infinity")
FAIL = ("[Service]", "Type=oneshot", "ExecStart=false")


@pytest.fixture
async def hasty(systemd):
    """Units that wait only a moment."""
    async with SystemdUnits(UnitSettings(timeout_s=0.2), systemd.bus_address) as opened:
        yield opened


_numbers = count(1)


@pytest.fixture
def unit(systemd):
    """Install a service of a name of its own."""

    def installed(*lines):
        name = f"test{next(_numbers)}.service"
        systemd.install(name, *lines)
        return name

    return installed


class Changes:
    """Remembers that something changed, until it is asked."""

    def __init__(self, units):
        self._seen = False
        units.watch(self._see)

    def _see(self):
        self._seen = True

    def seen(self):
        seen, self._seen = self._seen, False
        return seen


async def is_in(units, name, state):
    return await units.state(name) is state


class TestActions:
    async def test_start_and_stop(self, units, unit):
        name = unit(*SLEEP)
        assert await units.state(name) is UnitState.INACTIVE
        await units.start(name)
        assert await units.state(name) is UnitState.ACTIVE
        await units.stop(name)
        assert await units.state(name) is UnitState.INACTIVE

    async def test_an_instance_of_a_template_is_a_name_as_any_other(self, systemd, units):
        systemd.install("echo@.service", *SLEEP)
        await units.start("echo@web-1.example.service")
        assert await units.state("echo@web-1.example.service") is UnitState.ACTIVE
        assert await units.state("echo@other.service") is UnitState.INACTIVE

    async def test_what_is_done_already_is_no_error(self, units, unit):
        name = unit(*SLEEP)
        await units.stop(name)
        await units.start(name)
        await units.start(name)

    async def test_start_waits_for_the_unit_to_be_ready(self, systemd, units, unit):
        name = unit("[Service]", "Type=oneshot", "RemainAfterExit=yes", "ExecStart=sleep 0.2")
        await units.start(name)
        assert systemd.property(name, "ActiveState") == "active"

    async def test_a_oneshot_that_has_run_has_been_started(self, units, unit):
        name = unit("[Service]", "Type=oneshot", "ExecStart=true")
        await units.start(name)
        assert await units.state(name) is UnitState.INACTIVE

    async def test_restart_makes_a_new_process(self, systemd, units, unit):
        name = unit(*SLEEP)
        await units.start(name)
        before = systemd.property(name, "MainPID")
        await units.restart(name)
        assert systemd.property(name, "MainPID") not in {before, "0"}

    async def test_reload_keeps_the_process(self, systemd, units, unit, tmp_path):
        name = unit(*SLEEP, f"ExecReload=touch {tmp_path}/reloaded")
        await units.start(name)
        before = systemd.property(name, "MainPID")
        await units.reload(name)
        assert (tmp_path / "reloaded").exists()
        assert systemd.property(name, "MainPID") == before

    async def test_reload_restarts_a_unit_that_cannot_reload(self, systemd, units, unit):
        name = unit(*SLEEP)
        await units.start(name)
        before = systemd.property(name, "MainPID")
        await units.reload(name)
        assert systemd.property(name, "MainPID") not in {before, "0"}

    async def test_two_may_wait_for_one_job(self, units, unit):
        name = unit("[Service]", "Type=oneshot", "RemainAfterExit=yes", "ExecStart=sleep 0.1")
        await asyncio.gather(units.start(name), units.start(name))


class TestFailure:
    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            pytest.param(FAIL, r"it failed \(Result: exit-code\); see journalctl -u NAME", id="exit status"),
            pytest.param(
                ("[Service]", "Type=exec", "ExecStart=/nowhere"), r"it failed \(Result: exit-code\)", id="no program"
            ),
            pytest.param((*HANG, "TimeoutStartSec=50ms"), r"it failed \(Result: timeout\)", id="its own time limit"),
            pytest.param(("[Unit]", "JobTimeoutSec=50ms", *HANG), "JobTimeoutSec=", id="the job's time limit"),
            pytest.param(("[Unit]", "AssertPathExists=/nowhere", *SLEEP), "an Assert...= of the unit", id="assertion"),
            pytest.param(("[Unit]", "ConditionPathExists=/nowhere", *SLEEP), "a Condition...= of it", id="condition"),
            pytest.param(("[Unit]", "Requires=nowhere.service", *SLEEP), "Unit nowhere.service not found", id="needs"),
            pytest.param(("[Service]",), "bad unit file setting; systemd-analyze verify", id="nothing to start"),
            pytest.param((), "masked; unmask it with systemctl", id="masked"),
        ],
    )
    async def test_start_names_the_unit_and_the_reason(self, units, unit, lines, message):
        name = unit(*lines)
        with pytest.raises(Failed, match=message.replace("NAME", name)) as raised:
            await units.start(name)
        assert str(raised.value).startswith(name)

    async def test_a_unit_that_it_requires_fails(self, units, unit):
        needed = unit(*FAIL)
        with pytest.raises(Failed, match="a unit that it requires has failed; systemctl list-dependencies"):
            await units.start(unit("[Unit]", f"Requires={needed}", f"After={needed}", *SLEEP))

    async def test_a_unit_that_nobody_has_installed(self, units):
        with pytest.raises(Failed, match=r"^nowhere.service: Unit nowhere.service not found; install it, or correct"):
            await units.start("nowhere.service")

    @pytest.mark.parametrize("name", ["nginx", "echo@.service"], ids=["no type", "no instance"])
    async def test_a_name_that_is_none(self, units, name):
        with pytest.raises(Invalid, match=r"write the unit's name in full, as in nginx\.service"):
            await units.state(name)
        with pytest.raises(Invalid, match="write the unit's name in full"):
            await units.start(name)

    async def test_an_empty_name_is_not_the_agents_own_unit(self, units):
        with pytest.raises(Invalid, match="names no unit"):
            await units.stop("")

    async def test_a_reload_that_fails(self, units, unit):
        name = unit(*SLEEP, "ExecReload=false")
        await units.start(name)
        with pytest.raises(Failed, match=f"^{name} was not reloaded: it failed"):
            await units.reload(name)
        assert await units.state(name) is UnitState.ACTIVE

    async def test_a_unit_that_hangs_is_left_to_systemd(self, systemd, hasty, unit):
        name = unit(*HANG)
        with pytest.raises(Failed, match=rf"^{name} was not started within 0\.2 s: it hangs, and systemd continues"):
            await hasty.start(name)
        assert await hasty.state(name) is UnitState.ACTIVATING
        assert systemd.property(name, "Job") not in {"", "0"}

    async def test_a_unit_that_does_not_stop(self, systemd, hasty, unit):
        name = unit("[Service]", "Type=notify", "ExecStart=sh -c \"trap '' TERM; systemd-notify --ready; sleep 99\"")
        await hasty.start(name)
        with pytest.raises(Failed, match=f"^{name} was not stopped within"):
            await hasty.stop(name)
        assert await hasty.state(name) is UnitState.DEACTIVATING
        systemd.systemctl("kill", "--signal=KILL", name)
        await eventually(lambda: is_in(hasty, name, UnitState.FAILED))

    async def test_a_start_that_somebody_else_cancels(self, systemd, units, unit):
        name = unit(*HANG)
        starting = asyncio.create_task(units.start(name))
        await eventually(lambda: is_in(units, name, UnitState.ACTIVATING))
        systemd.systemctl("stop", name)
        with pytest.raises(Failed, match="somebody else has cancelled the job"):
            await starting


class TestState:
    async def test_unknown_without_a_file(self, units):
        assert await units.state("nowhere.service") is UnitState.UNKNOWN

    async def test_unknown_while_masked(self, units, unit):
        assert await units.state(unit()) is UnitState.UNKNOWN

    async def test_a_unit_that_still_runs_without_its_file_is_active(self, systemd, units, unit):
        name = unit(*SLEEP)
        await units.start(name)
        (systemd.folder / name).unlink()
        systemd.systemctl("daemon-reload")
        assert await units.state(name) is UnitState.ACTIVE
        await units.stop(name)
        assert await units.state(name) is UnitState.UNKNOWN

    async def test_a_unit_that_is_installed_later_is_found(self, systemd, units):
        assert await units.state("later.service") is UnitState.UNKNOWN
        systemd.install("later.service", *SLEEP)
        await eventually(lambda: is_in(units, "later.service", UnitState.INACTIVE))

    async def test_a_failed_unit(self, units, unit):
        name = unit(*FAIL)
        with pytest.raises(Failed):
            await units.start(name)
        assert await units.state(name) is UnitState.FAILED

    async def test_a_unit_that_reloads_is_active(self, units, unit, tmp_path):
        name = unit(*SLEEP, f"ExecReload=sh -c 'while [ ! -e {tmp_path}/go ]; do sleep 0.01; done'")
        await units.start(name)
        changes = Changes(units)
        assert await units.state(name) is UnitState.ACTIVE
        reloading = asyncio.create_task(units.reload(name))
        await eventually(changes.seen)
        assert await units.state(name) is UnitState.ACTIVE
        (tmp_path / "go").touch()
        await reloading

    async def test_it_is_kept(self, systemd, hasty, unit):
        """Once known, it needs no answer from systemd; what is not known raises `Unavailable`."""
        name, other = unit(*SLEEP), unit(*SLEEP)
        assert await hasty.state(name) is UnitState.INACTIVE
        os.kill(systemd.pid, signal.SIGSTOP)
        try:
            assert await hasty.state(name) is UnitState.INACTIVE
            with pytest.raises(Unavailable, match=f"^{other}: systemd does not answer on D-Bus"):
                await hasty.state(other)
        finally:
            os.kill(systemd.pid, signal.SIGCONT)
        await eventually(lambda: is_in(hasty, other, UnitState.INACTIVE))


class TestWatch:
    async def test_a_stop_from_outside(self, systemd, units, unit):
        name = unit(*SLEEP)
        await units.start(name)
        assert await units.state(name) is UnitState.ACTIVE
        changes = Changes(units)
        systemd.systemctl("stop", name)
        await eventually(changes.seen)
        await eventually(lambda: is_in(units, name, UnitState.INACTIVE))

    async def test_a_crash(self, systemd, units, unit):
        name = unit(*SLEEP)
        await units.start(name)
        assert await units.state(name) is UnitState.ACTIVE
        changes = Changes(units)
        systemd.systemctl("kill", "--signal=KILL", name)
        await eventually(changes.seen)
        await eventually(lambda: is_in(units, name, UnitState.FAILED))

    async def test_a_unit_that_nobody_asked_for_is_not_told(self, systemd, units, unit):
        asked, other = unit(*SLEEP), unit(*SLEEP)
        assert await units.state(asked) is UnitState.INACTIVE
        changes = Changes(units)
        systemd.systemctl("start", other)
        assert not changes.seen()
        systemd.systemctl("start", asked)
        await eventually(changes.seen)

    async def test_units_that_systemd_has_read_again(self, systemd, units, unit):
        name = unit(*SLEEP)
        assert await units.state(name) is UnitState.INACTIVE
        changes = Changes(units)
        systemd.install(name)
        systemd.systemctl("daemon-reload")
        await eventually(changes.seen)
        assert await units.state(name) is UnitState.UNKNOWN


class TestLoss:
    async def test_the_bus_is_restarted(self, systemd, units, unit):
        """The loss is told; the next use connects again and watches all units that were asked for before."""
        asked, watched = unit(*SLEEP), unit(*SLEEP)
        for name in (asked, watched):
            assert await units.state(name) is UnitState.INACTIVE
        changes = Changes(units)
        systemd.systemctl("restart", "dbus.service")
        await eventually(changes.seen)
        await eventually(lambda: answers(units, asked))
        await eventually(changes.seen)
        systemd.systemctl("start", watched)
        await eventually(changes.seen)
        assert await units.state(watched) is UnitState.ACTIVE

    async def test_without_a_bus_everything_is_unavailable(self, systemd, units, unit):
        name = unit(*SLEEP)
        await units.state(name)
        systemd.systemctl("stop", "dbus.socket", "dbus.service")
        await eventually(lambda: not units._session.bus.is_open)
        for use in (units.state, units.start):
            with pytest.raises(Unavailable, match="no D-Bus"):
                await use(name)
        systemd.systemctl("start", "dbus.socket", "dbus.service")
        await eventually(lambda: answers(units, name))

    async def test_systemd_starts_anew_while_a_job_is_awaited(self, systemd, units, unit):
        name = unit(*HANG)
        starting = asyncio.create_task(units.start(name))
        await eventually(lambda: is_in(units, name, UnitState.ACTIVATING))
        systemd.systemctl("daemon-reexec")
        with pytest.raises(
            Unavailable, match=f"^{name}: systemd continues the job, but its result is unknown: systemd left the bus"
        ):
            await starting
        await eventually(lambda: answers(units, name))
        systemd.systemctl("stop", name)
        await eventually(lambda: is_in(units, name, UnitState.INACTIVE))

    async def test_after_close_it_can_be_used_again(self, units, unit):
        name = unit(*SLEEP)
        assert await units.state(name) is UnitState.INACTIVE
        await units.close()
        assert await units.state(name) is UnitState.INACTIVE

    async def test_no_bus_at_all(self, tmp_path):
        units = SystemdUnits(UnitSettings(), f"unix:path={tmp_path}/none")
        with pytest.raises(
            Unavailable, match=r'No such file or directory; on a host without .* set manager = "script"'
        ):
            await units.state("web.service")

    async def test_a_wrong_bus_address(self):
        with pytest.raises(Invalid, match="correct DBUS_SYSTEM_BUS_ADDRESS"):
            await SystemdUnits(UnitSettings(), "here").state("web.service")


async def answers(units, name):
    try:
        await units.state(name)
    except Unavailable:
        return False
    return True
