"""The options that say how to reach the directory, declared once; a command that is decorated gets them as `access`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from relocd.cli.options import DAY_S, PATH, bundled, flag, option
from relocd.errors import Invalid
from relocd.model.dn import DN
from relocd.model.settings import DEFAULT_CONFIG
from relocd.model.uri import DirectoryUri
from relocd.operator.access import Access
from relocd.operator.agent_access import with_agent_access

__all__ = ["OPTIONS", "access_so_far", "dn_given", "with_access", "with_given_access"]

_T = TypeVar("_T")

_PATIENCE_S: Final = 10

_OPTIONS: Final = (
    option(
        "--uri",
        multiple=True,
        envvar="RELOCD_URI",
        help="Use this directory: ldap://, ldaps:// or ldapi://. Repeat it to name several; they are tried in order.",
    ),
    option("--base", default="", envvar="RELOCD_BASE", help="Find relocd's entries below this DN."),
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
    """What the options say; each may be missing in a line that is not complete yet."""
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
    """A name that an option gave as a directory is sent it, empty where none is given; raises `Invalid`."""
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
"""The command with the options of the access; it decides itself what happens where no directory is named."""


def with_access(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with the options of the access.

    Where they and the environment name no directory it is that of the agent's configuration on this machine.
    """

    @wraps(command)
    def reaching(access: Access, **given: Any) -> Any:
        return command(access=with_agent_access(access, _configuration()), **given)

    return with_given_access(reaching)


def access_so_far(given: Mapping[str, Any], patience_s: int) -> Access:
    """The access of a line that is not complete yet: `given` has what click made of its options and the environment."""
    access = _access(**{name: given.get(name) for name in OPTIONS})
    return replace(with_agent_access(access, _configuration()), timeout_s=patience_s)


def _configuration() -> Path:
    return Path(os.environ.get("RELOCD_CONFIG") or DEFAULT_CONFIG)
