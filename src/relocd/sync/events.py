"""The events of a persistent search (RFC 4533) as frozen values, in the order in which they happen."""

from __future__ import annotations

from dataclasses import dataclass

from relocd.model.entries import Entry, EntryUUID

__all__ = [
    "Cookie",
    "Deleted",
    "SearchLost",
    "Present",
    "PresentPhaseEnd",
    "RefreshDone",
    "Started",
    "SyncEvent",
    "Upsert",
]


@dataclass(frozen=True, slots=True)
class Started:
    """A search began at `uri`; `fresh` when it sent no cookie, so that the refresh sends every entry."""

    uri: str
    fresh: bool


@dataclass(frozen=True, slots=True)
class Upsert:
    """An entry was added, modified or renamed; `entry` is its present state."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Deleted:
    """Entries were deleted, or are no longer within the search."""

    uuids: tuple[EntryUUID, ...]


@dataclass(frozen=True, slots=True)
class Present:
    """Entries exist unchanged (present phase of a refresh)."""

    uuids: tuple[EntryUUID, ...]


@dataclass(frozen=True, slots=True)
class PresentPhaseEnd:
    """The present phase has ended: an entry that was neither named nor sent is gone."""


@dataclass(frozen=True, slots=True)
class RefreshDone:
    """The refresh is complete; from here on each change is sent when it is made."""


@dataclass(frozen=True, slots=True)
class Cookie:
    """Up to which change of each provider the events so far are current; store it only together with their result.

    It is not `resumable` while a provider stamps changes with older CSNs than this cookie has: a search from it would
    miss them.
    """

    value: str
    resumable: bool = True


@dataclass(frozen=True, slots=True)
class SearchLost:
    """The search ended or could not start; `reason` says why and what to do. The feed retries by itself."""

    reason: str


SyncEvent = Started | Upsert | Deleted | Present | PresentPhaseEnd | RefreshDone | Cookie | SearchLost
