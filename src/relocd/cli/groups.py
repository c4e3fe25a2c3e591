"""The commands by what a person wants: the sections in which `relocd --help` lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

__all__ = ["Grouped"]

_LONGEST: Final = 160
"""Characters of a command's first sentence that are listed."""


class Grouped(click.Group):
    """A group whose commands are listed in sections, both in the order in which they are given."""

    def __init__(self, *, sections: Mapping[str, Sequence[click.Command]], **more: Any) -> None:
        super().__init__(commands=[each for commands in sections.values() for each in commands], **more)
        self._sections = sections

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names, for who completes one."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write each section."""
        for title, commands in self._sections.items():
            with formatter.section(title):
                formatter.write_dl([(str(each.name), each.get_short_help_str(_LONGEST)) for each in commands])
