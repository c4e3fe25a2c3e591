"""The manual pages, each from what it describes: click's commands, `relocd.model.settings`, a program's parser.

relocd(1) has the help, arguments, options, variables and defaults of all commands. relocd.toml(5) has tables by
docstring, keys by type, default and meaning. relocd-agent(8) and relocd-openldap(8) are programs that systemd and the
agent run on a server.
"""

from __future__ import annotations

from argparse import ArgumentParser, HelpFormatter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, Field, fields
from functools import partial
from inspect import cleandoc
from itertools import groupby
from pathlib import Path
from typing import Final, Literal, get_args, get_origin, get_type_hints

import click

from relocd.install.manual.roff import Page, bold
from relocd.model import settings
from relocd.model.settings import DEFAULT_CONFIG, MODE_NAME, STATUS_NAME, PathSettings, ScriptUnit, Settings
from relocd.openldap import role_command

__all__ = ["EXAMPLE", "agent_page", "command_page", "openldap_page", "settings_page"]

_EXIT_CODES: Final = "Exit codes: "
_COMMAND_FILES: Final = {
    DEFAULT_CONFIG: "The configuration of the agent, see `relocd.toml`(5).",
    f"{PathSettings().run}/{STATUS_NAME}": "The last status of the agent on this machine.",
    "/etc/relocd/trigger.conf": "The settings of the triggers that `relocd install` writes.",
}
EXAMPLE: Final = Path(__file__).with_name("relocd.toml").read_text(encoding="utf-8")
"""An example that is valid once names and networks are adapted."""
_SETTINGS_ABOUT: Final = "configuration of the agent of relocd"
_SETTINGS: Final = f"""\
`relocd agent`, `relocd apply` and `relocd check` read `{DEFAULT_CONFIG}`, or what their option `--config` names: a
file in TOML. An unknown key, a wrong type or a missing value is refused with its line. Keys that end in `_s` are
seconds, in `_ms` milliseconds, in `_mib` mebibytes.

On SIGHUP the agent reads the file again; an invalid one is reported, and the old one stays in force."""
_PLAIN: Final[Mapping[object, str]] = {str: "string", bool: "true or false", int: "whole number", float: "number"}
_COLUMNS: Final = 72
_AGENT: Final = """\
The agent holds one persistent search on the LDAP directory. When the links of its server change, it renders the
configuration of services, adds or removes their addresses, starts or stops their units, and reports the result in the
directory. `[guards]` in its configuration limits what it may change.

It runs in the foreground, logs to standard error, and notifies systemd of its readiness, its status and its watchdog.
Stopping, killing, restarting or upgrading it leaves services and addresses as they are: `relocd drain` hands services
over."""
_SIGNALS: Final = {
    "SIGHUP": "Read the configuration again; an invalid one is reported, and the old one stays in force.",
    "SIGTERM, SIGINT": "Exit; services and addresses stay as they are.",
}
_AGENT_EXITS: Final = {
    "0": "after SIGTERM or SIGINT",
    "1": "the agent had to give up",
    "2": "the configuration is invalid",
}
_AGENT_FILES: Final = {
    DEFAULT_CONFIG: "The configuration, see `relocd.toml`(5).",
    PathSettings().template_sets[0]: "Template sets of your own, before those that come with relocd.",
    PathSettings().state: "The ledger of what was done here, and the last known content of the directory.",
    f"{PathSettings().run}/{STATUS_NAME}": "The last status of the agent; `relocd show` reads it.",
    f"{PathSettings().run}/{MODE_NAME}": "The mode that `relocd drain`, `pause` or `resume` set, until a reboot.",
}


def command_page(root: click.Command, shared: Collection[str]) -> Page:
    """The page of all commands; options whose parameter is in `shared` are described once for all."""
    about, *more = cleandoc(root.help or "").split("\n\n")
    page = Page("relocd", 1, about.rstrip("."))
    page.section("SYNOPSIS")
    page.prose("`relocd` COMMAND [OPTION]... [ARGUMENT]...")
    page.section("DESCRIPTION")
    page.prose("\n\n".join(text for text in more if not text.startswith(_EXIT_CODES)) or about)
    page.section("COMMANDS")
    commands = [each for _, each in sorted(getattr(root, "commands", {}).items())]
    for command in commands:
        _describe_command(page, command, shared)
    page.section("OPTIONS FOR THE DIRECTORY")
    page.prose("Every command that reads or writes the directory takes these:")
    for option in _shared(commands, shared):
        page.item(_option_names(option), _option_help(option))
    page.section("EXIT STATUS")
    page.prose("\n\n".join(text.removeprefix(_EXIT_CODES) for text in more if text.startswith(_EXIT_CODES)))
    page.section("FILES")
    for path, text in _COMMAND_FILES.items():
        page.item(bold(path), text)
    page.section("SEE ALSO")
    page.prose("`relocd.toml`(5), `relocd-agent`(8), `relocd-openldap`(8)")
    return page


