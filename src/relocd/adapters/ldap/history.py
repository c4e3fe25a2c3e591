"""The port `HistoryStore`: records below a service, on a connection of their own that is closed after each.

Its thread and its connection are nobody else's, so a directory that hangs here holds up no handover. Moves are rare: a
connection that is kept would cost the directory more than one that is made again.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import ldap

from relocd.adapters.ldap.connection import ATTRIBUTES, Connection, entry_of
from relocd.adapters.ldap.errors import UNREADABLE, NoSuchObject, outcome_of, translated
from relocd.adapters.ldap.kept_connection import KeptConnection
from relocd.errors import Failed, Unavailable
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Attributes, Entry
from relocd.model.history import HistoryRecord, encoded, is_change_of_holder, new_history, surplus
from relocd.model.settings import DirectorySettings
from relocd.model.status import ServerStatus, is_status, status_of
from relocd.model.writes import Done, Outcome

__all__ = ["LdapHistory"]

_T = TypeVar("_T")
_ANY: Final = "(objectClass=*)"


class LdapHistory:
    """Writes to the server that `current_uri` names, or else to the first one that answers."""

    def __init__(self, settings: DirectorySettings, current_uri: Callable[[], str | None]) -> None:
        self._timeout_s = settings.operation_timeout_s
        self._kept = KeptConnection(settings, current_uri, "ldap-history")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._kept.aclose()

    async def add(self, service: DN, record: HistoryRecord) -> None:
        """Add a record; raises `Unavailable` while it is not known to be written, `Failed` or `Invalid` if refused."""
        await self._kept.run(lambda: self._closing(lambda: self._add(service.below(names.HISTORY_RDN), record)))

    async def status(self, server: DN) -> ServerStatus | None:
        """The status of a server; raises as `add`."""
        found = await self._kept.run(lambda: self._closing(lambda: self._read(server.below(names.STATUS_RDN))))
        return status_of(found) if found is not None and is_status(found) else None

    def _closing(self, act: Callable[[], _T]) -> _T:
        try:
            return act()
        finally:
            self._kept.drop()

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
        outcome = self._outcome(connection, f"{connection.uri}: {doing}", send)
        if not isinstance(outcome, Done):  # read again, then written again: to do it twice does no harm
            raise Unavailable(f"{doing}: {getattr(outcome, 'reason', 'another server was faster')}")

    def _outcome(self, connection: Connection, doing: str, send: Callable[[Any], int]) -> Outcome:
        with translated(doing):
            message = send(connection.handle)
        try:
            connection.handle.result3(message, timeout=self._timeout_s)
        except ldap.NO_SUCH_OBJECT as error:
            raise Failed(f"{doing}: the service is gone") from error
        except (ldap.LDAPError, *UNREADABLE) as error:
            return outcome_of(doing, error)
        return Done()
