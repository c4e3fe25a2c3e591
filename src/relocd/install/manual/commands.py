"""relocd(1), generated from click's commands: their help, arguments, options, variables and defaults."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from inspect import cleandoc
from typing import Final

import click

from relocd.install.manual.roff import Page, bold
from relocd.model.settings import DEFAULT_CONFIG, STATUS_NAME, PathSettings

__all__ = ["command_page"]

_EXIT: Final = "Exit codes: "
_FILES: Final = {
    DEFAULT_CONFIG: "The configuration of the agent, see `relocd.toml`(5).",
    f"{PathSettings().run}/{STATUS_NAME}": "The last status of the agent on this machine.",
    "/etc/relocd/trigger.conf": "The settings of the triggers that `relocd install` writes.",
}


def command_page(root: click.Command, shared: Collection[str]) -> Page:
    """The page of all commands; options whose parameter is in `shared` are described once for all."""
    about, *more = cleandoc(root.help or "").split("\n\n")
    page = Page("relocd", 1, about.rstrip("."))
    page.section("SYNOPSIS")
    page.prose("`relocd` COMMAND [OPTION]... [ARGUMENT]...")
    page.section("DESCRIPTION")
    page.prose("\n\n".join(text for text in more if not text.startswith(_EXIT)) or about)
    page.section("COMMANDS")
    commands = [each for _, each in sorted(getattr(root, "commands", {}).items())]
    for command in commands:
        _describe(page, command, shared)
    page.section("OPTIONS FOR THE DIRECTORY")
    page.prose("Every command that reads or writes the directory takes these:")
    for option in _shared(commands, shared):
        page.item(_names(option), _help(option))
    page.section("EXIT STATUS")
    page.prose("\n\n".join(text.removeprefix(_EXIT) for text in more if text.startswith(_EXIT)))
    page.section("FILES")
    for path, text in _FILES.items():
        page.item(bold(path), text)
    page.section("SEE ALSO")
    page.prose("`relocd.toml`(5), `relocd-agent`(8), `relocd-openldap`(8)")
    return page


def _describe(page: Page, command: click.Command, shared: Collection[str]) -> None:
    page.subsection(" ".join([bold(f"relocd {command.name}"), *_arguments(command)]))
    page.prose(cleandoc(command.help or ""))
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name not in shared:
            page.item(_names(parameter), _help(parameter))
        elif isinstance(parameter, click.Argument):
            page.item(str(parameter.name).upper(), parameter.help or "")
    if any(parameter.name in shared for parameter in command.params):
        page.prose("And the options for the directory, below.")


def _arguments(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            choice = parameter.type
            yield "|".join(choice.choices) if isinstance(choice, click.Choice) else str(parameter.name).upper()


def _shared(commands: Collection[click.Command], shared: Collection[str]) -> Iterator[click.Option]:
    seen = {
        option.name: option for command in commands for option in command.params if isinstance(option, click.Option)
    }
    return (seen[name] for name in shared)


def _names(option: click.Option) -> str:
    """All spellings of an option, and what it takes."""
    names = ", ".join(bold(name) for name in (*option.opts, *option.secondary_opts))
    if option.is_flag:
        return names
    kind = option.type
    taken = "|".join(kind.choices) if isinstance(kind, click.Choice) else option.metavar or kind.name.upper()
    return f"{names} {taken}"


def _help(option: click.Option) -> str:
    """What an option does, with the facts that click's own help adds in brackets."""
    more = option.get_help_extra(click.Context(click.Command(None)))
    facts = {
        "Variable": ", ".join(bold(name) for name in more.get("envvars", ())),
        "Default": more.get("default"),
        "Range": more.get("range"),
    }
    told = [f"{fact}: {text}." for fact, text in facts.items() if text]
    return " ".join([option.help or "", *told, *(["Required."] if option.required else [])])
