"""One persistent search on one connection, from its request to its end (RFC 4533).

Liveness: TCP keepalive and user timeout detect a dead host, but not a slapd that hangs on a living host. So after
`silence_timeout_s` without a message the base entry is read on the same connection; any answer within
`operation_timeout_s` is enough.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import ldap
from ldap.controls import RequestControl, ResponseControl

from relocd.adapters.ldap.connection import ATTRIBUTES, Connection, entry_of
from relocd.adapters.ldap.errors import translated
from relocd.adapters.ldap.thread_bridge import StopSignal
from relocd.errors import Failed, Invalid, Unavailable
from relocd.model.entries import Entry
from relocd.model.settings import DirectorySettings
from relocd.sync.messages import (
    SYNC_INFO,
    SYNC_REQUEST,
    SYNC_STATE,
    EntryState,
    SyncState,
    sync_info,
    sync_request,
    sync_state,
)
from relocd.sync.session import Session, SyncEvent

__all__ = ["PersistentSearch", "SearchPlan", "Restarted"]

_log = logging.getLogger(__name__)

_CHUNK: Final = 1000
"""Events of a refresh that are passed on together: until it is complete nothing waits for them."""

_NO_TIME_S: Final = 1e-6
"""To poll. With zero, python-ldap 3.4 fails on its own empty answer when it should decode controls."""

Emit = Callable[[Sequence[SyncEvent]], None]


class Restarted(Unavailable):
    """The agent has asked for another search."""


class _StateControl(ResponseControl):  # type: ignore[misc]  # the library has no types
    """The Sync State control of an entry, decoded by `relocd.sync.messages`."""

    state: SyncState

    def decodeControlValue(self, encodedControlValue: bytes) -> None:  # noqa: N802, N803 - the library's names
        self.state = sync_state(encodedControlValue)


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """The filter of the search, and the settings with base and time limits."""

    settings: DirectorySettings
    filter: str


class PersistentSearch:
    """One search; `follow` runs it in the calling thread until it ends."""

    def __init__(self, connection: Connection, plan: SearchPlan, session: Session, stop: StopSignal) -> None:
        self._connection = connection
        self._plan = plan
        self._session = session
        self._stop = stop
        self._probe: int | None = None
        self._heard_at = time.monotonic()

    def start(self) -> None:
        """Send the request, with the session's cookie."""
        control = RequestControl(SYNC_REQUEST, True, sync_request(str(self._session.cookie or "")))
        with translated(self._doing):
            self._connection.handle.search_ext(
                self._plan.settings.base,
                ldap.SCOPE_SUBTREE,
                self._plan.filter,
                ATTRIBUTES,
                serverctrls=[control],
            )

    def follow(self, emit: Emit) -> None:
        """Emit events until asked to stop; raises an error of relocd when the search ends in any other way."""
        held: list[SyncEvent] = []
        descriptor = self._connection.handle.fileno()
        try:
            while not self._stop.is_set():
                if self._stop.take_interrupt():
                    raise Restarted(f"{self._doing}: restarted by the agent")
                idle = self._drain(held)
                if held and (not self._session.refreshing or len(held) >= _CHUNK):
                    emit(held)
                    held = []
                if idle:
                    self._wait(descriptor)
        finally:
            emit(held)

    @property
    def _doing(self) -> str:
        return f"{self._connection.uri}: persistent search below {self._plan.settings.base!r}"

    def _drain(self, held: list[SyncEvent]) -> bool:
        """Take the messages that have arrived, up to a chunk; return whether these were all."""
        for _ in range(_CHUNK):
            with translated(self._doing):
                kind, data, message = self._receive()
                if kind is None:
                    return True
                self._heard_at = time.monotonic()
                if message == self._probe:
                    self._probe = None if kind == ldap.RES_SEARCH_RESULT else self._probe
                else:
                    held += self._events(kind, data)
        return False

    def _receive(self) -> tuple[int | None, Any, int]:
        """The next message that has arrived, if any."""
        try:
            kind, data, message, _, _, _ = self._connection.handle.result4(
                ldap.RES_ANY,
                all=0,
                timeout=_NO_TIME_S,
                add_ctrls=1,
                add_intermediates=1,
                resp_ctrl_classes={SYNC_STATE: _StateControl},
            )
        except ldap.TIMEOUT:
            return None, [], -1
        except ldap.LDAPError as error:
            if self._probe is None or _message_of(error) != self._probe:
                raise
            return ldap.RES_SEARCH_RESULT, [], self._probe  # a refusal is an answer as well
        return kind, data, message

    def _events(self, kind: int, data: Any) -> list[SyncEvent]:
        """The events of one message of the search."""
        if kind == ldap.RES_SEARCH_ENTRY:
            return [event for dn, values, controls in data for event in self._entry(dn, values, controls)]
        if kind == ldap.RES_INTERMEDIATE:
            values = [value for name, value, _ in data if name == SYNC_INFO]
            return [event for value in values for event in self._session.info(sync_info(value))]
        if kind == ldap.RES_SEARCH_RESULT:
            raise Failed(f"{self._doing}: the server has ended the search")
        _log.warning("referral not followed", extra={"fields": {"server": self._connection.uri, "referral": str(data)}})
        return []

    def _entry(self, dn: str, values: dict[str, list[bytes]], controls: Sequence[_StateControl]) -> list[SyncEvent]:
        if not controls:
            _log.warning("entry without a Sync State control", extra={"fields": {"dn": dn}})
            return []
        state = controls[0].state
        carried = state.state in {EntryState.ADD, EntryState.MODIFY}
        return self._session.entry(state, self._understood(dn, values, state) if carried else None)

    def _understood(self, dn: str, values: dict[str, list[bytes]], state: SyncState) -> Entry | None:
        """The entry, or None when its DN is malformed: the other entries must not be lost."""
        try:
            return entry_of(dn, values | {"entryUUID": [state.uuid.encode()]})
        except Invalid as error:
            _log.error("entry left out", extra={"fields": {"dn": dn, "uuid": state.uuid, "problem": str(error)}})
            return None

    def _wait(self, descriptor: int) -> None:
        """Wait for data; probe the server after a long silence, and give up when it does not answer that."""
        settings = self._plan.settings
        limit_s = settings.silence_timeout_s + (settings.operation_timeout_s if self._probe is not None else 0.0)
        left_s = self._heard_at + limit_s - time.monotonic()
        if left_s > 0:
            self._stop.wait_readable(descriptor, left_s)
        elif self._probe is None:
            self._ask()
        else:
            raise Unavailable(f"{self._doing}: the server has not answered for {limit_s:g} s; it hangs")

    def _ask(self) -> None:
        with translated(self._doing):
            self._probe = self._connection.handle.search_ext(
                self._plan.settings.base, ldap.SCOPE_BASE, attrlist=["1.1"]
            )


def _message_of(error: ldap.LDAPError) -> int | None:
    details = error.args[0] if error.args else None
    return details.get("msgid") if isinstance(details, dict) else None
