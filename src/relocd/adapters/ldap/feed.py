"""The port `Feed`: one persistent search that restarts itself, in a thread of its own.

The URIs are tried in order, always from the first and with a new connection, until one serves the search; between
rounds the wait doubles, with jitter. A search at another server ends when the first one answers again: on a base server
the first is its own slapd, and the death of the other would be noticed late. python-ldap's own reconnection is not
used: it cannot resume a search.

A cookie may be ahead of a provider that lags behind another one, or that has lost data. A search from it would make
entries that another provider still has look deleted. So such a provider is skipped for a few seconds, in which a
lagging one catches up; after that its data count as the present state and are read from scratch.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from random import SystemRandom
from types import TracebackType
from typing import Final, Self

import ldap

from relocd.adapters.ldap.connection import Connection, connect
from relocd.adapters.ldap.errors import NoSuchObject, StaleCookie, UnwillingToPerform
from relocd.adapters.ldap.search import Emit, PersistentSearch, Restarted, SearchPlan
from relocd.adapters.ldap.thread_bridge import Inbox, StopSignal
from relocd.errors import Invalid, RelocdError
from relocd.model.dn import DN
from relocd.model.settings import DirectorySettings
from relocd.sync.session import SearchLost, Session, Started, SyncCookie, SyncEvent

__all__ = ["LdapFeed"]

_log = logging.getLogger(__name__)

_LAG_S: Final = 2.0
"""How long a provider may be behind the cookie before its data count as the present state."""

_AHEAD_S: Final = 1.0
"""How far a cookie may be ahead of this server's clock and still be sent: clocks may differ by that."""

_FIRST_AGAIN_S: Final = 30.0
"""How often the first server is tried while another one serves the search."""

_END_S: Final = 1.0
"""How long closing waits for the thread; within libldap it ends at its next time limit."""


class LdapFeed:
    """The search below the base with a filter; `cookie` is the one of the stored records, empty for none.

    It ends with its `async with` block, or with the iteration over `batches`. `begin` is called first in its thread.
    """

    def __init__(
        self, settings: DirectorySettings, filter_: str, cookie: str = "", begin: Callable[[], object] = bool
    ) -> None:
        self._begin = begin
        self._stop = StopSignal()
        self._follower = _Follower(SearchPlan(settings, filter_), _usable(cookie), self._stop)
        self._inbox: Inbox | None = None
        self._thread: threading.Thread | None = None

    @property
    def current_uri(self) -> str | None:
        """The server that serves the search now, None while no server does."""
        return self._follower.uri

    def restart(self, filter_: str, *, fresh: bool = False) -> None:
        """End the present search, if any, and start another with that filter at once; `fresh`: without a cookie."""
        self._follower.plan = replace(self._follower.plan, filter=filter_)
        self._follower.forgets |= fresh
        if not self._stop.is_set():
            self._stop.interrupt()

    def hurry(self) -> None:
        """Try the servers again at once, if none serves the search now."""
        if self.current_uri is None:
            self._stop.hurry()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def batches(self) -> AsyncIterator[Sequence[SyncEvent]]:
        """Events in the order in which the directory sent them; those that arrive together are one batch. Call it once.

        The refresh comes in batches of many entries, a change as soon as it has arrived.
        """
        self._inbox = inbox = Inbox(asyncio.get_running_loop())
        self._thread = threading.Thread(target=self._work, args=(inbox,), name="ldap-feed", daemon=True)
        self._thread.start()
        going_back = asyncio.create_task(self._go_back())
        try:
            while batch := await inbox.take():
                yield batch
        finally:
            going_back.cancel()
            await self.aclose()

    async def aclose(self) -> None:
        """End the search; no more events follow."""
        if self._stop.is_set():
            return
        self._stop.set()
        if self._inbox and self._thread:
            self._inbox.end()
            await asyncio.to_thread(self._thread.join, _END_S)
        if not (self._thread and self._thread.is_alive()):
            self._stop.close()

    async def _go_back(self) -> None:
        """End a search at another server when the first one answers: the next search starts there."""
        settings = self._follower.plan.settings
        first = settings.uris[0]
        while True:
            await asyncio.sleep(_FIRST_AGAIN_S)
            if self.current_uri in {None, first} or not await asyncio.to_thread(_answers, first, settings):
                continue
            if not self._stop.is_set():
                _log.info("the first server answers again", extra={"fields": {"uri": first}})
                self._stop.interrupt()

    def _work(self, inbox: Inbox) -> None:
        try:
            self._begin()
            self._follower.run(inbox.put)
            inbox.end()
        except Exception as error:  # noqa: BLE001 - whatever ends the thread is raised in the loop, not lost
            inbox.end(error)


