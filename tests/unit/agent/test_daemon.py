"""SIGHUP: a configuration that cannot be used is refused with its line, and what is in force stays."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager

import pytest

from relocd import daemon
from relocd.errors import Failed, Unavailable
from tests.support.fakes import until
from tests.unit.config.test_configuration import SMALLEST

_SIMPLE = SMALLEST + 'bind = "simple"\nbind_dn = "cn=me"\npassword_file = "{password}"\n'


class Process:
    """The agent's process without an agent in it: the settings that each one was to run with."""

    def __init__(self, folder):
        self.config = folder / "relocd.toml"
        self.config.write_text(SMALLEST)
        self.password = folder / "password"
        self.ran = []
        self.refuse = None

    @asynccontextmanager
    async def running_agent(self, settings, _notifier):
        if self.refuse is not None and self.refuse(settings):
            raise Failed("the wire cannot be opened")
        self.ran.append(settings)
        task = asyncio.create_task(asyncio.Event().wait())
        try:
            yield task
        finally:
            task.cancel()

    @asynccontextmanager
    async def serving(self):
        configuration = daemon._Configuration(self.config, None)
        serving = asyncio.create_task(daemon._serve(configuration, configuration.read()))
        await until(lambda: self.ran)
        yield serving
        os.kill(os.getpid(), signal.SIGTERM)
        await serving

    def reload(self, text):
        self.config.write_text(text.replace("{password}", str(self.password)))
        os.kill(os.getpid(), signal.SIGHUP)


@pytest.fixture
def process(tmp_path, monkeypatch):
    found = Process(tmp_path)
    monkeypatch.setattr(daemon, "running_agent", found.running_agent)
    monkeypatch.setattr(daemon._Configuration, "begin_logging", lambda *_: None)
    return found


def refusals(caplog):
    return [record.fields["problem"] for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param(SMALLEST + "x = " + "[" * 3000 + "]" * 3000, "", id="nested 3,000 deep"),
        pytest.param(SMALLEST + "[agent]\nspare_mib = inf\n", " line 7: [agent] spare_mib", id="infinite"),
        pytest.param(_SIMPLE.replace("{password}", "/nowhere"), " line 8: [directory] password_file", id="no password"),
        pytest.param(_SIMPLE, " line 8: [directory] password_file", id="password in Latin-1"),
        pytest.param(SMALLEST + 'ca_file = "/nowhere"\n', " line 6: [directory] ca_file", id="no authority"),
        pytest.param(SMALLEST + '[paths]\nrun = "/elsewhere"\n', ": [paths] run", id="another run folder"),
    ],
)
async def test_a_bad_configuration_is_refused_and_the_old_one_stays(process, caplog, text, line):
    process.password.write_bytes("geh\u00e9im".encode("latin-1"))
    process.password.chmod(0o600)
    async with process.serving() as serving:
        process.reload(text)
        await until(lambda: refusals(caplog))
        (problem,) = refusals(caplog)
        assert problem.startswith(f"{process.config}{line}")
        assert (len(process.ran), serving.done()) == (1, False)
        process.reload(SMALLEST + "[agent]\nsettle_ms = 7\n")
        await until(lambda: len(process.ran) == 2)
        assert process.ran[-1].agent.settle_ms == 7


async def test_when_the_new_one_cannot_begin_the_old_one_goes_on(process, caplog):
    process.refuse = lambda settings: settings.agent.settle_ms == 7
    async with process.serving():
        process.reload(SMALLEST + "[agent]\nsettle_ms = 7\n")
        await until(lambda: len(process.ran) == 2)
        assert process.ran[0] == process.ran[1]
        assert refusals(caplog) == ["the wire cannot be opened"]


async def test_an_agent_that_cannot_begin_at_all_ends(process):
    process.refuse = lambda _: True
    with pytest.raises((Failed, Unavailable)):
        await daemon._serve(daemon._Configuration(process.config, None), daemon.read_settings(process.config))
