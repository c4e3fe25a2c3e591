"""What the tests of the LDAP adapters share: settings for a slapd, and a feed whose events are kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import asynccontextmanager

from relocd.adapters.ldap.feed import LdapFeed
from relocd.model.settings import DirectorySettings
from relocd.sync.session import Cookie, Deleted, Present, RefreshDone, SearchLost, Started, Upsert
from tests.lab.slapd.slapd import SUFFIX

UNLIMITED = ["limits * size=unlimited"]  # slapd's own limit is 500 entries
SERVICES = "(objectClass=relocService)"
DEADLINE_S = 15.0


def settings_for(*uris, **more):
    """Settings for anonymous access with short times, unless told otherwise."""
    times = {"connect_timeout_s": 1.0, "operation_timeout_s": 1.0, "silence_timeout_s": 5.0}
    paces = {"retry_min_s": 0.02, "retry_max_s": 0.2}
    return DirectorySettings(uris=uris, **({"base": SUFFIX} | times | paces | more))


class Followed:
    """The events of a feed so far."""

    def __init__(self):
        self.events = []
        self.batches = []
        self._more = asyncio.Event()

    async def take(self, feed):
        async for batch in feed.batches():
            self.batches.append(list(batch))
            self.events += batch
            self._more.set()

    async def until(self, condition: Callable[[], object], deadline_s: float = DEADLINE_S):
        """Wait for a condition on the events; the events are in the error when it does not come true."""
        end = time.monotonic() + deadline_s
        while not condition():
            try:
                await asyncio.wait_for(self._more.wait(), end - time.monotonic())
            except TimeoutError:
                raise AssertionError(f"not within {deadline_s:g} s; so far: {self.events[-20:]}") from None
            self._more.clear()

    async def refreshed(self, times: int = 1):
        """Wait for so many completed refreshes, and for the cookie of the last."""
        await self.until(lambda: len(self.of(RefreshDone)) >= times and isinstance(self.events[-1], Cookie))

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def since(self, kind):
        """What came after the last event of a kind."""
        last = max(at for at, event in enumerate(self.events) if isinstance(event, kind))
        return self.events[last + 1 :]

    @property
    def names(self):
        """The names of the upserts, in order."""
        return [event.entry.dn.name for event in self.of(Upsert)]

    @property
    def cookie(self):
        return self.of(Cookie)[-1].value

    @property
    def losses(self):
        return " | ".join(event.reason for event in self.of(SearchLost))

    @property
    def present(self):
        """The identities that the events leave, as a mirror would keep them."""
        known, named = {}, set()
        for event in self.events:
            match event:
                case Started():
                    named = set()
                case Upsert(entry):
                    known[entry.uuid] = entry.dn.name
                    named.add(entry.uuid)
                case Present(uuids):
                    named.update(uuids)
                case Deleted(uuids):
                    known = {uuid: name for uuid, name in known.items() if uuid not in uuids}
        return set(known.values())


@asynccontextmanager
async def following(settings, filter_=SERVICES, cookie=""):
    """A feed at work; it ends with the block, and any error of it is raised there."""
    followed = Followed()
    async with LdapFeed(settings, filter_, cookie) as feed, asyncio.timeout(60):
        task = asyncio.create_task(followed.take(feed))
        followed.feed = feed
        try:
            yield followed
        finally:
            await feed.aclose()
            await task


def replaced(dn, name, value):
    return f"dn: {dn}\nchangetype: modify\nreplace: {name}\n{name}: {value}\n"


def renamed(dn, rdn):
    return f"dn: {dn}\nchangetype: modrdn\nnewrdn: {rdn}\ndeleteoldrdn: 1\n"


def deleted(dn):
    return f"dn: {dn}\nchangetype: delete\n"


async def change(slapd, *ldifs):
    await asyncio.to_thread(slapd.modify, "\n".join(ldifs))
