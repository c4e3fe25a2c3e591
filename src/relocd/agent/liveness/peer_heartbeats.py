"""The heartbeats of other servers, by direct reads of their status entries.

A server is read only while a decision depends on it (`relocd.election.rules.watched`), and once for all services.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from relocd.errors import RelocdError
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Entry, EntryUUID, csn_time_s
from relocd.model.status import Mode, PublishedHeartbeat, heartbeat_of
from relocd.ports import DirectoryReader

__all__ = ["HeartbeatSample", "PeerHeartbeats"]


@dataclass(frozen=True, slots=True)
class HeartbeatSample:
    """The last heartbeat of a server, as read.

    - `heartbeat`: its value; `provider_s`: when its provider stamped it, None where there never was one.
    - `read_at`: the last read; `since`: the first of an unbroken series of reads that found the same value (both by
      this host's monotonic clock).
    - `moved_at`: the last read that found an earlier value, so this one was written after it; None where no change was
      seen.
    - `lease_s`: the lease that the server itself declares; `takes`: whether it is neither paused nor drained.
    """

    heartbeat: str
    provider_s: float | None
    read_at: float
    since: float
    lease_s: float
    takes: bool
    moved_at: float | None = None


class PeerHeartbeats:
    """Heartbeats by server; reads further apart than `lease_s` are no unbroken series."""

    def __init__(self, reader: DirectoryReader, lease_s: float) -> None:
        self._reader = reader
        self._lease_s = lease_s
        self._samples: dict[EntryUUID, HeartbeatSample] = {}
        self._locks: dict[EntryUUID, asyncio.Lock] = {}

    async def sample(self, server: EntryUUID, dn: DN, not_before: float) -> HeartbeatSample | None:
        """The heartbeat of a server from a read not older than `not_before`; None when it cannot be read now."""
        async with self._locks.setdefault(server, asyncio.Lock()):
            known = self._samples.get(server)
            if known is not None and known.read_at >= not_before:
                return known
            asked_at = time.monotonic()
            try:
                entry = await self._reader.by_dn(dn.below(names.STATUS_RDN))
            except RelocdError:
                return None
            self._samples[server] = self._found(entry, known, asked_at)
            return self._samples[server]

    def _found(self, entry: Entry | None, known: HeartbeatSample | None, asked_at: float) -> HeartbeatSample:
        found = PublishedHeartbeat() if entry is None else heartbeat_of(entry)
        same = known is not None and known.heartbeat == found.stamp
        unbroken = known is not None and same and asked_at - known.read_at < self._lease_s
        return HeartbeatSample(
            found.stamp,
            None if entry is None else csn_time_s(entry.csn),
            asked_at,
            known.since if known is not None and unbroken else time.monotonic(),
            max(self._lease_s, found.lease_s or 0.0),
            found.mode == Mode.NORMAL,
            None if known is None else known.moved_at if same else known.read_at,
        )
