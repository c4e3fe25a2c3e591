"""The arguments that name an entry, and the names that a shell completes there: each entry's `cn` in the directory.

The directory is the one of the options typed so far and of the environment. Whatever is wrong with it there are no
names and no message: somebody is waiting in the middle of a line. What comes from the directory stands in that line as
it is, so a name that a shell would not take as one plain word is left out.
"""

from __future__ import annotations

import re
from typing import Final

import click

from relocd.cli.access import access_so_far
from relocd.errors import RelocdError
from relocd.model import names
from relocd.operator.directory import equals, on_directory

__all__ = ["cluster", "server", "servers", "service"]

_PATIENCE_S: Final = 1
_PLAIN: Final = re.compile(r"\w[\w.-]*")


def servers(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The servers whose names begin so."""
    return _names(context, names.SERVER_CLASS, incomplete)


def _services(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    return _names(context, names.SERVICE_CLASS, incomplete)


def _clusters(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    return _names(context, names.CLUSTER_CLASS, incomplete)


def _names(context: click.Context, kind: str, incomplete: str) -> list[str]:
    try:
        access = access_so_far(context.params, _PATIENCE_S)
        entries = on_directory(access, lambda directory: directory.entries(equals("objectClass", kind), ("cn",)))
    except RelocdError:
        return []
    names = {value.decode(errors="replace") for entry in entries for value in entry.attributes.get("cn", ())}
    return sorted(name for name in names if name.startswith(incomplete) and _PLAIN.fullmatch(name))


service: Final = click.argument("service", shell_complete=_services, help="The service's cn, or its DN.")
server: Final = click.argument("server", shell_complete=servers, help="The server's cn, or its DN.")
cluster: Final = click.argument("cluster", shell_complete=_clusters, help="The cluster's cn, or its DN.")
