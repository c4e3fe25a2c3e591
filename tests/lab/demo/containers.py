"""`./dev docker`: what stands in docker/README.md, done for real, with a verdict.

The commands are those of the page, one block after the other. Where a machine has a registry the base image comes from
there; here it is made from the machine's own Debian and kept for a week in `.cache/`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, Self

from tests.lab.demo.engine import Engine
from tests.lab.hosts.base_image import base_image
from tests.lab.probers.watch import REPOSITORY
from tests.lab.scenarios.__main__ import shown
from tests.lab.timeline import Timeline

__all__ = ["ContainersStory", "Commands", "commands_of", "main"]

IMAGE: Final = "relocd-try"
_FOLDER: Final = REPOSITORY / "docker"
_PATIENCE_S: Final = 60.0
_ENVIRONMENT: Final = tuple(f"ENV {name}=/etc/ca-certificates.crt" for name in ("PIP_CERT", "SSL_CERT_FILE"))
# Where the engine has no bridge to the world, a build uses the network of the engine.
_BUILD: Final = {"services": {"node1": {"build": {"network": "host"}}}}


class Commands(NamedTuple):
    """The blocks of commands in docker/README.md, in order."""

    up: str
    answers: str
    move: str
    kill: str
    take_over: str
    back: str
    well: str
    down: str


class ContainersStory:
    """The rig and its plot, as a context manager."""

    title: Final = "docker/README.md: two base servers in containers"

    def __init__(self) -> None:
        self._engine = Engine()
        self._commands = commands_of((_FOLDER / "README.md").read_text())

    def __enter__(self) -> Self:
        self._engine.__enter__()
        (self._engine.folder / "build.json").write_text(json.dumps(_BUILD))
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.__exit__()

    def play(self, timeline: Timeline) -> None:
        """Build, start, move, kill, take over, return, remove."""
        with self._engine.running(online=True):
            self._build(timeline)
        with self._engine.running():
            self._start(timeline)
            self._move(timeline)
            self._lose_the_holder(timeline)
            self._return(timeline)
            self._do(self._commands.down)
            left = self._engine.run(["docker", "ps", "--all", "--quiet"]).split()
            timeline.claim("nothing is left of them", not left)

    def _build(self, timeline: Timeline) -> None:
        timeline.mark("the base image, from Debian's packages")
        self._engine.load(base_image("bookworm"), "debian:bookworm-slim", *_ENVIRONMENT)
        timeline.mark("docker compose build")
        self._do("docker compose build")
        size = int(self._engine.run(["docker", "image", "inspect", "--format={{.Size}}", IMAGE]))
        timeline.mark(f"the image has {size / 1e6:.0f} MB")

    def _start(self, timeline: Timeline) -> None:
        began = time.monotonic()
        self._do(self._commands.up)
        timeline.mark("two base servers and a client are up")
        answer = self._answer("node1", 1)
        timeline.figure("from `up` to the first answer", (time.monotonic() - began) * 1000)
        timeline.claim("node1 answers at the service's address", bool(answer), answer)
        output = self._until(lambda: self._tried(self._commands.well), "RELOCD OK")
        timeline.claim("the directory of node2 has copied the entries", "OK" in output, output)

    def _move(self, timeline: Timeline) -> None:
        self._do(self._commands.move)
        timeline.mark("one ldapmodify at node2: node2 is linked")
        self._claim_answer(timeline, "node2", 2, "a planned move: no answer for")

    def _lose_the_holder(self, timeline: Timeline) -> None:
        self._do(self._commands.kill)
        timeline.mark("node2 is killed")
        self._do(self._commands.take_over)
        timeline.mark("one ldapmodify at node1: node2 is off, node1 is linked")
        self._claim_answer(timeline, "node1", 3, "killed, and one ldapmodify: no answer for")

    def _return(self, timeline: Timeline) -> None:
        self._do(self._commands.back)
        timeline.mark("node2 is started again")
        output = self._until(lambda: self._tried(self._commands.well), "RELOCD OK")
        timeline.claim(
            "node2 has caught up, is no longer fenced and leaves the service at node1", "OK" in output, output
        )
        last = self._answers()[-1]
        timeline.claim("nobody but node1 has answered since", "node1" in last, last)

    def _claim_answer(self, timeline: Timeline, server: str, number: int, figure: str) -> None:
        answer = self._answer(server, number)
        silence = re.search(r"after (\d+) ms", answer)
        if silence:
            timeline.figure(figure, float(silence[1]))
        timeline.claim(f"{server} answers", silence is not None, answer)

    def _answer(self, server: str, number: int) -> str:
        """The so many-th change in what the client hears, which is to come from that server; empty when none comes."""

        def found() -> str:
            answers = self._answers()
            return answers[number - 1] if len(answers) >= number else ""

        return self._until(found, f"web on {server}")

    def _answers(self) -> list[str]:
        """What the client has said so far."""
        return re.findall(r"[\d:.]+ web on .*", self._do(self._commands.answers))

    def _until(self, output: Callable[[], str], word: str) -> str:
        """What is said once it has the word in it, or at the deadline."""
        deadline = time.monotonic() + _PATIENCE_S
        while word not in (text := output()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return text if word in text else ""

    def _tried(self, commands: str) -> str:
        """What the commands say; empty while they fail."""
        try:
            return self._do(commands).strip()
        except RuntimeError:
            return ""

    def _do(self, commands: str) -> str:
        """What commands of the page say, with the compose that Debian has."""
        files = f"compose.yaml:{self._engine.folder}/build.json"
        more = {"COMPOSE_FILE": files, "COMPOSE_PROJECT_NAME": "relocd", "COMPOSE_DOCKER_CLI_BUILD": "0"}
        script = commands.replace("docker compose", "docker-compose --no-ansi")
        return self._engine.run(["sh", "-e", "-c", script], more=more, cwd=_FOLDER)


def commands_of(page: str) -> Commands:
    """The blocks of commands on the page, without their prompts."""
    blocks = re.findall(r"^```console\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    return Commands(*(re.sub(r"^\$ ", "", block, flags=re.MULTILINE) for block in blocks))


def main() -> int:
    """Play it; the exit code is 0 when all claims hold, else 1, and 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="./dev docker", description="build docker/ and let a service fail over in it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write claims and figures to a file")
    return shown("docker", ContainersStory(), parser.parse_args().json)


if __name__ == "__main__":
    sys.exit(main())
