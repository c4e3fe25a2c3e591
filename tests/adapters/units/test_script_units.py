"""Units by script: real shell commands whose service is a file that exists while it runs."""

from __future__ import annotations

import asyncio

import pytest

from relocd.adapters.units.script_units import ScriptUnits
from relocd.errors import Failed
from relocd.model.host import UnitState
from relocd.model.settings import ScriptUnit, UnitSettings
from tests.lab.deadline import eventually

NAME = "echo@web.service"


def shell(script, *arguments):
    return ("sh", "-c", script, "sh", *map(str, arguments))


@pytest.fixture
def running(tmp_path):
    """The file that says that the service runs."""
    return tmp_path / "running"


@pytest.fixture
def log(tmp_path):
    """The words of the commands that were run."""
    return tmp_path / "log"


@pytest.fixture
def make(running, log):
    """Units with one unit; scripts get the service's file as $1 and the log as $2."""

    def made(timeout_s=5.0, poll_s=60.0, **scripts):
        usual = {
            "start": 'echo start >>"$2"; touch "$1"',
            "stop": 'echo stop >>"$2"; rm -f "$1"',
            "status": 'echo status >>"$2"; test -e "$1"',
        }
        commands = {key: shell(script, running, log) for key, script in (usual | scripts).items()}
        return ScriptUnits(UnitSettings("script", timeout_s, poll_s, {NAME: ScriptUnit(**commands)}), running.parent)

    return made


def words(log):
    return [word for word in log.read_text().split() if word != "status"]


class Changes:
    """Remembers that something changed."""

    def __init__(self, units):
        self.seen = False
        units.watch(self._see)

    def _see(self):
        self.seen = True


class TestState:
    async def test_status_0_is_active_and_else_inactive(self, make, running):
        assert await make().state(NAME) is UnitState.INACTIVE
        running.touch()
        assert await make().state(NAME) is UnitState.ACTIVE

    async def test_an_answer_is_kept(self, make, log):
        units = make()
        assert {await units.state(NAME) for _ in range(3)} == {UnitState.INACTIVE}
        assert log.read_text().split() == ["status"]

    async def test_one_question_serves_all_who_ask_at_once(self, make, log):
        units = make()
        await asyncio.gather(units.state(NAME), units.state(NAME))
        assert log.read_text().split() == ["status"]

    async def test_a_name_that_is_not_configured_is_unknown(self, make):
        assert await make().state("other.service") is UnitState.UNKNOWN

    @pytest.mark.parametrize(
        ("status", "message"),
        [
            pytest.param("kill -KILL $$", "was killed by SIGKILL", id="killed"),
            pytest.param("sleep 99", "did not end within 0.1 s", id="hangs"),
        ],
    )
    async def test_no_answer_is_no_state(self, make, status, message):
        with pytest.raises(Failed, match=message):
            await make(timeout_s=0.1, status=status).state(NAME)

    async def test_a_missing_status_command_is_no_state(self, tmp_path):
        unit = ScriptUnit(("true",), ("true",), ("relocd-nowhere",))
        with pytest.raises(Failed, match="relocd-nowhere cannot be started"):
            await ScriptUnits(UnitSettings(script={NAME: unit}), tmp_path).state(NAME)


class TestWithoutStatus:
    """The last start or stop says what a unit is, also to the next agent."""

    @pytest.fixture
    def states(self, tmp_path):
        """A unit of these commands, for agents that come one after the other."""

        def made(start="true", stop="true"):
            unit = ScriptUnit((start,), (stop,))
            return ScriptUnits(UnitSettings(script={NAME: unit}), tmp_path / "units")

        return made

    async def test_from_a_start_to_a_stop_it_runs(self, states):
        assert await states().state(NAME) is UnitState.INACTIVE
        await states().start(NAME)
        assert await states().state(NAME) is UnitState.ACTIVE
        await states().stop(NAME)
        assert await states().state(NAME) is UnitState.INACTIVE

    @pytest.mark.parametrize("word", ["start", "stop"])
    async def test_what_failed_on_its_way_is_neither_running_nor_stopped(self, states, word):
        """So it is started where it shall run, and stopped where it shall not."""
        if word == "stop":
            await states().start(NAME)
        with pytest.raises(Failed):
            await getattr(states(start="false", stop="false"), word)(NAME)
        assert await states().state(NAME) is UnitState.DEACTIVATING

    async def test_a_folder_that_cannot_be_written_is_found_before_a_start(self, states, tmp_path):
        units = states()
        await units.check(NAME)
        assert await units.state(NAME) is UnitState.INACTIVE
        (tmp_path / "units").rmdir()
        (tmp_path / "units").write_text("")
        with pytest.raises(Failed, match="cannot be written"):
            await units.check(NAME)

    async def test_a_folder_that_cannot_be_written_is_no_start(self, states, tmp_path):
        (tmp_path / "units").touch()
        with pytest.raises(Failed, match="correct that folder"):
            await states().start(NAME)


