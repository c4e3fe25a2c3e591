"""The heartbeat of the server `me`, sent to a directory in memory and heard from it when a test says so."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from relocd.agent.liveness.heartbeat import Heartbeat
from relocd.model.dn import DN
from relocd.model.entries import Entry, ServiceState, Snapshot
from relocd.model.settings import HandoverSettings
from relocd.model.status import StatusReport
from tests.support.entries import ME, dn, server, uuid_of
from tests.support.fake_directory import FakeDirectory
from tests.support.fake_records import FakeHeartbeatRecord
from tests.support.fakes import until

__all__ = ["SETTINGS", "STATUS", "Heart", "brought", "stamped"]

SETTINGS = HandoverSettings(lease_s=10)
STATUS = DN.parse(f"cn=status,{ME}")


def stamped(at_s: float) -> str:
    """The change sequence number of a change at a time by the provider's clock, in seconds since 1970."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y%m%d%H%M%S.%fZ#000000#000#000000")


def brought(*states: str) -> Snapshot:
    """What the search has brought: one state for each of these change numbers."""
    services = {f"service {number}": csn for number, csn in enumerate(states)}
    return Snapshot(
        None,
        states={
            uuid_of(name): ServiceState(
                uuid_of(f"{name} state"), DN.parse(dn("state")), csn, DN.parse(dn(name)), None, None, None, 1
            )
            for name, csn in services.items()
        },
    )


class Heart:
    """A pulse and its directory; `missed` and `changed` say how often the pulse has told either."""

    def __init__(self, settings: HandoverSettings = SETTINGS) -> None:
        self.directory = FakeDirectory(server("me"))
        self.record = FakeHeartbeatRecord()
        self.settings = settings
        self.heartbeat = Heartbeat(self.directory.writer, settings, self.record)
        self.said = StatusReport()
        self.missed = self.changed = 0

    @property
    def entry(self) -> Entry | None:
        """The status entry as the directory has it."""
        return self.directory.model.named(STATUS)

    def value(self, name: str) -> list[str]:
        """The values of an attribute of it."""
        assert self.entry is not None
        return [value.decode() for value in self.entry.attributes.get(name.lower(), ())]

    async def beat(self) -> Entry:
        """Send one heartbeat; the entry as it is then."""
        before = self.entry
        task = self.run()
        await until(lambda: self.entry != before)
        await self.end(task)
        assert self.entry is not None
        return self.entry

    def restart(self) -> None:
        """Another agent begins, on the same machine and with what the first one has left."""
        self.heartbeat = Heartbeat(self.directory.writer, self.settings, self.record)

    def run(self) -> asyncio.Task[None]:
        return asyncio.create_task(
            self.heartbeat.run(lambda: DN.parse(ME), lambda: self.said, self._miss, self._change)
        )

    async def end(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def confirm(self, entry: Entry, at_s: float, *states: str) -> bool:
        """An entry comes back that the provider has stamped then; whether it confirms a heartbeat.

        `states` are the change numbers of the states that the search has brought by then.
        """
        return self.heartbeat.confirm(replace(entry, csn=stamped(at_s)), brought(*states))

    def _miss(self) -> None:
        self.missed += 1

    def _change(self) -> None:
        self.changed += 1
