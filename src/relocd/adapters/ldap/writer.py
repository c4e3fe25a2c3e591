"""The port `DirectoryWriter`: writes on a connection of their own, in a thread of their own.

A write is sent once. An error before its request is sent means that nothing is written: a server acts only on a
complete request. After that only the server's answer counts, and without one the outcome is unknown. A write is never
repeated here: it may have been carried out, and another server may have acted on it.

Between writes the connection is idle, and the server may have closed it. A write into a closed connection could not be
distinguished from one that was carried out. So the connection is checked first and replaced if necessary.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import ldap
from ldap.controls import RequestControl
from ldap.controls.libldap import AssertionControl

from relocd.adapters.ldap.connection import Connection
from relocd.adapters.ldap.errors import translated
from relocd.adapters.ldap.kept_connection import KeptConnection, OnKeptConnection
from relocd.errors import Invalid
from relocd.model.dn import DN
from relocd.model.entries import Attributes
from relocd.model.settings import DirectorySettings
from relocd.model.writes import Add, Change, Delete, Increment, Modification, Outcome, Replace, Unknown

__all__ = ["LdapWriter"]

_CODES: Final = {Add: ldap.MOD_ADD, Delete: ldap.MOD_DELETE, Replace: ldap.MOD_REPLACE}


@dataclass(frozen=True, slots=True)
class _Request:
    """A request: `send` sends it on python-ldap's handle and returns the message ID."""

    doing: str
    send: Callable[[Any], int]


class LdapWriter(OnKeptConnection):
    """Writes to the server that `current_uri` names, or else to the first one that answers.

    `begin` is called first in its thread.
    """

    def __init__(
        self, settings: DirectorySettings, current_uri: Callable[[], str | None], begin: Callable[[], object] = bool
    ) -> None:
        self._timeout_s = settings.operation_timeout_s
        self._base = settings.base
        super().__init__(KeptConnection(settings, current_uri, "ldap-writer", begin))

    async def apply(self, write: Modification) -> Outcome:
        """Make all changes, or none; raises `Invalid` for an assertion that is not a filter."""
        changes, controls = [_change(each) for each in write.changes], _controls(write.assertion)
        return await self._write(
            _Request(str(write), lambda handle: handle.modify_ext(write.dn.text, changes, controls))
        )

    async def create(self, dn: DN, attributes: Attributes) -> Outcome:
        """Add an entry; `Exists` when there is one of that DN, `Lost` when there is none above it."""
        content = [(name, list(values)) for name, values in attributes.items()]
        return await self._write(_Request(f"create {dn}", lambda handle: handle.add_ext(dn.text, content)))

    async def reach(self) -> None:
        """Return once the server has returned the base entry on this connection; raises `Unavailable` or `Failed`."""
        await self._kept.run(self._reached)

    def _reached(self) -> None:
        connection = self._living()
        try:
            with translated(f"{connection.uri}: read {self._base} before releasing"):
                message = connection.handle.search_ext(self._base, ldap.SCOPE_BASE, "(objectClass=*)", ["1.1"])
                connection.handle.result3(message, timeout=self._timeout_s)
        except BaseException:
            self._kept.drop()
            raise

    async def _write(self, request: _Request) -> Outcome:
        return await self._kept.run(lambda: self._written(request))

    def _written(self, request: _Request) -> Outcome:
        try:
            outcome = self._living().write(request.doing, request.send)
        except BaseException:
            self._kept.drop()
            raise
        if isinstance(outcome, Unknown):
            self._kept.drop()
        return outcome

    def _living(self) -> Connection:
        connection = self._kept.get()
        if _has_ended(connection):
            self._kept.drop()
            connection = self._kept.get()
        return connection


def _has_ended(connection: Connection) -> bool:
    """Whether unrequested data has come: the end of the connection, or its notice (RFC 4511, section 4.4.1)."""
    idle = select.poll()
    idle.register(connection.handle.fileno(), select.POLLIN)
    return bool(idle.poll(0))


def _change(change: Change) -> tuple[int, str, list[bytes] | None]:
    """The change as python-ldap takes it; there None means no values."""
    if isinstance(change, Increment):
        return ldap.MOD_INCREMENT, change.attribute, [str(change.by).encode()]
    return _CODES[type(change)], change.attribute, list(change.values) or None


def _controls(assertion: str | None) -> list[RequestControl]:
    """The assertion control (RFC 4528), critical: a server without it must not write. Encoded before sending."""
    if assertion is None:
        return []
    try:
        value = AssertionControl(True, assertion).encodeControlValue()
    except ldap.LDAPError as error:
        raise Invalid(f"the assertion {assertion!r} is not an LDAP filter (RFC 4515)") from error
    return [RequestControl(ldap.CONTROL_ASSERT, True, value)]