class TestActions:
    async def test_start_and_stop(self, make, running):
        units = make()
        await units.start(NAME)
        assert running.exists()
        assert await units.state(NAME) is UnitState.ACTIVE
        await units.stop(NAME)
        assert not running.exists()
        assert await units.state(NAME) is UnitState.INACTIVE

    async def test_restart_is_stop_and_start(self, make, log):
        await make().restart(NAME)
        assert words(log) == ["stop", "start"]

    async def test_reload_uses_its_command(self, make, running, log):
        running.touch()
        await make(reload='echo reload >>"$2"').reload(NAME)
        assert words(log) == ["reload"]

    async def test_reload_without_a_command_is_a_restart(self, make, log):
        await make().reload(NAME)
        assert words(log) == ["stop", "start"]

    async def test_start_waits_until_the_service_runs(self, make, running):
        await make(start='(sleep 0.1; touch "$1") &').start(NAME)
        assert running.exists()

    async def test_stop_waits_until_the_service_has_stopped(self, make, running):
        running.touch()
        await make(stop='(sleep 0.1; rm "$1") &').stop(NAME)
        assert not running.exists()

    async def test_what_is_under_way_shows(self, make, tmp_path):
        units = make(start='while [ ! -e "$1.go" ]; do sleep 0.01; done; touch "$1"')
        assert await units.state(NAME) is UnitState.INACTIVE
        starting = asyncio.create_task(units.start(NAME))
        await eventually(lambda: self.is_in(units, UnitState.ACTIVATING))
        (tmp_path / "running.go").touch()
        await starting
        assert await units.state(NAME) is UnitState.ACTIVE

    async def is_in(self, units, state):
        return await units.state(NAME) is state

    async def test_actions_on_one_unit_do_not_overlap(self, make, log):
        units = make(start='echo begin >>"$2"; sleep 0.05; touch "$1"; echo end >>"$2"')
        await asyncio.gather(units.start(NAME), units.start(NAME))
        assert words(log) == ["begin", "end"] * 2


class TestFailure:
    @pytest.mark.parametrize(
        ("scripts", "message"),
        [
            pytest.param({"start": "echo no >&2; exit 1"}, "ended with status 1$", id="the command fails"),
            pytest.param({"start": "sleep 99"}, "did not end within 0.2 s and was killed", id="the command hangs"),
            pytest.param({"start": "true"}, "after 0.2 s it is still inactive", id="the service does not run"),
            pytest.param({"status": "kill -KILL $$"}, "the state of .* is unknown", id="the status has no answer"),
        ],
    )
    async def test_start_names_the_unit_and_the_reason(self, make, scripts, message):
        with pytest.raises(Failed, match=f"^{NAME} was not started: .*{message}"):
            await make(timeout_s=0.2, **scripts).start(NAME)

    async def test_a_service_that_does_not_stop(self, make, running):
        running.touch()
        with pytest.raises(Failed, match=f"^{NAME} was not stopped: after 0.2 s it is still active"):
            await make(timeout_s=0.2, stop="true").stop(NAME)

    async def test_a_reload_that_ends_the_service(self, make, running):
        running.touch()
        with pytest.raises(Failed, match=f"^{NAME} was not reloaded: after 0.2 s it is still inactive"):
            await make(timeout_s=0.2, reload='rm "$1"').reload(NAME)

    @pytest.mark.parametrize("action", ["start", "stop", "reload", "restart"])
    async def test_a_name_that_is_not_configured(self, make, action):
        with pytest.raises(Failed, match=r'add \[units\.script\."other@x\.service"\] with start, stop and status'):
            await getattr(make(), action)("other@x.service")

    async def test_the_state_is_asked_for_again_after_a_failure(self, make):
        units = make(start='touch "$1"; exit 1')
        assert await units.state(NAME) is UnitState.INACTIVE
        with pytest.raises(Failed):
            await units.start(NAME)
        assert await units.state(NAME) is UnitState.ACTIVE


class TestWatch:
    async def test_a_change_from_outside_is_seen(self, make, running):
        async with make(poll_s=0.01) as units:
            changes = Changes(units)
            assert await units.state(NAME) is UnitState.INACTIVE
            running.touch()
            await eventually(lambda: changes.seen)
            assert await units.state(NAME) is UnitState.ACTIVE

    async def test_our_own_change_is_told(self, make):
        units = make()
        changes = Changes(units)
        await units.start(NAME)
        assert changes.seen

    async def test_what_stays_the_same_is_not_told(self, make, log):
        async with make(poll_s=0.001) as units:
            await units.state(NAME)
            changes = Changes(units)
            await eventually(lambda: len(log.read_text().split()) > 5)
            assert not changes.seen

    async def test_only_units_that_were_asked_for_are_polled(self, make, log):
        async with make(poll_s=0.001) as units:
            await units.stop(NAME)
            length = len(log.read_text())
            await asyncio.gather(*(asyncio.sleep(0.002) for _ in range(10)))
            assert len(log.read_text()) == length

    async def test_an_answer_that_stays_away_is_told_and_then_raised(self, make, running):
        """It is not taken for a stop: nothing acts on doubt."""
        running.touch()
        async with make(poll_s=0.01, status='test ! -e "$1.broken" || kill -KILL $$; test -e "$1"') as units:
            assert await units.state(NAME) is UnitState.ACTIVE
            changes = Changes(units)
            running.with_name("running.broken").touch()
            await eventually(lambda: changes.seen)
            with pytest.raises(Failed, match="is unknown"):
                await units.state(NAME)
            running.with_name("running.broken").unlink()
            assert await units.state(NAME) is UnitState.ACTIVE

    async def test_a_poll_leaves_a_unit_alone_that_is_being_started(self, make):
        """Else what it saw before the start could be kept as the state after it."""
        async with make(poll_s=0.001, start='sleep 0.1; touch "$1"', status='test -e "$1"') as units:
            await units.state(NAME)
            await units.start(NAME)
            assert await units.state(NAME) is UnitState.ACTIVE
