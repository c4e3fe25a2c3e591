"""What of the mirror outlives a restart of the agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from relocd.model.entries import EntryUUID
from relocd.sync.index import Record

__all__ = ["Saved"]


@dataclass(frozen=True, slots=True)
class Saved:
    """What outlives a restart: the cookie, the records that it belongs to without their values, and known identities.

    `me` is the identity of this server's entry, `former` the identity by each former name that is still used.
    """

    cookie: str
    me: EntryUUID | None
    former: Mapping[str, EntryUUID]
    records: tuple[Record, ...]
