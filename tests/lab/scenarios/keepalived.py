"""keepalived on one host of the laboratory, with a folder of its own for its configuration and its pid files.

One instance has all addresses.

It is set up to move as fast as it can: VRRP version 3, the highest priority a server may have that does not own the
address (on it depends how long a backup waits: RFC 5798, section 6.1), and real-time scheduling as relocd's agent has
it. An administrator plans a move by a file that keepalived watches (`track_file`), in one of two ways:

- `Way.ASIDE`: the instance steps aside (its fault state). It drops the address and says goodbye by an advertisement of
  priority 0, and the backup waits for a 128th of an interval. `systemctl stop keepalived` does the same.
- `Way.YIELD`: its priority falls below the backup's. That one hears it, takes over after three intervals and a bit,
  and only then the old one drops the address: later, but with hardly a gap.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final, Self

from tests.lab.hosts.folders import with_folders
from tests.lab.hosts.hosts import Host

__all__ = ["Keepalived", "Way"]

_DEADLINE_S: Final = 20.0
_FOLDERS: Final = ("/etc/keepalived", "/run")
_CONFIGURATION: Final = """\
global_defs {{
    router_id {name}
    vrrp_version 3
    vrrp_rt_priority 1
    enable_script_security
    script_user root
}}
{scripts}
track_file away {{
    file "/etc/keepalived/away"
    weight {weight}
    init_file 0 overwrite
}}
vrrp_instance service {{
    state BACKUP
    {preemption}
    interface {interface}
    virtual_router_id 10
    priority 254
    advert_int {advert_s:g}
    virtual_ipaddress {{
{addresses}
    }}
    track_file {{
        away
    }}
    track_interface {{
        {interface}
    }}
    track_script {{
        {tracked}
    }}
}}
"""
_STATE: Final = re.compile(r"Entering (\w+) STATE")


class Way(Enum):
    """How a move is asked for; the value is what the watched file weighs: 0 is a fault, else added to the priority."""

    ASIDE = 0
    YIELD = -100


class Keepalived:
    """One keepalived as a context manager: it runs in the block and has ended after it.

    `checks` are its scripts by their names, each with the settings of a `vrrp_script`; while one fails, the instance is
    in its fault state.
    """

    def __init__(
        self,
        host: Host,
        folder: Path,
        addresses: Sequence[str],
        advert_s: float,
        way: Way,
        checks: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._host = host
        self._folder = folder
        self._configuration = _CONFIGURATION.format(
            name=host.name,
            interface=host.interface,
            addresses="\n".join(f"        {each} dev {host.interface}" for each in addresses),
            advert_s=advert_s,
            weight=way.value,
            preemption="nopreempt" if way is Way.ASIDE else "preempt_delay 0",
            scripts="\n".join(_script(name, settings) for name, settings in (checks or {}).items()),
            tracked="\n        ".join(checks or ()),
        )
        self._process: subprocess.Popen[Any] | None = None

    def __enter__(self) -> Self:
        own = {path: self._folder / path.strip("/").replace("/", "-") for path in _FOLDERS}
        for place in own.values():
            place.mkdir(parents=True)
        self._etc = own["/etc/keepalived"]
        (self._etc / "keepalived.conf").write_text(self._configuration)
        # In the foreground and without syslog: without a syslog daemon each line would go to the console.
        argv = with_folders(["keepalived", "-n", "-l", "-G", "-D", "-P"], own)
        with self._log.open("wb") as log:
            self._process = self._host.start(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(_DEADLINE_S)

    @property
    def process(self) -> subprocess.Popen[Any]:
        """The parent's process; what does the work is its child."""
        if self._process is None:
            raise RuntimeError(f"keepalived of {self._host.name} does not run; enter it first")
        return self._process

    def set_away(self, away: bool) -> None:
        """Set whether this host should leave the address alone; keepalived watches the file with inotify."""
        (self._etc / "away").write_text(f"{away:d}\n")

    def kill(self) -> None:
        """End it, with its children, so that it leaves everything as it is."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(_DEADLINE_S)

    @property
    def state(self) -> str:
        """The state that it entered last, by its log; empty before the first one."""
        return "".join(_STATE.findall(self.log_text())[-1:])

    def wait_until(self, state: str) -> None:
        """Return once the state that it entered last is this one."""
        deadline = time.monotonic() + _DEADLINE_S
        while self.state != state:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"keepalived of {self._host.name} did not become {state}:\n{self.log_text()}")
            time.sleep(0.005)

    def log_text(self) -> str:
        """Its log so far."""
        return self._log.read_text(errors="replace")

    @property
    def _log(self) -> Path:
        return self._folder / "log"


def _script(name: str, settings: Mapping[str, str]) -> str:
    lines = (f"    {key} {value}" for key, value in settings.items())
    return "\n".join([f"vrrp_script {name} {{", *lines, "}"])
