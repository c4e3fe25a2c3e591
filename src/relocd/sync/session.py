"""One persistent search as a sequence of messages, turned into events (RFC 4533, sections 3.3 and 3.4).

Invariants.
- A cookie is published only with the events that it covers. While a refresh runs, cookies are withheld: OpenLDAP sends
  entries in no order of time, so a cookie from the middle of a refresh would claim changes that were never sent. The
  next search starts from `cookie`, the one of the last complete state.
- The end of a refresh is always followed by its cookie, an empty one where it cannot be understood.
- A refresh without a cookie that ends without any cookie does not count. slapd ends so when it has no state: a replica
  that is not loaded yet sends nothing, and everything would look deleted.
- After a change with an older CSN than the cookie has of its provider, that cookie cannot be resumed from: more such
  changes may follow, and a search from it would miss them. After a newer change it can.
- A search without a cookie merges cookies from scratch: what a former database covered does not count.
"""

from __future__ import annotations

import logging

from relocd.errors import Invalid, Unavailable
from relocd.model.entries import Entry
from relocd.sync.cookie import SyncCookie
from relocd.sync.events import Cookie, Deleted, Present, PresentPhaseEnd, RefreshDone, SyncEvent, Upsert
from relocd.sync.messages import EntryState, IdSet, NewCookie, PhaseEnd, SyncInfo, SyncState

__all__ = ["Session"]

_log = logging.getLogger(__name__)


class Session:
    """The state of one search that was started with `cookie`, or with none."""

    def __init__(self, cookie: SyncCookie | None) -> None:
        self.cookie = cookie
        self.refreshing = True
        self._known = cookie  # with what the running refresh has announced
        self._passed_over: set[str] = set()  # providers whose last change has an older CSN than the cookie
        self._stateless = cookie is None

    def entry(self, state: SyncState, entry: Entry | None) -> list[SyncEvent]:
        """The events of an entry's message; `entry` is None where it could not be understood.

        Such an entry exists: it is reported as present, so that its known state is not taken for gone.
        """
        event: SyncEvent
        if state.state is EntryState.DELETE:
            event = Deleted((state.uuid,))
        elif state.state is EntryState.PRESENT or entry is None:
            event = Present((state.uuid,))
        else:
            event = Upsert(entry)
            if self._watch_csn(entry.csn):
                self._take(state.cookie)
                return [event, self._given()]
        return [event, *self._took(state.cookie)]

    def info(self, info: SyncInfo) -> list[SyncEvent]:
        """The events of a Sync Info message; raises `Unavailable` at the end of a refresh that does not count."""
        match info:
            case NewCookie(cookie):
                return self._took(cookie)
            case IdSet(deletes, uuids, cookie):
                return [Deleted(uuids) if deletes else Present(uuids), *self._took(cookie)]
            case PhaseEnd():
                return self._phase_end(info)

    def _watch_csn(self, csn: str) -> bool:
        """Look at the CSN of a change that was made now; return whether the cookie's `resumable` has changed.

        Not during a refresh, which sends changes of any age.
        """
        provider = csn.split("#")[2:3]
        if self.refreshing or self._known is None or not provider:
            return False
        before = bool(self._passed_over)
        if self._known.passes_over(csn):
            self._passed_over.update(provider)
        else:
            self._passed_over.difference_update(provider)
        return before != bool(self._passed_over)

    def _phase_end(self, end: PhaseEnd) -> list[SyncEvent]:
        events: list[SyncEvent] = [] if end.deletes else [PresentPhaseEnd()]
        if not end.refresh_done:
            return [*events, *self._took(end.cookie)]
        self._take(end.cookie)
        if self._stateless:
            raise Unavailable("the server has no synchronisation state: it is not loaded yet")
        self.refreshing = False
        return [*events, RefreshDone(), self._given()]

    def _took(self, cookie: str | None) -> list[SyncEvent]:
        """Take a cookie, and publish it unless a refresh runs."""
        return [self._given()] if self._take(cookie) and not self.refreshing else []

    def _take(self, text: str | None) -> bool:
        if text is None:
            return False
        self._stateless = False
        try:
            cookie = SyncCookie.parse(text)
        except Invalid as error:
            _log.warning("cookie ignored", extra={"fields": {"problem": str(error)}})
            return False
        self._known = self._known.merged(cookie) if self._known else cookie
        return True

    def _given(self) -> Cookie:
        self.cookie = None if self._passed_over else self._known
        return Cookie(str(self._known or ""), resumable=not self._passed_over)
