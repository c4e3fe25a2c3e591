"""What is told to a command or a webhook: one event, as JSON without secrets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from relocd.model.dn import DN
from relocd.model.history import Happened, HistoryRecord, utc_text, values_of

__all__ = ["Notification", "NotifiedEvent", "notification_of"]

_LONGEST: Final = 1000


class NotifiedEvent(StrEnum):
    """What may be told.

    - `holder`: a service has another holder, or none any more; this server knows.
    - `unhealthy`, `recovered`: a health check of a service here has failed, or passes again.
    - `waiting`: this server is ready to take a service over and has to wait.
    - `problem`: something on this server needs an administrator.
    - `test`: `relocd notify --test`.
    """

    HOLDER = "holder"
    UNHEALTHY = "unhealthy"
    RECOVERED = "recovered"
    WAITING = "waiting"
    PROBLEM = "problem"
    TEST = "test"


_EVENTS: Final = {
    Happened.SERVED: NotifiedEvent.HOLDER,
    Happened.GIVEN_BACK: NotifiedEvent.HOLDER,
    Happened.RELEASED: NotifiedEvent.HOLDER,
    Happened.UNHEALTHY: NotifiedEvent.UNHEALTHY,
    Happened.RECOVERED: NotifiedEvent.RECOVERED,
}


@dataclass(frozen=True, slots=True)
class Notification:
    """One event; `text` is a sentence for people, `record` what the history says, where it does."""

    at: datetime
    event: NotifiedEvent
    server: DN
    text: str
    service: DN | None = None
    record: HistoryRecord | None = None

    def encoded(self) -> bytes:
        """The event as one JSON object, on one line."""
        values: dict[str, object] = {
            "at": utc_text(self.at),
            "event": str(self.event),
            "server": self.server.name,
            "server_dn": self.server.text,
            "text": self.text[:_LONGEST],
        }
        if self.service is not None:
            values |= {"service": self.service.name, "service_dn": self.service.text}
        if self.record is not None:
            values["record"] = values_of(self.record)
        return json.dumps(values).encode() + b"\n"


def notification_of(server: DN, service: DN, record: HistoryRecord) -> Notification | None:
    """The notification of a record; None where the problems of the server tell the same."""
    event = _EVENTS.get(record.event)
    if event is None:
        return None
    return Notification(record.at, event, server, f"{service.name}: {_sentence(record)}", service, record)


def _sentence(record: HistoryRecord) -> str:
    names = {text: DN.parse(text).name for text in (record.server, record.source, record.target) if text}
    match record.event:
        case Happened.RELEASED:
            what = f"{names.get(record.source, 'a server')} released it"
        case Happened.SERVED | Happened.GIVEN_BACK:
            source = f", before {names[record.source]}" if record.source else ""
            back = ", given back" if record.event is Happened.GIVEN_BACK else ""
            what = f"{names.get(record.target, 'a server')} serves{source}{back}"
        case _:
            what = f"{record.event} on {names.get(record.server, 'a server')}"
    return f"{what}: {record.reason}" if record.reason else what
