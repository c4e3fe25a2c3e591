"""A server of the laboratory: a host with an agent, its configuration, and folders of its own.

Two agents on one machine share its file system, so each sees its own state, run and configuration folders: what one
installs at /etc/nginx the other does not see. The programs that an agent starts see what it sees.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from tests.lab.hosts.folders import with_folders
from tests.lab.hosts.hosts import Host
from tests.lab.hosts.paused import pause, resume
from tests.lab.probers.trace import Line, line
from tests.lab.slapd.slapd import PASSWORD, ROOT_DN, SUFFIX, server_dn

__all__ = ["Node", "Tables", "merged", "toml"]

Tables = Mapping[str, Mapping[str, object]]
_DEADLINE_S: Final = 20.0
_OFFSET_NS: Final = time.monotonic_ns() - time.time_ns()


class Node:
    """One server with its agent, as a context manager: the agent runs in the block and has ended after it.

    `tables` are added to the configuration, or replace what is in it. `folders` are paths that the agent sees as
    empty folders of its own. `folder` is where all that is, and belongs to the caller.
    """

    def __init__(
        self,
        host: Host,
        folder: Path,
        uris: Sequence[str],
        *,
        tables: Tables | None = None,
        folders: Sequence[str] = (),
    ) -> None:
        self.host = host
        self.folder = folder
        self.config = folder / "relocd.toml"
        self._tables = merged(_settings(host.name, folder, uris), tables or {})
        self._folders = {inside: folder / "seen" / inside.strip("/").replace("/", "-") for inside in folders}
        self._agent: subprocess.Popen[Any] | None = None

    def __enter__(self) -> Self:
        self.prepare()
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._agent is not None:
            self.stop()

    @property
    def agent(self) -> subprocess.Popen[Any]:
        """The agent's process; the pid is that of the agent itself."""
        if self._agent is None:
            raise RuntimeError(f"the agent of {self.host.name} does not run; start() it first")
        return self._agent

    def place(self, inside: str) -> Path:
        """Where a path below one of `folders` really is."""
        for start, own in self._folders.items():
            if inside == start or inside.startswith(start + "/"):
                return own / inside[len(start) :].lstrip("/")
        raise KeyError(f"{inside} is below none of this node's folders: {', '.join(self._folders)}")

    def start(self) -> None:
        """Start the agent and wait until its first refresh is complete."""
        before = sum(1 for _ in self.lines())
        self.launch()
        self.wait_for(lambda each: each.message == "refresh complete", skip=before)

    def launch(self) -> None:
        """Start the agent and wait for nothing."""
        argv = [str(Path(sys.executable).with_name("relocd")), "agent", "--config", str(self.config)]
        with self.log.open("ab") as log:
            self._agent = self.host.start(
                with_folders(argv, self._folders), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def stop(self) -> None:
        """SIGTERM, and wait until the agent is gone."""
        agent = self.agent
        agent.send_signal(signal.SIGTERM)
        agent.send_signal(signal.SIGCONT)
        agent.wait(_DEADLINE_S)
        self._agent = None

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        self.agent.kill()
        self.agent.wait(_DEADLINE_S)
        self._agent = None

    def pause(self) -> None:
        """SIGSTOP: the agent hangs, and what it has started goes on."""
        pause(self.agent.pid)

    def resume(self) -> None:
        resume(self.agent.pid)

    def lines(self) -> Iterator[Line]:
        """What the agent has logged so far."""
        if self.log.exists():
            whole = self.log.read_text(errors="replace")
            parsed = (line(text, _OFFSET_NS) for text in whole[: whole.rfind("\n") + 1].splitlines())
            yield from (each for each in parsed if each is not None)

    def log_text(self) -> str:
        """The last lines of the agent's log as they are, for an error's message."""
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def wait_for(self, wanted: Callable[[Line], bool], *, skip: int = 0, timeout_s: float = _DEADLINE_S) -> Line:
        """The first logged line, after the first `skip` ones, that is wanted."""
        deadline = time.monotonic() + timeout_s
        while True:
            for found in list(self.lines())[skip:]:
                if wanted(found):
                    return found
            ended = self.agent.poll() is not None
            if ended or time.monotonic() > deadline:
                what = f"ended with {self.agent.returncode}" if ended else f"did not say it in {timeout_s:g} s"
                raise TimeoutError(f"the agent of {self.host.name} {what}:\n{self.log_text()}")
            time.sleep(0.01)

    @property
    def log(self) -> Path:
        """The file with all that the agent has said."""
        return self.folder / "agent.log"

    def prepare(self) -> None:
        """Write the configuration and make the folders; `with` does it, too."""
        for folder in (self.folder, self.folder / "state", self.folder / "run", *self._folders.values()):
            folder.mkdir(parents=True, exist_ok=True)
        password = self.folder / "password"
        password.write_text(PASSWORD + "\n")
        password.chmod(0o600)
        self.config.write_text(toml(self._tables))


def _settings(name: str, folder: Path, uris: Sequence[str]) -> Tables:
    return {
        "server": {"dn": server_dn(name)},
        "directory": {
            "uris": list(uris),
            "base": SUFFIX,
            "bind": "simple",
            "bind_dn": ROOT_DN,
            "password_file": str(folder / "password"),
        },
        "guards": {"networks": ["192.0.2.0/24", "2001:db8::/64"]},
        "paths": {"state": str(folder / "state"), "run": str(folder / "run")},
        "units": {"manager": "script"},
    }


def merged(base: Tables, more: Tables) -> Tables:
    """Tables with the keys of others added or replaced."""
    return {name: {**base.get(name, {}), **more.get(name, {})} for name in (*base, *more)}


def toml(tables: Tables) -> str:
    """Tables of plain values (text, numbers, truth values, lists of text) as TOML.

    A name may have dots; one in brackets is that of an array of tables, of which this is one.
    """
    return "\n".join(
        "\n".join([f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]) + "\n"
        for name, table in tables.items()
    )
