"""What a persistent search delivers (RFC 4533), one frozen value for each thing that can happen, in order."""

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
    """A new search began at `uri`; `fresh` when it sent no cookie, so that the refresh names every entry."""

    uri: str
    fresh: bool


@dataclass(frozen=True, slots=True)
class Upsert:
    """An entry was added, modified or renamed: its whole content now."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Deleted:
    """Entries that are gone."""

    uuids: tuple[EntryUUID, ...]


@dataclass(frozen=True, slots=True)
class Present:
    """Entries that exist unchanged (present phase of a refresh)."""

    uuids: tuple[EntryUUID, ...]


@dataclass(frozen=True, slots=True)
class PresentPhaseEnd:
    """The present phase is over: what it did not name is gone."""


@dataclass(frozen=True, slots=True)
class RefreshDone:
    """The refresh is complete; what follows arrives as it happens."""


@dataclass(frozen=True, slots=True)
class Cookie:
    """The state of the content so far, all providers merged; store it only with the content it belongs to.

    It is not `resumable` while a provider stamps changes with older numbers than this one holds: a search from it would
    pass over them.
    """

    value: str
    resumable: bool = True


@dataclass(frozen=True, slots=True)
class SearchLost:
    """The search ended or could not start; `reason` says why and what to do. The feed tries again by itself."""

    reason: str


SyncEvent = Started | Upsert | Deleted | Present | PresentPhaseEnd | RefreshDone | Cookie | SearchLost
