"""Writes that a former primary has and the new primary has not, compared over LDAP.

A primary may take a write that its consumer never gets. When it follows the other one later, slapd 2.5 keeps such a
write for ever and reports nothing: an entry that was modified is newer than the primary's, and an entry that was
deleted is not sent again. So these entries are named until an administrator has dealt with them. `is_ahead` and
`differing` are pure.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Final

from relocd.errors import Failed, Invalid, RelocdError, Unavailable
from relocd.openldap.connection import Identity, SlapdServer, Version, local, remote
from relocd.openldap.role import WantedRole
from relocd.sync.session import SyncCookie

__all__ = ["differing", "is_ahead", "lost_writes", "require_same_writes"]

_PAUSE_S: Final = 0.2
_SHOWN: Final = 5


def is_ahead(ours: Collection[str], theirs: Collection[str]) -> bool:
    """Whether our contextCSN values cover a change that theirs do not; both have some."""
    return SyncCookie.of(ours).is_ahead_of(SyncCookie.of(theirs))


def differing(mine: Mapping[str, Version], theirs: Mapping[str, Version], ours: Collection[str]) -> tuple[str, ...]:
    """The DNs of the entries whose difference only a write here explains; both are given by entryUUID.

    Such an entry is newer here, or exists only here, or is gone here although our contextCSN (`ours`) covers the change
    that made it. An entry that is newer at the other one is only on its way.
    """
    changed = [each.dn for uuid, each in mine.items() if uuid not in theirs or each.csn > theirs[uuid].csn]
    deleted = [each.dn for uuid, each in theirs.items() if uuid not in mine and _is_known(each.csn, ours)]
    return tuple(sorted({*changed, *deleted}))


def require_same_writes(socket: str, wanted: WantedRole, ca_file: str, patience_s: float) -> None:
    """Raise `Failed` while this server has writes that the primary has not, `Unavailable` while that is unknown."""
    deadline = time.monotonic() + patience_s
    identity = _identity(wanted, ca_file)
    with local(socket) as slapd:
        while problem := _problem(slapd, wanted, identity):
            if time.monotonic() > deadline:
                raise problem
            time.sleep(_PAUSE_S)


def lost_writes(socket: str, wanted: WantedRole, ca_file: str) -> tuple[str, ...]:
    """The DNs of all entries that were written here and not at the primary; raises `Unavailable` as above."""
    with local(socket) as slapd:
        return _lost_writes(slapd, wanted, _identity(wanted, ca_file))


def _identity(wanted: WantedRole, ca_file: str) -> Identity:
    return Identity(wanted.bind_dn, wanted.password, wanted.starttls, ca_file)


def _problem(slapd: SlapdServer, wanted: WantedRole, identity: Identity) -> RelocdError | None:
    try:
        found = _lost_writes(slapd, wanted, identity)
    except Unavailable as error:
        return Unavailable(f"{error}; whether this server has writes that the primary has not is unknown")
    return Failed(_advice(wanted, found)) if found else None


def _lost_writes(slapd: SlapdServer, wanted: WantedRole, identity: Identity) -> tuple[str, ...]:
    """The DNs of entries that were written here and not at the primary."""
    with remote(wanted.primary, identity) as primary:
        ours, theirs = slapd.context_csns(wanted.suffix), primary.context_csns(wanted.suffix)
        for csns, who in ((theirs, f"{wanted.primary} shows {wanted.bind_dn}"), (ours, "this slapd shows root")):
            if not csns:
                what = f"{who} no contextCSN of {wanted.suffix}: it is not loaded yet, or not readable"
                raise Unavailable(f"{what}; slapd's log says why nothing is replicated")
        if not is_ahead(ours, theirs):
            return ()
        mine = slapd.versions(wanted.suffix)  # before the primary: a change between the reads is not ours
        return differing(mine, primary.versions(wanted.suffix), ours)


def _advice(wanted: WantedRole, found: tuple[str, ...]) -> str:
    more = f"; and {len(found) - _SHOWN} more, see relocd-openldap lost" if len(found) > _SHOWN else ""
    shown = "; ".join(found[:_SHOWN]) + more
    return (
        f"{len(found)} entries of {wanted.suffix} were written here and never reached {wanted.primary}: {shown}. "
        "Write what you need of them to the primary; then stop slapd, empty the folder of its database and start slapd"
    )


def _is_known(csn: str, ours: Collection[str]) -> bool:
    try:
        return not SyncCookie.of([csn]).is_ahead_of(SyncCookie.of(ours))
    except Invalid:
        return False  # an entry without a usable CSN, from before replication was set up
