"""The agent's ways to a directory in memory: a feed that can be cut, a reader that can refuse, and where it reports."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from relocd.agent.agent import DirectoryPorts, Outlets
from relocd.errors import Invalid, RelocdError
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Attributes, Entry, EntryUUID
from relocd.model.history import HistoryRecord
from relocd.model.status import Mode, ServerStatus, status_of
from relocd.model.writes import Add, Conflict, Delete, Done, Exists, Lost, Modification, Outcome, Replace, Unknown
from relocd.schema.definitions import ATTRIBUTES
from relocd.sync.saved import Saved
from relocd.sync.session import SearchLost, SyncEvent, Upsert
from tests.support.directory import ModelDirectory
from tests.support.entries import csn, uuid_of
from tests.support.fakes import World

__all__ = ["FakeDirectory", "FakeFeed", "FakeOrders", "FakeOutlets", "FakeReader", "FakeWriter"]


class FakeFeed:
    """The persistent search: what it is told, in order; with a `filter_` no other server's status.

    `found` is the result of a search from scratch; empty, unless a test sets it. `forgot` counts how often that was
    to be everything. While it is not `on_time` nothing arrives.
    """

    def __init__(self, filter_: str = "", found: Callable[[], Sequence[SyncEvent]] = list) -> None:
        self.filter = filter_
        self._found = found
        self._told: asyncio.Queue[Sequence[SyncEvent]] = asyncio.Queue()
        self.forgot = 0
        self.on_time = asyncio.Event()
        self.on_time.set()

    def tell(self, events: Sequence[SyncEvent]) -> None:
        """Events that arrive together."""
        heard = [event for event in events if not isinstance(event, Upsert) or self._matches(event.entry)]
        if heard:
            self._told.put_nowait(heard)

    def restart(self, filter_: str, *, fresh: bool = False) -> None:
        """The search starts again; here it always finds everything."""
        self.filter = filter_
        self.forgot += fresh
        self.tell(self._found())

    def hurry(self) -> None:
        """Nothing is waited for here but the test."""

    async def batches(self) -> AsyncIterator[Sequence[SyncEvent]]:
        while True:
            batch = await self._told.get()
            await self.on_time.wait()
            yield batch

    def _matches(self, entry: Entry) -> bool:
        of_a_server = b"relocServerStatus" in entry.attributes.get("objectclass", ())
        return not (of_a_server and self.filter) or f"(entryDN={entry.dn.text})" in self.filter


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

    async def linking_to(self, service: DN) -> Sequence[Entry]:
        await self._answer(None)
        return [entry for entry in self.directory.entries.values() if service in _links(entry)]

    async def _answer(self, entry: Entry | None, uuid: EntryUUID | None = None) -> Entry | None:
        await self.open.wait()
        refusal = self.refusal or self.refused.get(uuid or (entry.uuid if entry else EntryUUID("")))
        if refusal is not None:
            raise refusal
        return entry


def _links(entry: Entry) -> Iterator[DN]:
    """What a directory finds by its links; a value that is no name it has not got."""
    for value in entry.attributes.get("relocservicelink", ()):
        with suppress(Invalid, UnicodeDecodeError):
            yield DN.parse(value.decode())


class FakeWriter:
    """Writes to a model directory, each change told to the feeds; `refusal` is what every write meets.

    What is agreed on is an effect of the `world` of the server that writes it; its status, written again and again, is
    none.

    `unreachable` makes the check before a write fail.

    `by` is the identity that the directory keeps as the one that changed an entry (`modifiersName`).

    With `lost_answers` a write is carried out without an answer; with `lost_requests` it is not carried out.
    """

    def __init__(self, directory: FakeDirectory, world: World | None = None) -> None:
        self._directory = directory
        self._world = world or World()
        self.by = ""
        self.refusal: RelocdError | None = None
        self.unreachable: RelocdError | None = None
        self.lost_answers = False
        self.lost_requests = False
        self.written: list[str] = []

    async def apply(self, write: Modification) -> Outcome:
        await asyncio.sleep(0)
        if self.refusal is not None:
            raise self.refusal
        entry = self._directory.model.named(write.dn)
        if entry is None:
            return Lost(Conflict.NO_SUCH_OBJECT, f"{write.dn} does not exist")
        changed = _changed(entry, write)
        if isinstance(changed, Lost):
            return changed
        return self._done(str(write), replace(entry, attributes=changed))

    async def create(self, dn: DN, attributes: Attributes) -> Outcome:
        await asyncio.sleep(0)
        if self.refusal is not None:
            raise self.refusal
        if self._directory.model.named(dn) is not None:
            return Exists()
        if self._directory.model.named(dn.parent) is None:
            return Lost(Conflict.NO_SUCH_OBJECT, f"{dn.parent} does not exist")
        content = {name.lower(): values for name, values in attributes.items()}
        return self._done(f"create {dn}", Entry(uuid_of(f"{dn.name} of {dn.parent.name}"), dn, "", content))

    async def reach(self) -> None:
        await asyncio.sleep(0)
        if self.unreachable is not None:
            raise self.unreachable

    def _done(self, what: str, entry: Entry) -> Outcome:
        if self.lost_requests:
            return Unknown("no answer")
        if self.by:
            entry = replace(entry, attributes={**entry.attributes, "modifiersname": (self.by.encode(),)})
        if entry.dn.text.startswith(names.STATUS_RDN):
            self._directory.put(entry)
        else:
            self._world.happen(what, lambda: self._directory.put(entry))
        self.written.append(what)
        return Unknown("no answer") if self.lost_answers else Done()


def _changed(entry: Entry, write: Modification) -> Attributes | Lost:
    """The attributes after a modify, which is done whole or not at all."""
    content = dict(entry.attributes)
    if write.assertion is not None and not _holds(write.assertion, content):
        return Lost(Conflict.ASSERTION_FAILED, write.assertion)
    for change in write.changes:
        name = change.attribute.lower()
        values = content.get(name, ())
        match change:
            case Replace():
                content[name] = change.values
            case Delete():
                if any(value not in values for value in change.values):
                    return Lost(Conflict.NO_SUCH_ATTRIBUTE, str(change))
                content[name] = tuple(value for value in values if value not in change.values)
            case Add():
                if any(value in values for value in change.values) or (values and name in _SINGLE):
                    return Lost(Conflict.VALUE_EXISTS, str(change))
                content[name] = (*values, *change.values)
    return {name: values for name, values in content.items() if values}


_SINGLE = {attribute.name.lower() for attribute in ATTRIBUTES if attribute.single}


def _holds(assertion: str, content: Attributes) -> bool:
    """Whether an entry is as a filter says: `(name=value)`, `(!(name=*))`, or `(&...)` of such."""
    parts = re.findall(r"\(!?\(?([^()=]+)=([^()]*)\)", assertion)
    return all(_matches(content.get(name.lower(), ()), value) for name, value in parts)


def _matches(values: Sequence[bytes], value: str) -> bool:
    plain = re.sub(r"\\([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), value).encode("latin-1")
    return not values if value == "*" else plain in values


class FakeOrders:
    """What a person has told the agent."""

    def __init__(self) -> None:
        self.word = Mode.NORMAL
        self.again: list[str] = []
        self.problem = ""

    def mode(self) -> Mode:
        return self.word

    def retries(self) -> Sequence[str]:
        found, self.again = self.again, []
        return found


class FakeHistory:
    """The histories of all services, by their names, in the order of writing; `refusal` is what every write meets."""

    def __init__(self, directory: ModelDirectory) -> None:
        self._directory = directory
        self.records: dict[str, list[HistoryRecord]] = {}
        self.refusal: RelocdError | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.tries = 0

    async def add(self, service: DN, record: HistoryRecord) -> None:
        self.tries += 1
        await self.open.wait()
        if self.refusal is not None:
            raise self.refusal
        self.records.setdefault(service.name, []).append(record)

    async def status(self, server: DN) -> ServerStatus | None:
        await self.open.wait()
        entry = self._directory.named(server.below(names.STATUS_RDN))
        return None if entry is None else status_of(entry)


class FakeCache:
    """What survives a restart of the agent."""

    def __init__(self, saved: Saved | None = None) -> None:
        self.saved = saved

    def load(self) -> Saved | None:
        return self.saved

    async def store(self, saved: Saved) -> None:
        self.saved = saved


class FakeDirectory:
    """A model directory, a feed that listens to it, a reader and a writer on it; other servers listen by `search`."""

    def __init__(self, *entries: Entry, stamp: Callable[[int], str] = csn) -> None:
        self.model = ModelDirectory(entries, stamp)
        self.feed = FakeFeed()
        self.feeds = [self.feed]
        self.reader = FakeReader(self.model)
        self.writer = FakeWriter(self)
        self.cache = FakeCache()
        self.history = FakeHistory(self.model)

    def search(self, filter_: str) -> FakeFeed:
        """A search that finds all entries, receives every change, and finds everything again when it restarts."""
        feed = FakeFeed(filter_, self.model.refresh)
        self.feeds.append(feed)
        feed.restart(filter_)
        return feed

    @property
    def ways(self) -> DirectoryPorts:
        """For an agent that starts now, with what an earlier one has stored."""
        return DirectoryPorts(self.feed, self.reader, self.writer, self.cache, self.cache.saved, self.history)

    def refresh(self, *, whole: bool = True) -> None:
        """A refresh of everything, or one that is cut off before its end."""
        events = self.model.refresh()
        self.feed.tell(events if whole else [*events[:-2], SearchLost("cut off")])

    def put(self, *entries: Entry) -> None:
        """Add or replace entries, each told as it happens."""
        for entry in entries:
            self._tell(self.model.put(entry))

    def rename(self, uuid: EntryUUID, name: str) -> None:
        """Give an entry another short name, told as it happens."""
        self._tell(self.model.rename(uuid, name))

    def delete(self, *uuids: EntryUUID) -> None:
        """Delete entries, each told as it happens."""
        for uuid in uuids:
            self._tell(self.model.delete(uuid))

    def _tell(self, events: Sequence[SyncEvent]) -> None:
        for feed in self.feeds:
            feed.tell(events)


class FakeOutlets:
    """The status as others read it, and the service manager's view; while it `is_full` each write is `refused`."""

    def __init__(self) -> None:
        self.status: Mapping[str, object] = {}
        self.line = ""
        self.is_ready = False
        self.is_full = False
        self.refused = 0

    @property
    def outlets(self) -> Outlets:
        return Outlets(_StatusFile(self), _Notifier(self), 0.0)


class _StatusFile:
    def __init__(self, outlets: FakeOutlets) -> None:
        self._outlets = outlets

    async def write(self, status: Mapping[str, object]) -> bool:
        if self._outlets.is_full:
            self._outlets.refused += 1
            return False
        self._outlets.status = status
        return True


class _Notifier:
    def __init__(self, outlets: FakeOutlets) -> None:
        self._outlets = outlets

    def ready(self, status: str) -> None:
        self._outlets.is_ready, self._outlets.line = True, status

    def status(self, text: str) -> None:
        self._outlets.line = text

    def alive(self) -> None:
        pass
