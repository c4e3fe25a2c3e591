"""Entries of which two directories have different copies, although each knows later changes of the same provider. Pure.

slapd writes a change into its database first, and then into the log from which its peer replicates. One that dies in
between has a change that the peer never gets. Two changes of one entry that cross can leave the same. Later changes of
other entries are replicated all the same, so nothing reports it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

from relocd.doctor.directory.facts import DirectoryFacts
from relocd.doctor.finding import DoctorKind, Finding, error
from relocd.model.entries import Cluster, Server
from relocd.sync.session import SyncCookie

__all__ = ["copies_that_differ"]

_LATER_S: Final = 5.0
_ADVICE: Final = (
    "decide which is right; if it is a link: relocd link SERVICE SERVER or relocd unlink SERVICE SERVER at each of the "
    "two (--uri) that lacks it or has it wrongly"
)


def copies_that_differ(directories: Sequence[DirectoryFacts]) -> Iterator[Finding]:
    """An error for each server or cluster that two directories show differently, and no change on its way explains."""
    for first, second in combinations(directories, 2):
        cookies = [SyncCookie.of(each.context_csns) for each in (first, second)]
        theirs = {each.dn: each for each in second.content.choosing}
        for one in first.content.choosing:
            other = theirs.get(one.dn)
            if other is None or _choice(one) == _choice(other):
                continue
            newest = max(one.changed.csn, other.changed.csn)
            if all(cookie.ahead_s(newest) > _LATER_S for cookie in cookies):
                what = f"{one.dn} is not the same at {first.uri} and {second.uri}, though both have later changes"
                yield error("copies", DoctorKind.COPIES_DIFFER, what, _ADVICE, names=(first.uri, second.uri))


def _choice(entry: Server | Cluster) -> object:
    """What an entry says about who runs what."""
    if isinstance(entry, Server):
        return entry.service_links, entry.cluster_links, entry.fenced
    return entry.service_links, entry.active