class _Follower:
    """The work of the thread: one search after the other; with `forgets` the next one is without a cookie."""

    def __init__(self, plan: SearchPlan, cookie: SyncCookie | None, stop: StopSignal) -> None:
        self.uri: str | None = None
        self.plan = plan
        self.forgets = False
        self._restarted = False  # the last search ended because the agent wanted another
        self._cookie = cookie
        self._stop = stop
        self._lagging_since: float | None = None

    def run(self, emit: Emit) -> None:
        """Follow until asked to stop."""
        delays, delay_s = _delays(self.plan.settings), 0.0
        while not self._stop.is_set():
            began = time.monotonic()
            if self._round(emit) and (self._restarted or time.monotonic() - began > delay_s):
                delays = _delays(self.plan.settings)
            delay_s = next(delays)
            self._stop.wait(delay_s)

    def _round(self, emit: Emit) -> bool:
        """Try the servers until one has served a search, and wait for its end; return whether one has.

        A search that is shorter than the pause before it does not reset the pause: a server that ends every search at
        once is not asked in a tight loop.
        """
        reasons: list[str] = []
        for uri in self.plan.settings.uris:
            session = self._session()
            reasons.append(self._attempt(uri, session, emit))
            if self._stop.is_set():
                return False
            if not session.refreshing:
                emit([SearchLost(reasons[-1])])
                return True
            _log.info("server passed over", extra={"fields": {"uri": uri, "reason": reasons[-1]}})
        emit([SearchLost("; ".join(reasons))])
        return False

    def _session(self) -> Session:
        """The next search: from the cookie, unless that must be forgotten."""
        self._stop.take_interrupt()  # it was about an earlier search
        if self.forgets:
            self.forgets, self._cookie = False, None
        if self._cookie is not None and self._cookie.newest_s > time.time() + _AHEAD_S:
            # Changes made after that clock was corrected have older CSNs: a search from the cookie would miss them.
            _log.warning("reading from scratch", extra={"fields": {"reason": f"{self._cookie} is in the future"}})
            self._cookie = None
        return Session(self._cookie)

    def _attempt(self, uri: str, session: Session, emit: Emit) -> str:
        """Run one server's search to its end; return the reason for the end."""
        self._restarted = False
        try:
            with connect(uri, self.plan.settings) as connection:
                self._refuse_lagging(connection)
                self._follow(connection, session, emit)
            reason = "the agent ends it"
        except RelocdError as error:
            reason = str(error) if uri in str(error) else f"{uri}: {error}"
            self._restarted = isinstance(error, Restarted)
            self._cookie = self._cookie_after(error, session)
        except Exception as error:  # noqa: BLE001 - a defect met in one message must not end the feed
            _log.exception("this is a defect of relocd")
            reason = f"{uri}: {type(error).__name__}: {error}"
            self._cookie = None  # which events were lost is unknown
        else:
            self._cookie = session.cookie
        finally:
            self.uri = None
        return reason

    def _follow(self, connection: Connection, session: Session, emit: Emit) -> None:
        search = PersistentSearch(connection, self.plan, session, self._stop)
        search.start()
        self.uri = connection.uri
        emit([Started(connection.uri, fresh=session.cookie is None)])
        search.follow(emit)

    def _refuse_lagging(self, connection: Connection) -> None:
        """Raise `UnwillingToPerform` when contextCSN, which many hide, shows that the provider is behind the cookie."""
        if self._cookie is None:
            return
        csns = _context_csns(connection, DN.parse(self.plan.settings.base))
        if csns and self._cookie.is_ahead_of(SyncCookie.of(csns)):
            raise UnwillingToPerform(
                f"{connection.uri}: the server is behind the state that was read before; it must catch up"
            )

    def _cookie_after(self, error: RelocdError, session: Session) -> SyncCookie | None:
        """The cookie for the next search after one that ended in an error."""
        if not session.refreshing:
            self._lagging_since = None
        if isinstance(error, StaleCookie):
            return None
        if not isinstance(error, UnwillingToPerform) or session.cookie is None:
            return session.cookie
        self._lagging_since = self._lagging_since or time.monotonic()
        if time.monotonic() - self._lagging_since < _LAG_S:
            return session.cookie
        self._lagging_since = None
        _log.warning("reading from scratch", extra={"fields": {"reason": str(error)}})
        return None


def _context_csns(connection: Connection, base: DN) -> list[str]:
    """The contextCSN of the provider, which is at the top of the database that has the base."""
    dn = base
    while True:
        try:
            found = connection.search(dn.written, ldap.SCOPE_BASE, "(objectClass=*)", ["contextCSN"])
        except NoSuchObject:
            if dn is base:
                raise
            found = []  # above the suffix
        csns = [value.decode("ascii", "replace") for _, values in found for value in values.get("contextCSN", ())]
        if csns or not dn.parent.key:
            return csns
        dn = dn.parent


def _answers(uri: str, settings: DirectorySettings) -> bool:
    """Whether a server accepts a connection and the bind."""
    try:
        with connect(uri, settings):
            return True
    except RelocdError:
        return False


def _usable(cookie: str) -> SyncCookie | None:
    """A stored cookie, unless it is malformed: a server may answer that with a refresh without deletions."""
    try:
        return SyncCookie.parse(cookie) if cookie else None
    except Invalid as error:
        _log.warning("stored cookie ignored", extra={"fields": {"problem": str(error)}})
        return None


def _delays(settings: DirectorySettings) -> Iterator[float]:
    """The wait before each further round, in seconds."""
    jitter = SystemRandom()
    longest_s = settings.retry_min_s
    while True:
        yield longest_s * jitter.uniform(0.5, 1.0)
        longest_s = min(longest_s * 2, settings.retry_max_s)
