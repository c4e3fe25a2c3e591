"""Following a few entries of the directory by name: by push where the directory offers it, else by polling.

The push is a persistent search (RFC 4533, refreshAndPersist) on the session's own connection: slapd sends each change
as it happens. It needs the overlay syncprov, and the right to search for `entryDN` (RFC 5020). Where either is missing
the entries are read at most five times a second.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import ldap3
from ldap3.core import exceptions
from ldap3.operation.search import search_operation
from ldap3.utils.asn1 import decode_message_fast

from relocd.model.dn import DN
from relocd.model.entries import Entry, EntryUUID
from relocd.openldap.ldap3_errors import Refused, TryElsewhere
from relocd.operator.directory import Directory, Item, entry_of, equals, translated
from relocd.sync.messages import (
    SYNC_INFO,
    SYNC_REQUEST,
    SYNC_STATE,
    EntryState,
    IdSet,
    PhaseEnd,
    sync_info,
    sync_request,
    sync_state,
)

__all__ = ["PERIOD_S", "Entries", "followed"]

Entries = Mapping[str, Entry]
"""The entries that there are, by name (`DN.key`)."""

PERIOD_S: Final = 0.2
"""How often the entries are read where the directory does not push, and yielded in any case: time passes for them."""

_ANY: Final = "(objectClass=*)"
_ATTRIBUTES: Final = ["*", "entryUUID", "entryCSN"]
_NOTICE: Final = 0
"""The message ID of an unsolicited notification: the server ends the connection (RFC 4511, section 4.4)."""


def followed(directory: Directory, names: Iterable[DN], server: DN) -> Iterator[Entries]:
    """The entries of these names at once, after each change, and at least every `PERIOD_S`; it never ends.

    `server` is one of them, known to exist: a directory that does not find it by `entryDN` is polled instead.
    After the first value the connection is used for nothing else. Raises `Unavailable` when the directory stops
    answering.
    """
    wanted = tuple(names)
    filter_ = f"(|{''.join(equals('entryDN', dn.written) for dn in wanted)})"
    yield from _pushed(directory, filter_) if _pushes(directory, filter_, server) else _polled(directory, wanted)


def _polled(directory: Directory, names: Iterable[DN]) -> Iterator[Entries]:
    while True:
        began = time.monotonic()
        found = ((dn.key, directory.named(dn, _ANY)) for dn in names)
        yield {key: entry for key, entry in found if entry is not None}
        time.sleep(max(0.0, began + PERIOD_S - time.monotonic()))


def _pushes(directory: Directory, filter_: str, server: DN) -> bool:
    """Whether the directory supports such a search and finds the server by it."""
    try:
        found = directory.search(
            directory.base.written, filter_, ("1.1",), dereference_aliases=ldap3.DEREF_NEVER, controls=_control(False)
        )
    except (Refused, TryElsewhere):
        return False
    return server in {DN.parse(each["dn"]) for each in found}


def _pushed(directory: Directory, filter_: str) -> Iterator[Entries]:
    with translated(directory.uri):
        search = _PersistentSearch(directory.connection, directory.base, filter_)
    while True:
        with translated(directory.uri):
            entries = search.news(PERIOD_S)
        if entries is not None:
            yield entries


def _control(persist: bool) -> list[tuple[str, bool, bytes]]:
    return [(SYNC_REQUEST, True, sync_request("", persist=persist))]


class _PersistentSearch:
    """A persistent search without a cookie: its refresh sends every entry, and then each change follows.

    ldap3's synchronous strategy waits for the end of each operation, so the messages are read here.
    """

    def __init__(self, connection: ldap3.Connection, base: DN, filter_: str) -> None:
        self._connection = connection
        self._entries: dict[EntryUUID, Entry] = {}
        self._is_complete = False
        self._heard_at = time.monotonic()
        self._asked = False
        self._id = self._send(base.written, filter_, ldap3.SUBTREE, _ATTRIBUTES, _control(persist=True))

    def news(self, timeout_s: float) -> Entries | None:
        """The entries after the next messages, or as they are when the time is over; None during the refresh."""
        if _is_readable(self._connection.socket, timeout_s):
            messages = self._connection.strategy.receiving()
            if not messages:
                raise exceptions.LDAPSessionTerminatedByServerError("the server closed the connection")
            self._heard_at, self._asked = time.monotonic(), False
            for each in messages:
                self._take(decode_message_fast(each))
        elif time.monotonic() > self._heard_at + self._connection.receive_timeout / 2:
            self._ask()
        return {entry.dn.key: entry for entry in self._entries.values()} if self._is_complete else None

    def _ask(self) -> None:
        """Check that the server still answers: one that hangs is as silent as one without changes."""
        if self._asked:
            raise exceptions.LDAPResponseTimeoutError(f"nothing came in {self._connection.receive_timeout} s")
        self._send("", _ANY, ldap3.BASE, ["1.1"], None)
        self._heard_at, self._asked = time.monotonic(), True

    def _send(self, base: str, filter_: str, scope: str, attributes: list[str], controls: Any) -> int:
        """The message ID of a search for all that matches; slapd's syncprov takes none that follows aliases."""
        size_limit, time_limit, types_only = 0, 0, False
        request = search_operation(
            base, filter_, scope, ldap3.DEREF_NEVER, attributes, size_limit, time_limit, types_only, True, False
        )
        return int(self._connection.send("searchRequest", request, controls))

    def _take(self, message: dict[str, Any]) -> None:
        if message["messageID"] == _NOTICE:
            raise exceptions.LDAPSessionTerminatedByServerError("the server ends the connection")
        if message["messageID"] != self._id:
            return
        found: Item = self._connection.strategy.decode_response_fast(message)
        match found["type"]:
            case "searchResEntry":
                self._take_entry(found)
            case "intermediateResponse" if found["responseName"] == SYNC_INFO:
                self._take_info(found["responseValue"])
            case "searchResDone":
                why = f"the server ended the search: {found['description']} {found['message']}".rstrip()
                raise exceptions.LDAPSessionTerminatedByServerError(why)

    def _take_entry(self, found: Item) -> None:
        control = sync_state(found["controls"][SYNC_STATE]["value"])
        if control.state is EntryState.DELETE:
            self._entries.pop(control.uuid, None)
        else:
            self._entries[control.uuid] = entry_of(found)

    def _take_info(self, value: bytes) -> None:
        info = sync_info(value)
        if isinstance(info, IdSet) and info.deletes:
            for uuid in info.uuids:
                self._entries.pop(uuid, None)
        elif isinstance(info, PhaseEnd) and info.refresh_done:
            self._is_complete = True


def _is_readable(socket: Any, timeout_s: float) -> bool:
    """Whether there is something to read, on the socket or in TLS's buffer; waits at most `timeout_s`."""
    if getattr(socket, "pending", lambda: 0)():
        return True
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))
