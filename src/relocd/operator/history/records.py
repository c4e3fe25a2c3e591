"""The records of one service, of all that a server had a part in, or of all services; once, or as they come."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from relocd.errors import Invalid
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Entry, csn_time_s
from relocd.model.history import HistoryRecord, records_of
from relocd.operator.directory import Directory
from relocd.operator.lookup import matching, one

__all__ = ["PERIOD_S", "Told", "Wanted", "following", "told", "wanted"]

PERIOD_S: Final = 1.0
"""How often a directory is asked for what is new."""
_CLOCKS_DIFFER_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Told:
    """A record and the service that it is about."""

    service: DN
    record: HistoryRecord


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records: of one service, those that name one server, or all; and since when."""

    service: DN | None = None
    server: DN | None = None
    since: datetime | None = None

    def includes(self, each: Told) -> bool:
        """Whether a record is one of them."""
        if self.since is not None and each.record.at < self.since:
            return False
        if self.service is not None and each.service != self.service:
            return False
        return self.server is None or self.server.key in _servers(each.record)


def _servers(record: HistoryRecord) -> set[str]:
    return {name.lower() for name in (record.server, record.source, record.target) if name}


def wanted(directory: Directory, name: str | None, since: datetime | None) -> Wanted:
    """What is asked for; `name` is the cn or DN of a service or a server. Raises `Invalid` for neither and for both."""
    if name is None:
        return Wanted(since=since)
    found: dict[str, DN] = {}
    problems = []
    for kind in (names.SERVICE_CLASS, names.SERVER_CLASS):
        try:
            found[kind] = one(directory, kind, name).dn
        except Invalid as problem:
            problems.append(str(problem))
    if len(found) == 2:
        raise Invalid(f"{name!r} is a service and a server; give the DN of one")
    if not found:
        raise Invalid("; ".join(problems))
    return Wanted(found.get(names.SERVICE_CLASS), found.get(names.SERVER_CLASS), since)


def told(directory: Directory, asked: Wanted) -> tuple[Told, ...]:
    """The records there are, the oldest first."""
    return _sorted(asked, _entries(directory, asked, ""))


def following(directory: Directory, asked: Wanted, seen: set[tuple[str, str]]) -> Iterator[tuple[Told, ...]]:
    """The records that are new, again and again; `seen` keeps those that were yielded, across sessions."""
    newest = ""
    while True:
        entries = _entries(directory, asked, newest)
        new = [each for each in _sorted(asked, entries) if _identity(each) not in seen]
        seen |= {_identity(each) for each in new}
        yield tuple(new)
        newest = max([newest, *(entry.csn for entry in entries)])
        time.sleep(PERIOD_S)


def _identity(each: Told) -> tuple[str, str]:
    return each.service.key, repr(each.record)


def _sorted(asked: Wanted, entries: tuple[Entry, ...]) -> tuple[Told, ...]:
    found = (Told(entry.dn.parent, record) for entry in entries for record in records_of(entry))
    return tuple(sorted(filter(asked.includes, found), key=lambda each: (each.record.at, each.record.generation or 0)))


def _entries(directory: Directory, asked: Wanted, newest: str) -> tuple[Entry, ...]:
    """The histories that may have what is asked for; of many only those that were changed about `newest` or later."""
    filter_ = matching(names.HISTORY_CLASS, *_changed_since(newest))
    if asked.service is not None:
        found = directory.named(asked.service.below(names.HISTORY_RDN), matching(names.HISTORY_CLASS))
        return () if found is None else (found,)
    return directory.entries(filter_, (names.HISTORY_RECORD,))


def _changed_since(newest: str) -> Iterator[str]:
    """The filter for entries changed since shortly before a CSN: the clocks of two providers are never quite equal."""
    at_s = csn_time_s(newest)
    if at_s is not None:
        moment = datetime.fromtimestamp(at_s - _CLOCKS_DIFFER_S, UTC)
        yield f"(entryCSN>={moment:%Y%m%d%H%M%S.%f}Z#000000#000#000000)"
