"""`relocd install`: what this installation gives to the machine beyond its own folder."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path
from typing import Final

import click

from relocd.cli import completion
from relocd.cli.access import OPTIONS
from relocd.cli.options import PATH, dry_run, option
from relocd.install import service_unit, triggers
from relocd.install.manual.commands import command_page
from relocd.install.manual.programs import agent_page, openldap_page
from relocd.install.manual.settings import settings_page
from relocd.install.triggers import TRIGGERS, Target, targets
from relocd.printable import say

__all__ = ["install"]

_SHIPPED: Final = ("systemd", "completion", "manual")
"""What the Debian package brings along, at the places of the distribution."""
_WHAT: Final = (*_SHIPPED, *TRIGGERS)
_MANUAL: Final = "usr/local/share/man"


@click.command
@click.argument("what", type=click.Choice(_WHAT), metavar="WHAT", help=f"One of {', '.join(_WHAT)}.")
@option("--root", type=PATH, default=Path("/"), help="Install below this folder.")
@dry_run("Only say which files would be written.")
@click.pass_context
def install(context: click.Context, what: str, root: Path, *, dry_run: bool) -> None:
    """Install the agent's unit of systemd, completion for shells, manual pages, or a cluster manager's trigger."""
    files, hint = _installable(context.find_root().command, what, root)
    shipped = what in _SHIPPED and root == Path("/") and _installer() == "dpkg"
    missing = tuple(file for file in files if not (shipped or file.is_there))
    for file in missing if dry_run else triggers.install(missing):
        say(f"{'would write' if dry_run else 'wrote'} {file.path}")
    if not missing:
        say("everything is there")
    say(hint)


def _installable(command: click.Command, what: str, root: Path) -> tuple[tuple[Target, ...], str]:
    """The files of that name below a root, and what is left for a person to do."""
    match what:
        case "systemd":
            return (service_unit.unit_target(root),), service_unit.HINT
        case "completion":
            return completion.targets(command, root), completion.HINT
        case "manual":
            return _manual(command, root), "man relocd"
        case _:
            return targets(what, root), f"fill in /etc/relocd/trigger.conf; then, {TRIGGERS[what].hint}"


def _installer() -> str:
    """Which program has installed relocd, by the word that it leaves behind (PEP 376)."""
    return (distribution("relocd").read_text("INSTALLER") or "").strip()


def _manual(command: click.Command, root: Path) -> tuple[Target, ...]:
    pages = (command_page(command, OPTIONS), settings_page(), agent_page(), openldap_page())
    return tuple(Target(root / _MANUAL / page.file_name, page.text, 0o644) for page in pages)
