"""A command: `relocd move web node2 --wait` on a real slapd, in which this file writes what the agents would.

The command's own code runs in this process. slapd's log counts what the command asks for.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

from relocd.cli.main import main
from tests.integration.orders_lab import access, environment, guarded_directory, links, seen
from tests.journeys.recorder import Journey, Recorder, once
from tests.lab.deadline import until
from tests.lab.slapd.ldif import state_ldif, status_ldif
from tests.lab.slapd.slapd import Slapd, service_dn

__all__ = ["AGENTS_TAKE_S", "move"]

AGENTS_TAKE_S = 0.4
"""From the command's modify to what the new holder writes: long, so that the searches of the wait can be counted."""

_DECIDED = ("operator/change/changes.py", "move")


def move(folder: Path) -> Journey:
    """Trace the command from its arguments to its exit."""
    recorder = Recorder({_DECIDED: once})
    with guarded_directory(folder, log_level="stats") as slapd:
        agents = threading.Thread(target=_act_as_agents, args=(slapd,))
        agents.start()
        with patch.dict(os.environ, environment(access(folder, slapd.uri))):
            said, code = _run(recorder, "move", "web", "node2", "--wait")
        agents.join()
        assert code == 0, said
        counts = _requests(slapd.log())
    title = f"move: relocd move web node2 --wait, when the agents take {AGENTS_TAKE_S:g} s"
    return recorder.journey(title, decided=recorder.calls[_DECIDED], **counts)


def _run(recorder: Recorder, *arguments: str) -> tuple[str, object]:
    """What the command prints, and its exit code."""
    said = StringIO()
    command = patch.object(sys, "argv", ["relocd", *arguments])
    with command, redirect_stdout(said), redirect_stderr(said), recorder:
        try:
            main()
        except SystemExit as end:
            return said.getvalue(), end.code or 0
    return said.getvalue(), 0


def _act_as_agents(slapd: Slapd) -> None:
    """Write the state and the status of the new holder, some time after the link."""
    until(lambda: "web" in links(slapd, "node2"))
    time.sleep(AGENTS_TAKE_S)
    (uuid,) = seen(slapd, service_dn("web"), "entryUUID")
    status = status_ldif("node2", Active=["web"]).rstrip("\n")
    slapd.add(f"{state_ldif('web', 'node2')}{status}\nrelocActedOn: {uuid}=3\n\n")


def _requests(log: str) -> dict[str, int]:
    """What slapd was asked for over TCP, which is what the command uses; this file uses the local socket."""
    found = set(re.findall(r"conn=(\d+) fd=\d+ ACCEPT from IP=", log))
    kinds = {"binds": r"BIND dn=\S* method=", "searches": "SRCH base=", "modifies": "MOD dn="}
    lines = [line for line in log.splitlines() if (at := re.search(r"conn=(\d+) op=", line)) and at[1] in found]
    counts = {name: sum(bool(re.search(pattern, line)) for line in lines) for name, pattern in kinds.items()}
    return {"connections": len(found), **counts}
