"""One persistent search seen as a sequence of messages, turned into events (RFC 4533, sections 3.3 and 3.4).

Invariants.
- A cookie is given out only with the content it belongs to. While a refresh runs, cookies are withheld: OpenLDAP
  sends entries in no order of time, so a cookie from the middle of a refresh that is cut short would claim changes
  that were never sent. The next search starts from `cookie`, which is that of the last completed content.
- The end of a refresh is always followed by its cookie, an empty one where it cannot be understood.
- A refresh from nothing that ends without any cookie does not count. slapd ends so when it has no state: a replica
  that is not loaded yet has nothing to name, and everything would look deleted.
- After a change with an older number than the cookie holds of its provider, that cookie is no point to resume from:
  such changes may go on, and a search from it would pass over them. A newer change makes it one again.
- A search without a cookie starts the merging of cookies anew: what a former database knew does not count.
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
        self._known = cookie  # also what the refresh has promised so far
        self._passed_over: set[str] = set()  # providers whose last change was older than what is known of them
        self._stateless = cookie is None

    def entry(self, state: SyncState, entry: Entry | None) -> list[SyncEvent]:
        """What an entry's message means; `entry` is None where it could not be understood.

        Such an entry exists: it is said to be present, so that what is known of it is not taken for gone.
        """
        event: SyncEvent
        if state.state is EntryState.DELETE:
            event = Deleted((state.uuid,))
        elif state.state is EntryState.PRESENT or entry is None:
            event = Present((state.uuid,))
        else:
            event = Upsert(entry)
            if self._watch_number(entry.csn):
                self._take(state.cookie)
                return [event, self._given()]
        return [event, *self._took(state.cookie)]

    def info(self, info: SyncInfo) -> list[SyncEvent]:
        """What a Sync Info message means; raises `Unavailable` at the end of a refresh that does not count."""
        match info:
            case NewCookie(cookie):
                return self._took(cookie)
            case IdSet(deletes, uuids, cookie):
                return [Deleted(uuids) if deletes else Present(uuids), *self._took(cookie)]
            case PhaseEnd():
                return self._phase_end(info)

    def _watch_number(self, csn: str) -> bool:
        """Look at the number of a change that was made now; whether the cookie has become one to resume from, or none.

        A refresh sends changes of any time.
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
        """Take a cookie, and give it out unless a refresh runs."""
        return [self._given()] if self._take(cookie) and not self.refreshing else []

    def _take(self, text: str | None) -> bool:
        if text is None:
            return False
        self._stateless = False
        try:
            cookie = SyncCookie.parse(text)
        except Invalid as error:
            _log.warning("a cookie is ignored", extra={"fields": {"problem": str(error)}})
            return False
        self._known = self._known.merged(cookie) if self._known else cookie
        return True

    def _given(self) -> Cookie:
        self.cookie = None if self._passed_over else self._known
        return Cookie(str(self._known or ""), resumable=not self._passed_over)
