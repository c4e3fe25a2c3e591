"""Whether another server is alive, suspect or dead, by its heartbeat in the directory and by probing the wire.

A server is dead when one of these is true:

- a trigger has fenced it (`relocFenced`);
- isolation `keep`: its heartbeat is older than its lease *and* no address of the service answers a probe. A service
  without an address cannot be probed: only a fence will do. The age must be certain, also if the provider's clock was
  set (`provider_clock`), or the heartbeat unchanged for the lease while this server watched;
- isolation `release`: its heartbeat has not changed for its lease on this server's own clock, while this server
  watched. By then it has released the service by itself.

Whatever cannot be found out leaves it suspect, and nothing is taken from a suspect server.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from relocd.agent.convergence.execution import probe
from relocd.agent.convergence.host import Host
from relocd.agent.liveness.heartbeat import Heartbeat
from relocd.election.eligibility import OwnershipView
from relocd.election.observation import Life
from relocd.errors import Busy, RelocdError
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Entry, EntryUUID, Isolation, csn_time_s
from relocd.model.settings import HandoverSettings
from relocd.model.status import Mode, PublishedHeartbeat, heartbeat_of
from relocd.ports.directory import DirectoryReader
from relocd.reconcile.addresses import interface_for
from relocd.reconcile.desired import Placed
from relocd.reconcile.goals import Goal

__all__ = ["HeartbeatSample", "PeerHeartbeats", "Verdict", "FailureDetector"]

_SILENT_AGAIN_S = 0.5
_BEATEN_AGAIN_S = 0.02  # when a heartbeat that is sent now should have come back


@dataclass(frozen=True, slots=True)
class HeartbeatSample:
    """The last heartbeat of a server, as read.

    - `heartbeat`: its value; `provider_s`: when its provider stamped it, None where there never was one.
    - `read_at`: the last read; `since`: the first of an unbroken series of reads that found the same value (both by
      this host's monotonic clock).
    - `moved_at`: the last read that found an earlier value, so this one was written after it; None where no change was
      seen.
    - `lease_s`: the lease that the server itself declares; `takes`: whether it is neither paused nor drained.
    - `failed`: the services that have failed there, by `DN.key`.
    """

    heartbeat: str
    provider_s: float | None
    read_at: float
    since: float
    lease_s: float
    takes: bool
    failed: frozenset[str] = frozenset()
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
            if self.knows(server, not_before):
                return self._samples[server]
            known, asked_at = self._samples.get(server), time.monotonic()
            try:
                entry = await self._reader.by_dn(dn.below(names.STATUS_RDN))
            except RelocdError:
                return None
            self._samples[server] = self._found(entry, known, asked_at)
            return self._samples[server]

    def knows(self, server: EntryUUID, not_before: float) -> bool:
        """Whether the heartbeat was read since then, so that `sample` does not read it again."""
        known = self._samples.get(server)
        return known is not None and known.read_at >= not_before

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
            found.failed,
            None if known is None else known.moved_at if same else known.read_at,
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of some servers, the reasons for those that are not alive, and when to ask again.

    `failed` are those alive that publish that the service has failed there.
    """

    lives: Mapping[EntryUUID, Life] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    again_s: float | None = None
    failed: frozenset[EntryUUID] = frozenset()


@dataclass(frozen=True, slots=True)
class _Judgement:
    life: Life
    words: str = ""
    again_s: float | None = None
    failed: bool = False


class FailureDetector:
    """Judges other servers, for all services of this server."""

    def __init__(self, host: Host, peers: PeerHeartbeats, heartbeat: Heartbeat, settings: HandoverSettings) -> None:
        self._host = host
        self._peers = peers
        self._heartbeat = heartbeat
        self._settings = settings
        self._looking: set[asyncio.Task[object]] = set()

    def look_early(self, ownership: OwnershipView, servers: Iterable[EntryUUID], seen_at: float) -> None:
        """Read heartbeats in the background, since a verdict about these servers is due once other work is done."""
        not_before = max(seen_at, time.monotonic() - self._settings.beat_s)
        for server in servers:
            if server in ownership.names and not self._peers.knows(server, not_before):
                looking = asyncio.create_task(self._peers.sample(server, ownership.names[server], not_before))
                self._looking.add(looking)
                looking.add_done_callback(self._looking.discard)

    async def judge(self, goal: Goal, servers: Iterable[EntryUUID], seen_at: float, *, wire: bool) -> Verdict:
        """What is known of servers now, by nothing that was read before `seen_at`; `wire`: probe the addresses, too."""
        findings = {server: await self._finding(goal, server, seen_at, wire=wire) for server in servers}
        return Verdict(
            {server: found.life for server, found in findings.items()},
            tuple(found.words for found in findings.values() if found.words),
            min((found.again_s for found in findings.values() if found.again_s is not None), default=None),
            frozenset(server for server, found in findings.items() if found.failed),
        )

    async def takes_over(self, goal: Goal, server: EntryUUID) -> bool:
        """Whether a server is alive, and neither paused nor drained nor fenced."""
        ownership = goal.ownership
        if ownership is None or server in ownership.fenced or server not in ownership.names:
            return False
        recently = time.monotonic() - self._settings.beat_s
        sample = await self._peers.sample(server, ownership.names[server], recently)
        return sample is not None and sample.takes and self._age_s(sample) < sample.lease_s

    async def is_silent(self, goal: Goal, server: EntryUUID) -> bool:
        """Whether a server has certainly left no heartbeat for its lease, also if a clock was set; False in doubt."""
        ownership = goal.ownership
        if ownership is None or server not in ownership.names:
            return False
        sample = await self._peers.sample(server, ownership.names[server], time.monotonic())
        if sample is None or self._age_s(sample) < sample.lease_s:
            return False
        return self._doubted(sample, ownership.names[server].name) is None

    async def has_failed(self, goal: Goal, server: EntryUUID, not_before: float | None = None) -> bool:
        """Whether a server publishes that a service has failed there; False while that cannot be read.

        `not_before` is how old the read may be (monotonic clock), by default the time between two heartbeats.
        """
        ownership = goal.ownership
        if ownership is None or server not in ownership.names:
            return False
        recently = time.monotonic() - self._settings.beat_s
        sample = await self._peers.sample(server, ownership.names[server], not_before or recently)
        return sample is not None and ownership.service.key in sample.failed

    async def _finding(self, goal: Goal, server: EntryUUID, seen_at: float, *, wire: bool) -> _Judgement:
        ownership = goal.ownership
        if ownership is None:
            return _Judgement(Life.SUSPECT)
        dn = ownership.names.get(server)
        if dn is None:
            return _Judgement(Life.SUSPECT, "the entry of a server that counts here cannot be read or understood")
        if server in ownership.fenced:
            return _Judgement(Life.DEAD, f"{dn.name} is fenced")
        now = time.monotonic()
        sample = await self._peers.sample(server, dn, max(seen_at, now - self._settings.beat_s))
        if sample is not None and self._age_s(sample) >= sample.lease_s:
            sample = await self._peers.sample(server, dn, now)
        if sample is None:
            return _Judgement(Life.SUSPECT, f"{dn.name}: its status cannot be read now", _SILENT_AGAIN_S)
        left_s = sample.lease_s - self._age_s(sample)
        if left_s > 0:
            failed = ownership.service.key in sample.failed
            return _Judgement(Life.ALIVE, "", min(left_s + 0.01, self._settings.beat_s), failed)
        if ownership.isolation is Isolation.RELEASE:
            return _stood_still(sample, dn.name)
        holds = ownership.state is not None and server == ownership.state.holder
        if not (holds and wire):
            return _silent(dn.name)
        return self._doubted(sample, dn.name) or await self._on_the_wire(goal, dn.name)

    def _age_s(self, sample: HeartbeatSample) -> float:
        """How old a heartbeat is by the clock of the providers; infinite where there is none to compare.

        Their clocks may differ, or jump. By this server's own clock it is at least as old as the time for which it was
        seen unchanged, and at most as old as the read that found an earlier one.
        """
        now = time.monotonic()
        stamped_s = self._heartbeat.clock.age_s(sample.provider_s, now)
        moved_s = float("inf") if sample.moved_at is None else now - sample.moved_at
        return min(max(stamped_s, sample.read_at - sample.since), moved_s)

    def _doubted(self, sample: HeartbeatSample, name: str) -> _Judgement | None:
        """That a heartbeat only seems to be older than its lease, because the provider's clock may have been set."""
        left_s = sample.lease_s - self._least_age_s(sample)
        if left_s <= 0:
            return None
        words = f"{name} seems silent; making sure that it is not the directory's clock that was set"
        if self._heartbeat.clock.is_read_since(sample.since):
            return _Judgement(Life.SUSPECT, words, min(left_s + 0.01, _SILENT_AGAIN_S))
        self._heartbeat.beat_soon()
        return _Judgement(Life.SUSPECT, words, _BEATEN_AGAIN_S)

    def _least_age_s(self, sample: HeartbeatSample) -> float:
        """How old a heartbeat is for certain: by its stamp, or by how long this server has seen it unchanged."""
        unchanged_s = sample.read_at - sample.since
        if sample.provider_s is None:
            return unchanged_s
        return max(unchanged_s, self._heartbeat.clock.least_age_s(sample.provider_s, sample.since, time.monotonic()))

    async def _on_the_wire(self, goal: Goal, name: str) -> _Judgement:
        """Probe the addresses of a holder that is silent in the directory."""
        if not goal.addresses or not self._host.probing:
            why = "the service has no address" if not goal.addresses else "[wire] probes is 0"
            return _Judgement(
                Life.SUSPECT,
                f"{name} is silent in the directory, and {why}, so it cannot be probed: fence it when it is off",
                1.0,
            )
        try:
            interfaces = self._host.addresses.interfaces()
            placed = [Placed(interface_for(each, goal.interface, interfaces).name, each) for each in goal.addresses]
            await probe(self._host, placed)
        except Busy as error:
            return _Judgement(Life.SUSPECT, f"{name} is silent in the directory but {error}", _SILENT_AGAIN_S)
        except RelocdError as error:
            return _Judgement(Life.SUSPECT, f"{name} is silent, and its addresses cannot be probed: {error}", 1.0)
        return _Judgement(Life.DEAD, f"{name} is silent in the directory and on the wire")


def _stood_still(sample: HeartbeatSample, name: str) -> _Judgement:
    left_s = sample.since + sample.lease_s - sample.read_at
    if left_s <= 0:
        return _Judgement(Life.DEAD, f"{name} has been silent for its lease and has released the service")
    return _Judgement(
        Life.SUSPECT, f"{name} is silent; it releases the service within {left_s:.1f} s", min(left_s, _SILENT_AGAIN_S)
    )


def _silent(name: str) -> _Judgement:
    return _Judgement(Life.SUSPECT, f"{name} is silent in the directory", _SILENT_AGAIN_S)
