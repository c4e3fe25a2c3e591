"""A record in the history of a service (`cn=history` below it): what happened, when, why, and who began it.

A record is one line of JSON that begins with its time in UTC, so that records sort as text. A line that cannot be
understood is left out: an agent of another version may have written it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from math import isfinite
from typing import Any, Final

from relocd.model import names
from relocd.model.entries import Attributes, Entry

__all__ = [
    "KEPT",
    "Happened",
    "HistoryRecord",
    "decoded",
    "encoded",
    "is_change_of_holder",
    "last_change",
    "new_history",
    "now",
    "records_of",
    "surplus",
    "utc_text",
    "values_of",
]

KEPT: Final = 50
"""So many records of a service stay."""
_LONGEST: Final = 400
_LONGEST_READ: Final = 4000
_GENERATIONS: Final = 10**18


class Happened(StrEnum):
    """What happened to a service on a server.

    - `served`: it has become the holder, and serves.
    - `given back`: the same, because the server that had taken the service over gave it back.
    - `failed`: it became the holder and could not activate the service.
    - `released`: it was the holder and gave the service up to no server in particular.
    - `refused`: it could not do what the directory asks of it, so nothing has changed.
    - `unhealthy`, `recovered`: a health check has failed, or passes again.
    """

    SERVED = "served"
    GIVEN_BACK = "given back"
    FAILED = "failed"
    RELEASED = "released"
    REFUSED = "refused"
    UNHEALTHY = "unhealthy"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class HistoryRecord:
    """One record. Servers and whoever began it are DNs as text, empty where there is none.

    - `server` wrote it; `source` and `target` are the former and the new holder.
    - `rule` is empty where no rule applies; `reason` is in words.
    - `by` is the identity that began it: a person, a trigger, or an agent.
    - `took_ms`: from the moment when the new holder saw that it is the holder until it served.
    """

    at: datetime
    event: Happened
    server: str
    generation: int | None = None
    source: str = ""
    target: str = ""
    rule: str = ""
    reason: str = ""
    by: str = ""
    took_ms: float | None = None


def now() -> datetime:
    """The time of a record that is made now, in UTC, to the millisecond."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def utc_text(at: datetime) -> str:
    """A time as records and notifications have it: ISO 8601 in UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def is_change_of_holder(record: HistoryRecord) -> bool:
    """Whether the service has another holder since, or none."""
    return record.event in {Happened.SERVED, Happened.GIVEN_BACK, Happened.RELEASED}


def values_of(record: HistoryRecord) -> dict[str, Any]:
    """The record as JSON values, the time first; what is empty is left out."""
    values = {
        "at": utc_text(record.at),
        "event": str(record.event),
        "generation": record.generation,
        "server": record.server,
        "from": record.source,
        "to": record.target,
        "rule": record.rule,
        "reason": record.reason[:_LONGEST],
        "by": record.by[:_LONGEST],
        "took_ms": None if record.took_ms is None else round(record.took_ms, 1),
    }
    return {name: value for name, value in values.items() if value not in {None, ""}}


def encoded(record: HistoryRecord) -> str:
    """The record as a value of `relocHistoryRecord`: one line of ASCII, which ldapsearch shows as it is."""
    return json.dumps(values_of(record), separators=(",", ":"))


def decoded(text: str) -> HistoryRecord | None:
    """The record of a value; None for what is no record of a version that is known here."""
    if len(text) > _LONGEST_READ:
        return None
    try:
        values = json.loads(text)
        return _record(values) if isinstance(values, dict) else None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _record(values: Mapping[str, Any]) -> HistoryRecord:
    generation, took_ms = values.get("generation"), float(values.get("took_ms", "nan"))
    at = datetime.fromisoformat(values["at"])
    if at.tzinfo is None:
        raise ValueError("a time without its zone")
    return HistoryRecord(
        at=at.astimezone(UTC),
        event=Happened(values["event"]),
        server=str(values.get("server", "")),
        generation=generation if isinstance(generation, int) and 0 <= generation < _GENERATIONS else None,
        source=str(values.get("from", "")),
        target=str(values.get("to", "")),
        rule=str(values.get("rule", "")),
        reason=str(values.get("reason", "")),
        by=str(values.get("by", "")),
        took_ms=took_ms if isfinite(took_ms) else None,
    )


def records_of(entry: Entry) -> tuple[HistoryRecord, ...]:
    """The records in a history, the oldest first."""
    texts = sorted(_texts(entry.attributes, names.HISTORY_RECORD))
    found = (decoded(text) for text in texts)
    return tuple(sorted((each for each in found if each is not None), key=lambda record: record.at))


def last_change(entry: Entry) -> HistoryRecord | None:
    """The record of the last change of holder, None where there is none."""
    return next((decoded(text) for text in _texts(entry.attributes, names.LAST_CHANGE)), None)


def _texts(attributes: Attributes, name: str) -> Iterable[str]:
    return (value.decode(errors="replace") for value in attributes.get(name.lower(), ()))


def surplus(values: Iterable[bytes]) -> tuple[bytes, ...]:
    """The oldest values that have to go so that one more can come."""
    ordered = sorted(values)
    return tuple(ordered[: max(0, len(ordered) + 1 - KEPT)])


def new_history(attributes: Attributes) -> Attributes:
    """The attributes with which a history is created."""
    naming = {"objectClass": (names.HISTORY_CLASS.encode(),), "cn": (names.HISTORY_RDN.partition("=")[2].encode(),)}
    return {**naming, **attributes}
