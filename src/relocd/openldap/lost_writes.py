"""Which writes one server has and the other has not, from what both say of their entries. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from relocd.errors import Invalid
from relocd.openldap.connection import Version
from relocd.sync.cookie import SyncCookie

__all__ = ["differing", "is_ahead"]


def is_ahead(ours: Collection[str], theirs: Collection[str]) -> bool:
    """Whether contextCSN values, of which each has some, say that we know a change which they do not know."""
    return SyncCookie.of(ours).is_ahead_of(SyncCookie.of(theirs))


def differing(mine: Mapping[str, Version], theirs: Mapping[str, Version], ours: Collection[str]) -> tuple[str, ...]:
    """The names of the entries, by their entryUUID, that only a write here explains.

    Those are newer here, or here alone, or gone here although the change that made them is known here (`ours` is our
    contextCSN). What the other has newer is only on its way.
    """
    changed = [each.dn for uuid, each in mine.items() if uuid not in theirs or each.csn > theirs[uuid].csn]
    deleted = [each.dn for uuid, each in theirs.items() if uuid not in mine and _is_known(each.csn, ours)]
    return tuple(sorted({*changed, *deleted}))


def _is_known(csn: str, ours: Collection[str]) -> bool:
    try:
        return not SyncCookie.of([csn]).is_ahead_of(SyncCookie.of(ours))
    except Invalid:
        return False  # an entry without a usable number, from before there was replication