def _describe_command(page: Page, command: click.Command, shared: Collection[str]) -> None:
    page.subsection(" ".join([bold(f"relocd {command.name}"), *_arguments(command)]))
    page.prose(cleandoc(command.help or ""))
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name not in shared:
            page.item(_option_names(parameter), _option_help(parameter))
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
    first = {
        option.name: option for command in commands for option in command.params if isinstance(option, click.Option)
    }
    return (first[name] for name in shared)


def _option_names(option: click.Option) -> str:
    """All spellings of an option, and what it takes."""
    names = ", ".join(bold(name) for name in (*option.opts, *option.secondary_opts))
    if option.is_flag:
        return names
    kind = option.type
    taken = "|".join(kind.choices) if isinstance(kind, click.Choice) else option.metavar or kind.name.upper()
    return f"{names} {taken}"


def _option_help(option: click.Option) -> str:
    """What an option does, with the facts that click's own help adds in brackets."""
    more = option.get_help_extra(click.Context(click.Command(None)))
    facts = {
        "Variable": ", ".join(bold(name) for name in more.get("envvars", ())),
        "Default": more.get("default"),
        "Range": more.get("range"),
    }
    told = [f"{fact}: {text}." for fact, text in facts.items() if text]
    return " ".join([option.help or "", *told, *(["Required."] if option.required else [])])


def settings_page() -> Page:
    """The whole page."""
    page = Page("relocd.toml", 5, _SETTINGS_ABOUT)
    page.section("DESCRIPTION")
    page.prose(_SETTINGS)
    page.section("TABLES")
    for table in fields(Settings):
        _describe_table(page, getattr(settings, str(table.type).removeprefix("tuple[").removesuffix(", ...]")))
    page.section("EXAMPLE")
    page.verbatim(EXAMPLE)
    page.section("SEE ALSO")
    page.prose("`relocd`(1), `relocd-agent`(8)")
    return page


def _describe_table(page: Page, table: type) -> None:
    title, _, purpose = (table.__doc__ or "").partition(": ")
    page.subsection(title)
    page.prose(purpose[:1].upper() + purpose[1:])
    for meaning, keys in groupby(_keys(table), key=lambda key: key[1]):
        page.item(", ".join(tag for tag, _ in keys), f"{meaning[:1].upper()}{meaning[1:]}.")


def _keys(table: type) -> Iterator[tuple[str, str]]:
    """Each key with its type and default, and its meaning."""
    types = get_type_hints(table, include_extras=True)
    for field in fields(table):
        kind, meaning = get_args(types[field.name])
        if get_origin(kind) is Mapping:
            yield _script_keys(field.name), meaning
        else:
            yield f"{bold(field.name)} ({_type(kind)}; {_default(field)})", meaning


def _script_keys(name: str) -> str:
    """Tables with free names, each of which has these keys."""
    first, *others = (field.name for field in fields(ScriptUnit))
    return ", ".join([bold(f'{name}."NAME".{first}'), *(bold(f".{other}") for other in others)]) + " (lists of strings)"


def _type(kind: object) -> str:
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(f'"{word}"' for word in get_args(kind))
    return "list of strings" if get_origin(kind) is tuple else _PLAIN[kind]


def _default(field: Field[object]) -> str:
    return "required" if field.default is MISSING else f"default {_as_toml(field.default)}"


def _as_toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_as_toml(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def agent_page() -> Page:
    """The page of the agent as a service of the machine."""
    page = Page("relocd-agent", 8, "runs services on this server as its links in the directory say")
    page.section("SYNOPSIS")
    page.prose("`relocd agent` [`--config` FILE]")
    page.section("DESCRIPTION")
    page.prose(_AGENT)
    for title, items in (("SIGNALS", _SIGNALS), ("EXIT STATUS", _AGENT_EXITS), ("FILES", _AGENT_FILES)):
        page.section(title)
        for tag, text in items.items():
            page.item(bold(tag), text)
    page.section("SEE ALSO")
    page.prose("`relocd`(1), `relocd.toml`(5), `relocd-openldap`(8), `systemd.service`(5)")
    return page


def openldap_page() -> Page:
    """The page of `relocd-openldap`, from its docstring and its parser."""
    parser = role_command.parser()
    page = Page("relocd-openldap", 8, "the role of a data suffix of slapd: primary or consumer")
    page.section("SYNOPSIS")
    page.prose("`relocd-openldap` [OPTION]... COMMAND FILE")
    page.section("DESCRIPTION")
    purpose = cleandoc(role_command.__doc__ or "").partition(": ")[2]
    page.prose(purpose[:1].upper() + purpose[1:])
    page.section("OPTIONS")
    page.verbatim(_program_options(parser))
    page.section("EXIT STATUS")
    page.prose("0 done; 1 failed, with the reason on standard error; 2 wrong arguments.")
    page.section("SEE ALSO")
    page.prose("`relocd`(1), `relocd-agent`(8), `slapd-config`(5)")
    return page


def _program_options(parser: ArgumentParser) -> str:
    """The options and arguments from the parser's own help, in a fixed width."""
    parser.formatter_class = partial(HelpFormatter, width=_COLUMNS)
    return parser.format_help().partition("\n\n")[2].partition("\n\n")[2]
