"""Comparing a server that follows with the primary: has it writes that never got there? Over ldap3, after the change.

A former primary may have taken such writes. slapd 2.5 keeps them for ever and says nothing: what was modified is newer
than what the primary has, what was deleted is not sent again. So they are named until somebody has dealt with them.
"""

from __future__ import annotations

import time
from typing import Final

from relocd.errors import Failed, RelocdError, Unavailable
from relocd.openldap.connection import Identity, SlapdServer, local, remote
from relocd.openldap.lost_writes import differing, is_ahead
from relocd.openldap.role import WantedRole

__all__ = ["lost_writes", "require_same_writes"]

_PAUSE_S: Final = 0.2
_SHOWN: Final = 5


def require_same_writes(socket: str, wanted: WantedRole, ca_file: str, patience_s: float) -> None:
    """Raise `Failed` while this server has writes that the primary has not, `Unavailable` while nobody can say."""
    deadline = time.monotonic() + patience_s
    identity = _identity(wanted, ca_file)
    with local(socket) as slapd:
        while problem := _problem(slapd, wanted, identity):
            if time.monotonic() > deadline:
                raise problem
            time.sleep(_PAUSE_S)


def lost_writes(socket: str, wanted: WantedRole, ca_file: str) -> tuple[str, ...]:
    """The names of all entries that were written here and not at the primary; raises as `require_same_writes` does."""
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
    """The names of entries that were written here and not at the primary."""
    with remote(wanted.primary, identity) as primary:
        ours, theirs = slapd.context_csns(wanted.suffix), primary.context_csns(wanted.suffix)
        for csns, who in ((theirs, f"{wanted.primary} shows {wanted.bind_dn}"), (ours, "this slapd shows root")):
            if not csns:
                what = f"{who} no contextCSN of {wanted.suffix}: it is not loaded yet, or not readable"
                raise Unavailable(f"{what}; slapd's log says why a copy does not come")
        if not is_ahead(ours, theirs):
            return ()
        mine = slapd.versions(wanted.suffix)  # before the other: what comes in between is no difference of ours
        return differing(mine, primary.versions(wanted.suffix), ours)


def _advice(wanted: WantedRole, found: tuple[str, ...]) -> str:
    more = f"; and {len(found) - _SHOWN} more, see relocd-openldap lost" if len(found) > _SHOWN else ""
    shown = "; ".join(found[:_SHOWN]) + more
    return (
        f"{len(found)} entries of {wanted.suffix} were written here and never reached {wanted.primary}: {shown}. "
        "Write there what is needed of them; then stop slapd, empty the database's folder and start slapd"
    )
