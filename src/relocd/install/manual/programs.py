"""relocd-agent(8) and relocd-openldap(8): programs that systemd and the agent run on a server."""

from __future__ import annotations

from argparse import ArgumentParser, HelpFormatter
from functools import partial
from inspect import cleandoc
from typing import Final

from relocd.install.manual.roff import Page, bold
from relocd.model.settings import DEFAULT_CONFIG, MODE_NAME, STATUS_NAME, PathSettings
from relocd.openldap import role_command

__all__ = ["agent_page", "openldap_page"]

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
_EXITS: Final = {"0": "after SIGTERM or SIGINT", "1": "the agent had to give up", "2": "the configuration is invalid"}
_FILES: Final = {
    DEFAULT_CONFIG: "The configuration, see `relocd.toml`(5).",
    PathSettings().template_sets[0]: "Template sets of your own, before those that come with relocd.",
    PathSettings().state: "The ledger of what was done here, and the last known content of the directory.",
    f"{PathSettings().run}/{STATUS_NAME}": "The last status of the agent; `relocd show` reads it.",
    f"{PathSettings().run}/{MODE_NAME}": "The mode that `relocd drain`, `pause` or `resume` set, until a reboot.",
}


def agent_page() -> Page:
    """The page of the agent as a service of the machine."""
    page = Page("relocd-agent", 8, "runs services on this server as its links in the directory say")
    page.section("SYNOPSIS")
    page.prose("`relocd agent` [`--config` FILE]")
    page.section("DESCRIPTION")
    page.prose(_AGENT)
    for title, items in (("SIGNALS", _SIGNALS), ("EXIT STATUS", _EXITS), ("FILES", _FILES)):
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
    page.verbatim(_options(parser))
    page.section("EXIT STATUS")
    page.prose("0 done; 1 failed, with the reason on standard error; 2 wrong arguments.")
    page.section("SEE ALSO")
    page.prose("`relocd`(1), `relocd-agent`(8), `slapd-config`(5)")
    return page


def _options(parser: ArgumentParser) -> str:
    """The options and arguments from the parser's own help, in a fixed width."""
    parser.formatter_class = partial(HelpFormatter, width=_COLUMNS)
    return parser.format_help().partition("\n\n")[2].partition("\n\n")[2]
