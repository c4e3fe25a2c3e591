"""One persistent search (RFC 4533, sections 3.3 and 3.4): its messages become events, and its cookies become one.

RFC 4533 calls a cookie opaque. OpenLDAP's is `rid=000,sid=001,csn=A;B`, with one change sequence number (CSN) for each
provider that ever took a write (`SyncCookie`). A client has to read it, for four reasons:

- During the persist stage a cookie may carry only the CSN of the provider that made the change. A client that stores it
  as it is forgets all other providers. So cookies are merged, with the newest CSN of each provider.
- slapd does not refuse a cookie that it cannot read. It sends every entry and ends the refresh as if it had also sent
  all deletions. So a cookie that is not understood here must never be sent.
- A CSN is a time. Where a provider's clock was ahead once, its changes of today have older CSNs than the one already
  known, and a search from that cookie misses them.
- `sid` names the provider that wrote the cookie. slapd 2.5 takes it for the sender of the search and does not send that
  provider's own changes. So `sid` is left out.

Invariants of a `Session`:

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
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from relocd.errors import Invalid, Unavailable
from relocd.model.entries import Entry, EntryUUID, csn_time_s
from relocd.sync.messages import EntryState, IdSet, NewCookie, PhaseEnd, SyncInfo, SyncState

__all__ = [
    "SyncCookie",
    "Cookie",
    "Deleted",
    "SearchLost",
    "Present",
    "PresentPhaseEnd",
    "RefreshDone",
    "Started",
    "SyncEvent",
    "Upsert",
    "understood",
    "Session",
]

# Time, change within it, provider, modification within it: fixed widths, so text compares as time does.
_CSN: Final = re.compile(r"\d{14}\.\d{6}Z#[0-9a-f]{6}#([0-9a-f]{3})#[0-9a-f]{6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SyncCookie:
    """The newest CSN of each provider, at least one, in the order of the providers' numbers."""

    csns: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> SyncCookie:
        """The value of a cookie as sent by a provider or written by `str`; raises `Invalid` for anything else."""
        fields = [field.partition("=") for field in text.split(",")]
        if not all(key and equals for key, equals, _ in fields):
            raise Invalid(f"the synchronisation cookie {text!r} is not of the form rid=...,csn=...")
        lists = [value for key, _, value in fields if key == "csn"]
        if len(lists) != 1:
            raise Invalid(f"the synchronisation cookie {text!r} has {len(lists)} lists of CSNs, not one")
        return cls.of(lists[0].split(";"))

    @classmethod
    def of(cls, csns: Iterable[str]) -> SyncCookie:
        """The cookie of change sequence numbers; raises `Invalid` when there are none or one is malformed."""
        newest: dict[str, str] = {}
        for csn in csns:
            provider = _provider(csn)
            newest[provider] = max(csn, newest.get(provider, ""))
        if not newest:
            raise Invalid("a synchronisation cookie needs at least one CSN")
        return cls(tuple(csn for _, csn in sorted(newest.items())))

    def merged(self, other: SyncCookie) -> SyncCookie:
        """The cookie of a client that is current up to both."""
        return SyncCookie.of(self.csns + other.csns)

    def is_ahead_of(self, other: SyncCookie) -> bool:
        """Whether this cookie covers a change that the other one does not."""
        theirs = {_provider(csn): csn for csn in other.csns}
        return any(csn > theirs.get(_provider(csn), "") for csn in self.csns)

    def ahead_s(self, csn: str) -> float:
        """By how many seconds this cookie's CSN of the same provider is ahead of that of a change; 0 if it is not."""
        theirs = _CSN.fullmatch(csn)
        times = [csn_time_s(each) or 0.0 for each in self.csns if theirs and _provider(each) == theirs[1]]
        return max([0.0, *(each - (csn_time_s(csn) or each) for each in times)])

    def passes_over(self, csn: str) -> bool:
        """Whether a search from this cookie would miss a change of that CSN."""
        theirs = _CSN.fullmatch(csn)
        return theirs is not None and any(each > csn for each in self.csns if _provider(each) == theirs[1])

    @property
    def newest_s(self) -> float:
        """The time of the newest CSN, in seconds since 1970."""
        return max(csn_time_s(each) or 0.0 for each in self.csns)

    def __str__(self) -> str:
        return "rid=000,csn=" + ";".join(self.csns)


@lru_cache(maxsize=4)
def understood(cookie: str) -> SyncCookie | None:
    """The value of a cookie, cached, since it is needed often; None for one that is empty or malformed."""
    try:
        return SyncCookie.parse(cookie) if cookie else None
    except Invalid:
        return None


def _provider(csn: str) -> str:
    found = _CSN.fullmatch(csn)
    if not found:
        raise Invalid(f"{csn!r} is not a change sequence number")
    return found[1]


@dataclass(frozen=True, slots=True)
class Started:
    """A search began at `uri`; `fresh` when it sent no cookie, so that the refresh sends every entry."""

    uri: str
    fresh: bool


@dataclass(frozen=True, slots=True)
class Upsert:
    """An entry was added, modified or renamed; `entry` is its present state."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Deleted:
    """Entries were deleted, or are no longer within the search."""

    uuids: tuple[EntryUUID, ...]


@dataclass(frozen=True, slots=True)
class Present:
    """Entries exist unchanged (present phase of a refresh)."""

    uuids: tuple[EntryUUID, ...]


@dataclass(frozen=True, slots=True)
class PresentPhaseEnd:
    """The present phase has ended: an entry that was neither named nor sent is gone."""


@dataclass(frozen=True, slots=True)
class RefreshDone:
    """The refresh is complete; from here on each change is sent when it is made."""


@dataclass(frozen=True, slots=True)
class Cookie:
    """Up to which change of each provider the events so far are current; store it only together with their result.

    It is not `resumable` while a provider stamps changes with older CSNs than this cookie has: a search from it would
    miss them.
    """

    value: str
    resumable: bool = True


@dataclass(frozen=True, slots=True)
class SearchLost:
    """The search ended or could not start; `reason` says why and what to do. The feed retries by itself."""

    reason: str


SyncEvent = Started | Upsert | Deleted | Present | PresentPhaseEnd | RefreshDone | Cookie | SearchLost


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
