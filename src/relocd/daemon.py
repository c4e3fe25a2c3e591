"""The agent's process: logging, signals, exit codes. `relocd agent` becomes this, without the command line's weight.

SIGTERM and SIGINT end it and change nothing on the wire. SIGHUP reads the configuration again; one that is wrong is
reported and the old one stays in force.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from relocd.agent.logs import begin_logging
from relocd.config.configuration import read_settings
from relocd.errors import Fatal, RelocdError
from relocd.model.settings import DEFAULT_CONFIG, LogFormat, Settings
from relocd.printable import say
from relocd.wiring import log_handler, running_agent, service_manager, sole_actor, unusable_files

__all__ = ["main"]

_log = logging.getLogger("relocd.daemon")  # its __name__ is __main__


def main() -> int:
    """Run the agent; the exit code is 0 after SIGTERM, 2 for a wrong configuration, 1 when it could not go on."""
    parser = argparse.ArgumentParser(prog="relocd agent", description="Keep this server as the directory wishes it.")
    parser.add_argument(
        "--config", type=Path, default=Path(DEFAULT_CONFIG), help="the configuration file [%(default)s]"
    )
    parser.add_argument("--log-format", choices=get_args(LogFormat), help="[what the configuration says]")
    given = parser.parse_args()
    configuration = _Configuration(given.config, given.log_format)
    try:
        settings = configuration.read()
        configuration.begin_logging(settings)
        with sole_actor(settings):
            asyncio.run(_serve(configuration, settings))
    except Fatal as error:
        say(f"relocd: {error}", sys.stderr)
        return 2
    except RelocdError as error:
        say(f"relocd: {error}", sys.stderr)
        return 1
    return 0


@dataclass(frozen=True, slots=True)
class _Configuration:
    """Where the settings are, and the form of the log that the command line gave, which goes before theirs."""

    path: Path
    log_format: LogFormat | None

    def read(self) -> Settings:
        return read_settings(self.path)

    def read_again(self, former: Settings) -> Settings:
        """What replaces settings that work: it has to be usable, and to leave lock and mode where they are."""
        found = read_settings(self.path, unusable_files)
        if found.paths.run != former.paths.run:
            raise Fatal(f"{self.path}: [paths] run was {former.paths.run}; restart the agent to use another folder")
        return found

    def begin_logging(self, settings: Settings) -> None:
        begin_logging(settings.agent.log_level, log_handler(self.log_format or settings.agent.log_format))


async def _serve(configuration: _Configuration, settings: Settings) -> None:
    """Run one agent after the other: a new one for each new configuration, until the process shall end."""
    loop = asyncio.get_running_loop()
    ending, reloading = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    loop.add_signal_handler(signal.SIGHUP, reloading.set)
    notifier = service_manager()
    former: Settings | None = None
    while not ending.is_set():
        reloading.clear()
        _log.info("agent starts", extra={"fields": {"server": settings.server.dn}})
        try:
            async with running_agent(settings, notifier) as task:
                former = None
                found = await _until_changed(configuration, settings, task, ending, reloading)
                former, settings = settings, found
        except RelocdError as error:
            if former is None:
                raise
            _refuse(error)
            settings, former = former, None
            continue
        if not ending.is_set():
            notifier.reloading()
    notifier.stopping()
    _log.info("agent ends; everything stays as it is")


async def _until_changed(
    configuration: _Configuration,
    settings: Settings,
    task: asyncio.Task[None],
    ending: asyncio.Event,
    reloading: asyncio.Event,
) -> Settings:
    """Wait for the end or for a configuration that can be used; raises what ended the agent by itself."""
    while True:
        waits = [asyncio.create_task(event.wait()) for event in (ending, reloading)]
        try:
            await asyncio.wait({task, *waits}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if task.done():
            await task
        if ending.is_set() or task.done():
            ending.set()
            return settings
        reloading.clear()
        try:
            found = configuration.read_again(settings)
        except Fatal as error:
            _refuse(error)
            continue
        configuration.begin_logging(found)
        return found


def _refuse(error: RelocdError) -> None:
    _log.error("the new configuration is not used", extra={"fields": {"problem": str(error)}})


if __name__ == "__main__":
    sys.exit(main())
