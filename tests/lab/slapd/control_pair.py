"""The control suffix on a pair of base servers, made by `relocd init-pair` as an administrator would."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.lab.deadline import until
from tests.lab.hosts.base_server import BaseServer
from tests.lab.slapd.ldif import SUFFIX

__all__ = ["REPLICATION", "REPLICATOR", "control", "init_pair", "join", "meet"]

REPLICATOR = f"cn=replicator,{SUFFIX}"
REPLICATION = "kopieren"
"""The password of who copies."""
_RELOCD = str(Path(sys.executable).with_name("relocd"))


def init_pair(
    server: BaseServer, number: int, peer: str, *more: str, tls: bool = False, secret: str = REPLICATION
) -> subprocess.CompletedProcess[str]:
    """Run the command for one node to its end, whatever that is; what it says."""
    password = server.folder / "replication-password"
    password.touch(mode=0o600)
    password.write_text(secret + "\n")
    password.chmod(0o600)
    options = ["--server-id", str(number), "--peer", peer, "--password-file", str(password), "--socket", server.socket]
    argv = [_RELOCD, "init-pair", *options, *([] if tls else ["--no-tls"]), *more]
    on_host = server.host.command(argv) if server.host else argv
    return subprocess.run(on_host, capture_output=True, text=True, timeout=60, check=False)


def join(server: BaseServer, number: int, peer: str, *more: str, tls: bool = False, secret: str = REPLICATION) -> str:
    """Run the command to its successful end; what it says."""
    done = init_pair(server, number, peer, *more, tls=tls, secret=secret)
    if done.returncode:
        raise RuntimeError(f"init-pair failed with {done.returncode}: {done.stderr}")
    return done.stdout


def meet(servers: Sequence[BaseServer], *, tls: bool = False) -> None:
    """Make two base servers a pair, and wait until both have the first entries.

    The second one is not up before the first is ready: a consumer that is told that there is no such database asks
    again only after a minute.
    """
    first, second = servers
    second.stop()
    join(first, 1, second.uri, "--create", tls=tls)
    second.start()
    join(second, 2, first.uri, tls=tls)
    until(lambda: control(first) and control(first) == control(second))


def control(server: BaseServer) -> dict[str, dict[str, list[str]]]:
    """The entries of the control suffix on one node, with the numbers of their changes."""
    return server.entries(SUFFIX, "*", "entryUUID", "entryCSN")
