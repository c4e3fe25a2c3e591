"""A link: a syncrepl message says that a server has it, and the server raises the service's address.

Directory, kernel, units, files and templates are in memory (`tests.support`). relocd's own code decodes the message.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from uuid import UUID

from relocd.model.settings import HandoverSettings
from relocd.sync.messages import ENUMERATED, OCTETS, SEQUENCE, EntryState, encoded, sync_state
from relocd.sync.session import Session
from tests.journeys.recorder import Journey, Recorder, once
from tests.support.entries import server
from tests.support.fakes import until
from tests.unit.agent.lab import SETTINGS, Lab, web

__all__ = ["LEASE_S", "PLANS", "link"]

PLANS: Final = ("reconcile/diff.py", "actions")
_RAISE: Final = ("tests/support/fakes.py", "add")
LEASE_S: Final = 60.0  # so no heartbeat is due meanwhile


async def link() -> Journey:
    """Trace a link, from the message to the call that raises the address."""
    lab = Lab(server("me"), web())
    recorder = Recorder({PLANS: once}, end=_RAISE)
    async with lab.agent(replace(SETTINGS, handover=HandoverSettings(lease_s=LEASE_S))):
        lab.directory.refresh()
        await until(lambda: lab.said.is_ready)
        recorder.start()
        _receive(lab)
        await lab.serving()
    title = "link: from the syncrepl message to the raised address"
    return recorder.journey(title, plans=recorder.calls[PLANS])


def _receive(lab: Lab) -> None:
    """What the provider sends when the link is written: the entry with its Sync State control (RFC 4533)."""
    entry = server("me", services=["web"])
    lab.directory.model.put(entry)
    uuid = UUID(entry.uuid).bytes
    control = encoded(SEQUENCE, encoded(ENUMERATED, bytes([EntryState.MODIFY])), encoded(OCTETS, uuid))
    lab.directory.feed.tell(Session(None).entry(sync_state(control), entry))
