"""`relocd init-pair`: make the slapd of this machine one of a pair that shares relocd's entries."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from relocd.errors import Failed, Invalid
from relocd.model.dn import DN
from relocd.openldap.changes import Change
from relocd.openldap.connection import SlapdServer, bound_locally, local
from relocd.openldap.pair_plan import Pair, PairPlan, first_entries, pair_plan

__all__ = ["init_pair", "planned"]


def planned(socket: str, pair: Pair, *, create: bool) -> tuple[Change, ...]:
    """What `init_pair` would change now; raises as it does."""
    with local(socket) as slapd:
        changes = _plan(slapd, pair).changes
        entries = first_entries(pair) if create else ()
        return (*changes, *(entry for entry in entries if changes or not slapd.exists(entry.dn)))


def init_pair(socket: str, pair: Pair, *, create: bool) -> Iterator[Change]:
    """Make the changes one by one, and give each out when it is made; those that were made before are left out.

    With `create` also the first entries. Raises `Invalid` for what stands in the way, `Failed` when slapd refuses,
    `Unavailable` when it does not answer; what was done until then stays, and the next run goes on from there.
    """
    with local(socket) as slapd:
        plan = _plan(slapd, pair)
        _make_folders(plan)
        for change in plan.changes:
            slapd.apply(change)
            yield change
    if create:
        with bound_locally(socket, pair.replicator, pair.password) as slapd:
            for entry in first_entries(pair):
                if not slapd.exists(entry.dn):
                    slapd.apply(entry)
                    yield entry


def _plan(slapd: SlapdServer, pair: Pair) -> PairPlan:
    plan = pair_plan(slapd.config(), pair)
    if slapd.config().database(DN.parse(pair.suffix)) is None and slapd.exists(pair.suffix):
        raise Invalid(
            f"{pair.suffix} is in the database of the data already, where nobody would see it any more; move it away "
            f"first: slapcat -H 'ldap:///{pair.suffix}??sub', ldapdelete -r, and ldapadd once this is done"
        )
    return plan


def _make_folders(plan: PairPlan) -> None:
    """Create what is missing as the owner of the pattern: slapd does not run as root."""
    for folder in map(Path, plan.folders):
        try:
            owner = Path(plan.like).stat()
            folder.mkdir(mode=0o700, exist_ok=True)
            os.chown(folder, owner.st_uid, owner.st_gid)
        except OSError as error:
            raise Failed(f"{folder} cannot be made as {plan.like} is: {error.strerror}; run this as root") from error
