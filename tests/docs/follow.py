"""Follows a page: each block is done as the page says, and what comes of it is what the page shows.

A command ends with 0, or with the exit code that its comment tells, and its output has the shape that stands below it.
One that only reads is asked again until it does: what it shows may still be on its way. Entries in an `ldif` block are
added or changed by an administrator; those that are there already stay. A `toml` block with `[server]` becomes the
configuration of each server, with a shorter lease, so that less time is spent waiting for heartbeats.
"""

from __future__ import annotations

import re
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from signal import SIGINT
from typing import Final

from tests.docs.debian_slapd import ADMIN
from tests.docs.machine import TREE
from tests.docs.markdown import Block, Command, blocks, commands
from tests.docs.pages import ELSEWHERE, EVENTS, FOREVER
from tests.docs.shape import has_shape
from tests.docs.shell import Shell
from tests.docs.world import World

__all__ = ["bare", "follow"]

_READS: Final = re.compile(
    r"relocd (status|show|explain|history|doctor|check|apply --dry-run)"
    r"|ldapsearch|ip |curl|journalctl|systemctl (is-|status)"
)
_DEADLINE_S: Final = 15.0
_IMPATIENCE: Final = "\n[handover]\nlease_s = 4.0\n"
_ROOT: Final = "-Q -Y EXTERNAL"
_ADMIN: Final = f"-x -D {ADMIN} -y /root/.relocd-password"
_EXISTS: Final = re.compile(r"^ldap_add: (?!Already exists)|^ldap_(?!add)", re.MULTILINE)


def follow(path: str, world: World) -> None:
    """Do all that a page says; raises `AssertionError` with the line at which it does not come true."""
    section = ""
    for block in blocks(TREE / path):
        if block.section != section:
            section = block.section
            EVENTS.get((path, section), lambda _: None)(world)
        if block.language == "console":
            for command in commands(block):
                if (path, bare(command.text)) not in ELSEWHERE:
                    _do(f"{path} line {command.line}", command, world)
        elif block.language == "ldif":
            _load(f"{path} line {block.line}", block, world)
        elif block.language == "toml":
            _configure(block, world)


def bare(command: str) -> str:
    """The first line of a command, without its comment."""
    return re.split(r"\s+# ", command.partition("\n")[0])[0]


def _do(where: str, command: Command, world: World) -> None:
    shells = world.shells(command.machine, at_workstation=command.at_workstation)
    with ThreadPoolExecutor(len(shells)) as pool:
        list(pool.map(lambda shell: _expect(where, command, shell), shells))


def _expect(where: str, command: Command, shell: Shell) -> None:
    deadline = time.monotonic() + (_DEADLINE_S if _READS.search(command.text) else 0.0)
    while True:
        until = FOREVER.get(bare(command.text), "")
        code, output = shell.run(command.text, until=until)
        if code == (-SIGINT if until else command.exit_code) and has_shape(command.output or "...", output):
            return
        wrong = f"{where}: {command.text}\nexit code {code}, not {command.exit_code}; printed:\n{output}"
        assert time.monotonic() < deadline, f"{wrong}\nthe page says:\n{command.output}"


def _load(where: str, block: Block, world: World) -> None:
    """By root for cn=config, by the administrator of the data for the rest."""
    who = _ROOT if "cn=config" in block.text else _ADMIN
    (shell,) = world.shells(world.directory.name)
    code, output = shell.run(f"ldapmodify -a -c {who} -H ldapi:/// <<'END'\n{block.text}\nEND")
    assert code in (0, 68), f"{where}: exit code {code}\n{output}"
    assert not _EXISTS.search(output), f"{where}:\n{output}"


def _configure(block: Block, world: World) -> None:
    if "server" in tomllib.loads(block.text):
        for machine in world.each_server():
            own = block.text.replace("cn=node1,", f"cn={machine.name},")
            machine.write("/etc/relocd/relocd.toml", own + _IMPATIENCE)
