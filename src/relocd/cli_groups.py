"""The commands by what a person wants: the groups in which `relocd --help` lists them."""

from __future__ import annotations

from typing import Final

import click
from typer.core import TyperGroup

__all__ = ["ACT", "HERE", "SEE", "SET_UP", "Grouped"]

SEE: Final = "See"
ACT: Final = "Act"
HERE: Final = "This server"
SET_UP: Final = "Set up"
_GROUPS: Final = (SEE, ACT, HERE, SET_UP)


class Grouped(TyperGroup):
    """All commands, each listed under the panel that it names."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write a section for each group, its commands in the order in which they were made."""
        for title in _GROUPS:
            commands = [each for each in self.commands.values() if _group(each) == title]
            with formatter.section(title):
                formatter.write_dl([(str(each.name), each.get_short_help_str(160)) for each in commands])


def _group(command: click.Command) -> str:
    return getattr(command, "rich_help_panel", None) or SET_UP
