"""relocd-agent(8) and relocd-openldap(8): programs that run on a server, not by a person's hand."""

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
configuration of services, raises or drops their addresses, starts or stops their units, and says in the directory what
it did. What it may touch is limited by `[guards]` in its configuration.

It runs in the foreground, logs to standard error, and tells systemd that it is ready, how it stands, and that its loop
turns. Stopping, killing, restarting or upgrading it changes nothing on the wire: `relocd drain` gives services away."""
_SIGNALS: Final = {
    "SIGHUP": "Read the configuration again; one that is wrong is reported, and the old one stays in force.",
    "SIGTERM, SIGINT": "End; everything stays as it is.",
}
_EXITS: Final = {"0": "after SIGTERM or SIGINT", "1": "it could not go on", "2": "the configuration is wrong"}
_FILES: Final = {
    DEFAULT_CONFIG: "The configuration, see `relocd.toml`(5).",
    PathSettings().template_sets[0]: "Template sets of your own, before those that come with relocd.",
    PathSettings().state: "The ledger of what was done here, and what was last known of the directory.",
    f"{PathSettings().run}/{STATUS_NAME}": "What the agent last said of itself; `relocd show` reads it.",
    f"{PathSettings().run}/{MODE_NAME}": "What `relocd drain`, `pause` and `resume` told it; gone after a boot.",
}


def agent_page() -> Page:
    """The page of the agent as a service of the machine."""
    page = Page("relocd-agent", 8, "keeps this server as its links in the directory wish it")
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
    page.prose("0 it is done, 1 it is not, and a line on standard error says why; 2 wrong arguments.")
    page.section("SEE ALSO")
    page.prose("`relocd`(1), `relocd-agent`(8), `slapd-config`(5)")
    return page


def _options(parser: ArgumentParser) -> str:
    """The part of the parser's own help that tells options and arguments, as wide as any terminal."""
    parser.formatter_class = partial(HelpFormatter, width=_COLUMNS)
    return parser.format_help().partition("\n\n")[2].partition("\n\n")[2]
