"""The port `HistoryStore`: records below a service, on a connection of their own that is closed soon after.

Its thread and its connection are nobody else's, so a directory that hangs here holds up no handover. Many services that
move at once share the connection. Moves are rare: one that is kept for ever would cost the directory more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

import ldap

from relocd.adapters.ldap.connection import ATTRIBUTES, entry_of
from relocd.adapters.ldap.errors import NoSuchObject
from relocd.adapters.ldap.kept_connection import KeptConnection, OnKeptConnection
from relocd.errors import Failed, Unavailable
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Attributes, Entry
from relocd.model.history import HistoryRecord, encoded, is_change_of_holder, new_history, surplus
from relocd.model.settings import DirectorySettings
from relocd.model.status import ServerStatus, is_status, status_of
from relocd.model.writes import Conflict, Done, Lost

__all__ = ["LdapHistory"]

_T = TypeVar("_T")
_ANY: Final = "(objectClass=*)"
_IDLE_S: Final = 2.0


class LdapHistory(OnKeptConnection):
    """Writes to the server that `current_uri` names, or else to the first one that answers."""

    def __init__(self, settings: DirectorySettings, current_uri: Callable[[], str | None]) -> None:
        super().__init__(KeptConnection(settings, current_uri, "ldap-history"))
        self._timeout_s = settings.operation_timeout_s
        self._closing: asyncio.TimerHandle | None = None

    async def aclose(self) -> None:
        """Close the connection once the present operation has ended; do not wait for that."""
        self._stay()
        await super().aclose()

    async def add(self, service: DN, record: HistoryRecord) -> None:
        """Add a record; raises `Unavailable` while it is not known to be written, `Failed` or `Invalid` if refused."""
        await self._run(lambda: self._add(service.below(names.HISTORY_RDN), record))

    async def status(self, server: DN) -> ServerStatus | None:
        """The status of a server; raises as `add`."""
        found = await self._run(lambda: self._read(server.below(names.STATUS_RDN)))
        return status_of(found) if found is not None and is_status(found) else None

    async def _run(self, act: Callable[[], _T]) -> _T:
        """Act in the thread, and close the connection once nothing has been done for a moment."""
        self._stay()
        try:
            return await self._kept.run(lambda: self._dropping_after_errors(act))
        finally:
            self._closing = asyncio.get_running_loop().call_later(_IDLE_S, self._kept.drop_soon)

    def _stay(self) -> None:
        if self._closing is not None:
            self._closing.cancel()

    def _dropping_after_errors(self, act: Callable[[], _T]) -> _T:
        try:
            return act()
        except BaseException:
            self._kept.drop()
            raise

    def _read(self, dn: DN) -> Entry | None:
        try:
            found = self._kept.get().search(dn.text, ldap.SCOPE_BASE, _ANY, ATTRIBUTES)
        except NoSuchObject:
            return None
        return entry_of(*found[0]) if found else None

    def _add(self, dn: DN, record: HistoryRecord) -> None:
        value, there = encoded(record).encode(), self._read(dn)
        last = {names.LAST_CHANGE: (value,)} if is_change_of_holder(record) else {}
        if there is None:
            self._create(dn, new_history({names.HISTORY_RECORD: (value,), **last}))
            return
        records = there.attributes.get(names.HISTORY_RECORD.lower(), ())
        if value in records:
            return
        changes: list[tuple[int, str, list[bytes]]] = [(ldap.MOD_ADD, names.HISTORY_RECORD, [value])]
        if old := surplus(records):
            changes.append((ldap.MOD_DELETE, names.HISTORY_RECORD, list(old)))
        changes += [(ldap.MOD_REPLACE, name, list(values)) for name, values in last.items()]
        self._send(f"modify {dn}", lambda handle: handle.modify_ext(dn.text, changes))

    def _create(self, dn: DN, attributes: Attributes) -> None:
        content = [(name, list(values)) for name, values in attributes.items()]
        self._send(f"create {dn}", lambda handle: handle.add_ext(dn.text, content))

    def _send(self, doing: str, send: Callable[[Any], int]) -> None:
        connection = self._kept.get()
        outcome = connection.write(doing, send)
        if isinstance(outcome, Lost) and outcome.conflict is Conflict.NO_SUCH_OBJECT:
            raise Failed(f"{connection.uri}: {doing}: the service is gone")
        if not isinstance(outcome, Done):  # read again, then written again: to do it twice does no harm
            raise Unavailable(f"{doing}: {getattr(outcome, 'reason', 'another server was faster')}")
