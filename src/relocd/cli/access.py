"""How a command reaches the directory, and the names that it takes: options and arguments, declared once.

A command that is decorated by `with_access` gets the options as one value `access`. A shell completes `service`,
`server` and `cluster` by the `cn` of each entry in the directory that the line names so far, or the environment. While
it completes, every error means no names and no message. A name that a shell would not take as one plain word is left
out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from relocd.cli.options import DAY_S, PATH, bundled, flag, option
from relocd.errors import Invalid, RelocdError
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.settings import DEFAULT_CONFIG
from relocd.model.uri import DirectoryUri
from relocd.operator.access import Access, with_agent_access
from relocd.operator.directory import equals, on_directory

__all__ = [
    "OPTIONS",
    "access_so_far",
    "dn_given",
    "cluster",
    "server",
    "servers",
    "service",
    "services_and_servers",
    "with_access",
    "with_given_access",
]

_T = TypeVar("_T")

_PATIENCE_S: Final = 10
_COMPLETION_PATIENCE_S: Final = 1
_PLAIN: Final = re.compile(r"\w[\w.-]*")

_OPTIONS: Final = (
    option(
        "--uri",
        multiple=True,
        envvar="RELOCD_URI",
        help="Use this directory: ldap://, ldaps:// or ldapi://. Repeat it to name several; they are tried in order.",
    ),
    option("--base", default="", envvar="RELOCD_BASE", help="Search for relocd's entries below this DN."),
    option("--bind-dn", default="", envvar="RELOCD_BIND_DN", help="Bind as this entry."),
    option(
        "--password-file",
        type=PATH,
        envvar="RELOCD_PASSWORD_FILE",
        help="Read the bind password from the first line of this file.",
    ),
    flag("--external", envvar="RELOCD_EXTERNAL", help="Bind by SASL EXTERNAL (ldapi)."),
    flag("--starttls", envvar="RELOCD_STARTTLS", help="Protect ldap:// by StartTLS."),
    option("--ca-file", type=PATH, envvar="RELOCD_CA_FILE", help="Trust the CA certificates in this file."),
    option(
        "--patience",
        "patience_s",
        type=click.IntRange(1, DAY_S),
        metavar="SECONDS",
        default=_PATIENCE_S,
        envvar="RELOCD_PATIENCE",
        help="Wait at most this long for each step with one directory.",
    ),
)


def _access(
    uri: tuple[str, ...] | None,
    base: str | None,
    bind_dn: str | None,
    password_file: Path | None,
    external: bool | None,
    starttls: bool | None,
    ca_file: Path | None,
    patience_s: int | None,
) -> Access:
    """The access that the options name; each may be missing in a line that is not complete yet."""
    for each in uri or ():
        _named("--uri or RELOCD_URI", each, DirectoryUri.parse)
    return Access(
        uris=tuple(uri or ()),
        base=dn_given("--base or RELOCD_BASE", base),
        bind_dn=dn_given("--bind-dn or RELOCD_BIND_DN", bind_dn),
        password_file=password_file,
        external=bool(external),
        starttls=bool(starttls),
        ca_file=ca_file,
        timeout_s=patience_s or _PATIENCE_S,
    )


def dn_given(option: str, text: str | None) -> str:
    """The DN that an option gave, written as a directory is sent it; empty where none is given. Raises `Invalid`."""
    if not text:
        return ""
    found = _named(option, text, DN.parse)
    if not found.key:
        raise Invalid(f"{option} {text!r} is empty; write a name such as ou=relocd,dc=example,dc=org")
    return found.written


def _named(option: str, text: str, parse: Callable[[str], _T]) -> _T:
    try:
        return parse(text)
    except Invalid as error:
        raise Invalid(f"{option}: {error}") from error


OPTIONS: Final = tuple(signature(_access).parameters)
"""The parameters of the options, in their order."""

with_given_access: Final = bundled("access", _access, _OPTIONS)
"""Adds the options; the command decides what happens where no directory is named."""


def with_access(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; where they and the environment name no directory, use that of the agent's configuration here."""

    @wraps(command)
    def reaching(access: Access, **given: Any) -> Any:
        return command(access=with_agent_access(access, _configuration()), **given)

    return with_given_access(reaching)


def access_so_far(given: Mapping[str, Any], patience_s: int) -> Access:
    """The access of an incomplete line; `given` has what click has read from its options and the environment."""
    access = _access(**{name: given.get(name) for name in OPTIONS})
    return replace(with_agent_access(access, _configuration()), timeout_s=patience_s)


def _configuration() -> Path:
    return Path(os.environ.get("RELOCD_CONFIG") or DEFAULT_CONFIG)


def servers(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names of servers that begin with `incomplete`."""
    return _names(context, names.SERVER_CLASS, incomplete)


def _services(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    return _names(context, names.SERVICE_CLASS, incomplete)


def services_and_servers(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names of services and servers that begin with `incomplete`."""
    return sorted({*_services(context, parameter, incomplete), *servers(context, parameter, incomplete)})


def _clusters(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    return _names(context, names.CLUSTER_CLASS, incomplete)


def _names(context: click.Context, kind: str, incomplete: str) -> list[str]:
    try:
        access = access_so_far(context.params, _COMPLETION_PATIENCE_S)
        entries = on_directory(access, lambda directory: directory.entries(equals("objectClass", kind), ("cn",)))
    except RelocdError:
        return []
    names = {value.decode(errors="replace") for entry in entries for value in entry.attributes.get("cn", ())}
    return sorted(name for name in names if name.startswith(incomplete) and _PLAIN.fullmatch(name))


service: Final = click.argument("service", shell_complete=_services, help="The service's cn, or its DN.")
server: Final = click.argument("server", shell_complete=servers, help="The server's cn, or its DN.")
cluster: Final = click.argument("cluster", shell_complete=_clusters, help="The cluster's cn, or its DN.")
