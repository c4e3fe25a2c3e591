"""The options that say how to reach the directory, written once for every command that needs them.

A command takes a parameter `access` and is decorated; in its place typer sees the parameters of `_access`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from inspect import Parameter, signature
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import click
import typer

from relocd.errors import Invalid
from relocd.model.dn import DN
from relocd.model.settings import DEFAULT_CONFIG
from relocd.model.uri import DirectoryUri
from relocd.operator.access import Access
from relocd.operator.agent_access import with_agents_way

__all__ = ["OPTIONS", "PATH", "Seconds", "access_so_far", "dn_given", "with_access", "with_given_access"]

_T = TypeVar("_T")


_DAY_S: Final = 86400


class Seconds(click.FloatRange):
    """A time that passes: a number from a least one to a day."""

    name = "seconds"

    def __init__(self, least: float = 0.0) -> None:
        super().__init__(min=least, max=_DAY_S)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; fails for one that no clock reaches, as the range does not."""
        seconds = float(super().convert(value, param, ctx))
        if not isfinite(seconds):
            self.fail(f"{value} is not a number of seconds", param, ctx)
        return seconds


PATH: Final = click.Path(path_type=Path, readable=False)
"""A file or a folder that a shell completes; typer's own type completes nothing. Who reads it says what is wrong."""

_NAME = "access"


def _access(
    uri: Annotated[
        list[str] | None,
        typer.Option(envvar="RELOCD_URI", help="A directory: ldap://, ldaps:// or ldapi://. Repeated: tried in order."),
    ] = None,
    base: Annotated[str, typer.Option(envvar="RELOCD_BASE", help="Where relocd's entries begin.")] = "",
    bind_dn: Annotated[str, typer.Option(envvar="RELOCD_BIND_DN", help="Bind as this entry.")] = "",
    password_file: Annotated[
        Path | None, typer.Option(envvar="RELOCD_PASSWORD_FILE", click_type=PATH, help="Its password.")
    ] = None,
    external: Annotated[
        bool, typer.Option("--external", envvar="RELOCD_EXTERNAL", help="Bind by SASL EXTERNAL (ldapi).")
    ] = False,
    starttls: Annotated[
        bool, typer.Option("--starttls", envvar="RELOCD_STARTTLS", help="Protect ldap:// by StartTLS.")
    ] = False,
    ca_file: Annotated[
        Path | None, typer.Option(envvar="RELOCD_CA_FILE", click_type=PATH, help="Trust this CA.")
    ] = None,
    patience_s: Annotated[
        int,
        typer.Option(
            "--patience", envvar="RELOCD_PATIENCE", min=1, max=_DAY_S, help="Seconds for each step with a directory."
        ),
    ] = 10,
) -> Access:
    for each in uri or ():
        _named("--uri or RELOCD_URI", each, DirectoryUri.parse)
    base, bind_dn = dn_given("--base or RELOCD_BASE", base), dn_given("--bind-dn or RELOCD_BIND_DN", bind_dn)
    return Access(tuple(uri or ()), base, bind_dn, password_file, external, starttls, ca_file, patience_s)


def dn_given(option: str, text: str) -> str:
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


def with_access(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of the access instead of its parameter `access`.

    Where they and the environment name no directory it is that of the agent's configuration on this machine.
    """

    @wraps(command)
    def reaching(access: Access, **given: Any) -> None:
        command(access=with_agents_way(access, _configuration()), **given)

    return with_given_access(reaching)


def _configuration() -> Path:
    return Path(os.environ.get("RELOCD_CONFIG") or DEFAULT_CONFIG)


def with_given_access(command: Callable[..., None]) -> Callable[..., None]:
    """The same, but it is left to the command what happens where no directory is named."""
    own = signature(command, eval_str=True).parameters
    options = signature(_access, eval_str=True).parameters

    @wraps(command)
    def filled(**given: Any) -> None:
        access = _access(**{name: given.pop(name) for name in options})
        command(**given, access=access)

    seen = [each for name, each in own.items() if name != _NAME]
    parameters = [*_required(seen), *options.values(), *(each for each in seen if each.default is not Parameter.empty)]
    filled.__signature__ = signature(command).replace(parameters=parameters)  # type: ignore[attr-defined]
    return filled


def access_so_far(given: Mapping[str, Any], patience_s: int) -> Access:
    """The access of a line that is not complete yet: `given` has what click made of its options and the environment."""
    values: dict[str, Any] = {name: given.get(name) for name in OPTIONS}
    return replace(with_agents_way(_access(**values), _configuration()), timeout_s=patience_s)


def _required(parameters: list[Parameter]) -> list[Parameter]:
    return [each for each in parameters if each.default is Parameter.empty]
