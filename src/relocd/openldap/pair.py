"""`relocd init-pair`: make the slapd of this machine one of a pair that shares relocd's entries."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from relocd.errors import Failed, Invalid
from relocd.model.dn import DN
from relocd.openldap.changes import ConfigChange
from relocd.openldap.connection import SlapdServer, bound_locally, local
from relocd.openldap.pair_plan import Pair, PairPlan, first_entries, pair_plan

__all__ = ["init_pair", "planned"]


def planned(socket: str, pair: Pair, *, create: bool) -> tuple[ConfigChange, ...]:
    """The changes that `init_pair` would make now; raises as it does."""
    with local(socket) as slapd:
        changes = _plan(slapd, pair).changes
        entries = first_entries(pair) if create else ()
        return (*changes, *(entry for entry in entries if changes or not slapd.exists(entry.dn)))


def init_pair(socket: str, pair: Pair, *, create: bool) -> Iterator[ConfigChange]:
    """Make the missing changes one by one, and yield each when it is made; with `create` also the first entries.

    Raises `Invalid` where the present configuration forbids it, `Failed` when slapd refuses, `Unavailable` when it does
    not answer. The changes made until then stay, and the next run continues.
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
            f"{pair.suffix} exists in the database of the data and would be hidden by the new database; move it there: "
            f"slapcat -H 'ldap:///{pair.suffix}??sub', ldapdelete -r, this command, then ldapadd"
        )
    return plan


def _make_folders(plan: PairPlan) -> None:
    """Create the missing folders for the owner of the folder `like`: slapd does not run as root."""
    for folder in map(Path, plan.folders):
        try:
            owner = Path(plan.like).stat()
            folder.mkdir(mode=0o700, exist_ok=True)
            os.chown(folder, owner.st_uid, owner.st_gid)
        except OSError as error:
            raise Failed(
                f"{folder} cannot be created with the owner of {plan.like}: {error.strerror}; run this as root"
            ) from error
