"""The agent's ways to a directory in memory: a feed that can be cut, a reader that can refuse, and where it reports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from relocd.agent.agent import Directory, Outlets
from relocd.errors import RelocdError
from relocd.model.dn import DN
from relocd.model.entries import Entry, EntryUUID
from relocd.sync.events import Lost, SyncEvent
from relocd.sync.mirror import Saved
from tests.directory import ModelDirectory

__all__ = ["FakeDirectory", "FakeFeed", "FakeOutlets", "FakeReader"]


class FakeFeed:
    """The persistent search: what the test tells it, in order."""

    def __init__(self) -> None:
        self._told: asyncio.Queue[Sequence[SyncEvent]] = asyncio.Queue()

    def tell(self, events: Sequence[SyncEvent]) -> None:
        """Events that arrive together."""
        self._told.put_nowait(events)

    async def batches(self) -> AsyncIterator[Sequence[SyncEvent]]:
        while True:
            yield await self._told.get()


class FakeReader:
    """Direct reads of a model directory, ahead of the feed perhaps; while it is not `open` they wait.

    `refusal` is what every read meets, `refused` what a read of one entry meets, by its identity.
    """

    def __init__(self, directory: ModelDirectory) -> None:
        self.directory = directory
        self.refusal: RelocdError | None = None
        self.refused: dict[EntryUUID, RelocdError] = {}
        self.open = asyncio.Event()
        self.open.set()

    async def by_dn(self, dn: DN) -> Entry | None:
        return await self._answer(self.directory.named(dn))

    async def by_uuid(self, uuid: EntryUUID) -> Entry | None:
        return await self._answer(self.directory.entries.get(uuid), uuid)

    async def _answer(self, entry: Entry | None, uuid: EntryUUID | None = None) -> Entry | None:
        await self.open.wait()
        refusal = self.refusal or self.refused.get(uuid or (entry.uuid if entry else EntryUUID("")))
        if refusal is not None:
            raise refusal
        return entry


class FakeCache:
    """What survives a restart of the agent."""

    def __init__(self, saved: Saved | None = None) -> None:
        self.saved = saved

    def load(self) -> Saved | None:
        return self.saved

    async def store(self, saved: Saved) -> None:
        self.saved = saved


class FakeDirectory:
    """A model directory, a feed that listens to it and a reader on it."""

    def __init__(self, *entries: Entry) -> None:
        self.model = ModelDirectory(entries)
        self.feed = FakeFeed()
        self.reader = FakeReader(self.model)
        self.cache = FakeCache()

    @property
    def ways(self) -> Directory:
        """For an agent that starts now, with what an earlier one has stored."""
        return Directory(self.feed, self.reader, self.cache, self.cache.saved)

    def refresh(self, *, whole: bool = True) -> None:
        """A refresh of everything, or one that is cut off before its end."""
        events = self.model.refresh()
        self.feed.tell(events if whole else [*events[:-2], Lost("cut off")])

    def put(self, *entries: Entry) -> None:
        """Add or replace entries, each told as it happens."""
        for entry in entries:
            self.feed.tell(self.model.put(entry))

    def delete(self, *uuids: EntryUUID) -> None:
        """Delete entries, each told as it happens."""
        for uuid in uuids:
            self.feed.tell(self.model.delete(uuid))


class FakeOutlets:
    """The status as others read it, and the service manager's view."""

    def __init__(self) -> None:
        self.status: Mapping[str, object] = {}
        self.line = ""
        self.is_ready = False

    @property
    def outlets(self) -> Outlets:
        return Outlets(_StatusFile(self), _Notifier(self), 0.0)


class _StatusFile:
    def __init__(self, outlets: FakeOutlets) -> None:
        self._outlets = outlets

    async def write(self, status: Mapping[str, object]) -> None:
        self._outlets.status = status


class _Notifier:
    def __init__(self, outlets: FakeOutlets) -> None:
        self._outlets = outlets

    def ready(self, status: str) -> None:
        self._outlets.is_ready, self._outlets.line = True, status

    def status(self, text: str) -> None:
        self._outlets.line = text

    def alive(self) -> None:
        pass
