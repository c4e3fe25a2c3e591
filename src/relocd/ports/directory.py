"""What the agent needs of the directory: a search, direct reads, writes, histories, and a copy of it on disk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from relocd.model.dn import DN
from relocd.model.entries import Attributes, Entry, EntryUUID
from relocd.model.history import HistoryRecord
from relocd.model.status import ServerStatus
from relocd.model.writes import Modification, Outcome
from relocd.sync.saved import Saved
from relocd.sync.session import SyncEvent

__all__ = ["Cache", "DirectoryReader", "DirectoryWriter", "Feed", "HistoryStore"]


class Feed(Protocol):
    """One persistent search that restarts itself."""

    def batches(self) -> AsyncIterator[Sequence[SyncEvent]]:
        """Events in the order the directory sent them; those that arrived together make one batch."""
        ...

    def restart(self, filter_: str, *, fresh: bool = False) -> None:
        """End the search that runs, if one does, and begin anew with that filter, at once; `fresh`: without cookie."""
        ...

    def hurry(self) -> None:
        """There may be a way to the directory again: try it at once, if the search does not run."""
        ...


class DirectoryReader(Protocol):
    """Direct reads on a connection of their own."""

    async def by_dn(self, dn: DN) -> Entry | None:
        """The entry of that name, or None when the directory says that there is none."""
        ...

    async def by_uuid(self, uuid: EntryUUID) -> Entry | None:
        """The entry of that identity below the base, or None when the directory says that there is none."""
        ...

    async def linking_to(self, service: DN) -> Sequence[Entry]:
        """Every server and cluster below the base with a direct link to that name."""
        ...


class DirectoryWriter(Protocol):
    """Writes on a connection of their own, each sent once at most and never again: the caller decides that.

    `Unavailable` and `Failed` mean that nothing is written: it could not be sent, or the server refused it for good.
    A write that is cancelled may be written all the same, as after `Unknown`.
    """

    async def apply(self, write: Modification) -> Outcome:
        """Make all changes, or none; raises `Invalid` for an assertion that is no filter."""
        ...

    async def create(self, dn: DN, attributes: Attributes) -> Outcome:
        """Add an entry; `Exists` when there is one of that name, `Lost` when there is none above it."""
        ...

    async def reach(self) -> None:
        """Return once the directory has answered on the connection that writes; raises `Unavailable` or `Failed`."""
        ...


class Cache(Protocol):
    """The mirror's state across restarts of the agent."""

    def load(self) -> Saved | None:
        """What was stored for this base and server, or None where there is nothing that can be trusted."""
        ...

    async def store(self, saved: Saved) -> None:
        """Replace what is stored."""
        ...


class HistoryStore(Protocol):
    """The histories of services in the directory, on a connection of their own that nothing else waits for."""

    async def add(self, service: DN, record: HistoryRecord) -> None:
        """Add a record below a service, and drop the oldest beyond what is kept; nothing where it is there already."""
        ...

    async def status(self, server: DN) -> ServerStatus | None:
        """What the agent of a server published last, None where there is nothing."""
        ...
