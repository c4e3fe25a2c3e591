"""The port `DirectoryReader`: direct reads on a connection of their own, in a thread of their own.

A service may be stopped because of such a read, so only a positive answer counts. None means that the server reports no
such entry *and* returns the base entry: a server that is empty or not yet loaded has no base entry, and would report
every entry as missing. Everything else is `Unavailable`.

One case no client can detect: to an identity without the right to *disclose* an entry (slapd.access(5)) slapd reports
that there is none. The access rules must let the agent read all of relocd's entries but their secrets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import UUID

import ldap
from ldap.filter import escape_filter_chars

from relocd.adapters.ldap.connection import ATTRIBUTES, Connection, Found, entry_of
from relocd.adapters.ldap.errors import NoSuchObject
from relocd.adapters.ldap.kept_connection import KeptConnection, OnKeptConnection
from relocd.errors import RelocdError, Unavailable
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Entry, EntryUUID
from relocd.model.settings import DirectorySettings

__all__ = ["LdapReader"]

_T = TypeVar("_T")

_ANY: Final = "(objectClass=*)"


@dataclass(frozen=True, slots=True)
class _ReadRequest:
    """A search for one entry, and the filter that must find the base entry before a "no such entry" counts."""

    base: str
    scope: int
    filter: str
    proof: str


class LdapReader(OnKeptConnection):
    """Reads from the server that `current_uri` names, or else from the first one that answers.

    `begin` is called first in its thread.
    """

    def __init__(
        self, settings: DirectorySettings, current_uri: Callable[[], str | None], begin: Callable[[], object] = bool
    ) -> None:
        self._base = settings.base
        super().__init__(KeptConnection(settings, current_uri, "ldap-reader", begin))

    async def by_dn(self, dn: DN) -> Entry | None:
        """The entry of that DN, or None when the directory reports that there is none."""
        return await self._answer(_ReadRequest(dn.text, ldap.SCOPE_BASE, _ANY, _ANY))

    async def by_uuid(self, uuid: EntryUUID) -> Entry | None:
        """The entry of that identity below the base, or None when the directory reports that there is none."""
        request = _ReadRequest(self._base, ldap.SCOPE_SUBTREE, f"(entryUUID={UUID(uuid)})", proof="(entryUUID=*)")
        return await self._answer(request)

    async def linking_to(self, service: DN) -> tuple[Entry, ...]:
        """Every server and cluster below the base with a direct link to that DN; raises `Unavailable`."""
        filter_ = f"({names.SERVICE_LINK}={escape_filter_chars(service.text)})"
        return await self._kept.run(lambda: self._asked(lambda connection: self._linking(connection, filter_)))

    async def _answer(self, request: _ReadRequest) -> Entry | None:
        return await self._kept.run(lambda: self._asked(lambda connection: self._entry(connection, request)))

    def _asked(self, ask: Callable[[Connection], _T]) -> _T:
        """Read, and once more on a new connection where the kept one turns out to be dead."""
        kept = self._kept.is_open
        try:
            return self._ask(ask)
        except Unavailable:
            if not kept:
                raise
            return self._ask(ask)

    def _ask(self, ask: Callable[[Connection], _T]) -> _T:
        try:
            return ask(self._kept.get())
        except RelocdError as error:
            self._kept.drop()
            raise Unavailable(str(error)) from error

    def _linking(self, connection: Connection, filter_: str) -> tuple[Entry, ...]:
        found = connection.search(self._base, ldap.SCOPE_SUBTREE, filter_, ATTRIBUTES)
        if not found:
            self._prove(connection, _ANY)
        return tuple(entry_of(*each) for each in found)

    def _entry(self, connection: Connection, request: _ReadRequest) -> Entry | None:
        found = self._found(connection, request)
        if found is None:
            self._prove(connection, request.proof)
        return None if found is None else entry_of(*found)

    def _found(self, connection: Connection, request: _ReadRequest) -> Found | None:
        try:
            found = connection.search(request.base, request.scope, request.filter, ATTRIBUTES)
        except NoSuchObject:
            return None
        if not found and request.scope == ldap.SCOPE_BASE:
            raise Unavailable(f"{connection.uri}: {request.base} exists, but this identity may not read it")
        return found[0] if found else None

    def _prove(self, connection: Connection, proof: str) -> None:
        """Raise `Unavailable` unless the server returns the base entry."""
        base = self._base
        try:
            shown = connection.search(base, ldap.SCOPE_BASE, proof, ["1.1"])
        except NoSuchObject as error:
            raise Unavailable(
                f"{connection.uri}: the directory has no entry {base}: it is empty or not yet loaded"
            ) from error
        if not shown:
            raise Unavailable(f"{connection.uri}: this identity must be allowed to search {base} for {proof}")
