"""The checks of a directory: facts in, findings out. Pure; `CHECKS` is the whole list.

Definitions of the schema are compared by their meaning; access rights are judged by what was tried (`acl_trials`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from relocd.doctor.directory.acl_trials import Trial
from relocd.doctor.directory.config import config_findings, has_session_log
from relocd.doctor.directory.facts import DirectoryFacts, Peer
from relocd.doctor.finding import About, DoctorKind, Finding, error, not_checked, ok, warning
from relocd.model.dn import DN
from relocd.model.entries import Cluster, Failover, csn_time_s
from relocd.schema.definitions import VERSION, definitions
from relocd.schema.versions import difference

__all__ = ["CHECKS", "between", "directory_findings", "schema_findings"]

_SCHEMA: Final = "schema"
_LOAD: Final = "load it: relocd schema --format ldif | ldapadd -Y EXTERNAL -H ldapi:/// (in slapd.conf: relocd schema)"
_UPGRADE: Final = (
    "on the host of every provider and copy, before anyone sets a new attribute: relocd schema --upgrade (with "
    "slapd.conf: the new file of relocd schema, and a restart)"
)
_ACCESS: Final = "access"
_RULES: Final = "load the rules of `relocd schema --acl` before other rules of that database"
_OWN: Final = "let the agent bind as the entry of its server, see docs/install.md"
_PROVIDER: Final = re.compile(r"[^#]*#[^#]*#([0-9a-fA-F]{1,4})#[^#]*")
_TOLERANCE_S: Final = 0.5
_LATE_S: Final = 5.0
_LIMITS: Final = 'olcLimits: dn.onelevel="ou=servers,..." size=unlimited time=unlimited (see relocd schema --acl)'


def directory_findings(facts: DirectoryFacts) -> Iterator[Finding]:
    """All findings about one directory."""
    for check in CHECKS:
        yield from check(facts)


def schema_findings(served: Iterable[str]) -> Iterator[Finding]:
    """The findings about the attribute types and object classes that a directory publishes."""
    found = difference(served)
    differs = [("lacks", found.missing), ("defines otherwise", found.other)]
    what = " and ".join(f"{word} {', '.join(names)}" for word, names in differs if names)
    if found.version is None:
        yield error(_SCHEMA, DoctorKind.SCHEMA_MISSING, "none of relocd's definitions is loaded", _LOAD)
    elif found.is_older:
        what = f"version {found.version} of the schema, an upgrade to {VERSION} is due: it {what}"
        yield warning(_SCHEMA, DoctorKind.SCHEMA_OLDER, what, _UPGRADE, names=(*found.missing, *found.other))
    elif found.is_newer:
        knows = f", which does not know {', '.join(found.unknown)}" if found.unknown else ""
        what = f"version {found.version} of the schema is newer than this relocd{knows}"
        yield warning(_SCHEMA, DoctorKind.SCHEMA_NEWER, what, "update relocd here", names=tuple(found.unknown))
    elif what:
        what = f"the schema is not as this version of relocd ships it: it {what}"
        yield error(_SCHEMA, DoctorKind.SCHEMA_DIFFERS, what, _UPGRADE, names=(*found.missing, *found.other))
    else:
        types, classes = map(len, definitions())
        yield ok(_SCHEMA, f"version {VERSION}: {types} attribute types and {classes} object classes")


def access_findings(facts: DirectoryFacts) -> Iterator[Finding]:
    """Needed acts are allowed, forbidden ones are refused, and an anonymous client reads nothing."""
    yield from _identity(facts)
    wrong = list(_wrong(facts))
    yield from wrong
    silent = [each for each in facts.tried if each.allowed is None]
    for each in silent:
        why = f"{facts.identity}: {each.trial}: the directory answers {each.answer}"
        yield not_checked(_ACCESS, DoctorKind.ACCESS_UNCLEAR, why, **_about(each.trial))
    if facts.tried and not wrong and not silent:
        allowed = sum(each.trial.allowed for each in facts.tried)
        refused = len(facts.tried) - allowed
        yield ok(_ACCESS, f"{facts.identity}: {allowed} needed acts are allowed, {refused} forbidden acts are refused")
    yield from _anonymous(facts)


def _identity(facts: DirectoryFacts) -> Iterator[Finding]:
    if facts.server is None:
        why = f"{facts.identity or 'an anonymous client'} is not a server's entry, so a server's rights cannot be tried"
        yield not_checked(
            _ACCESS,
            DoctorKind.NOT_A_SERVER,
            why,
            "run this with the agent's configuration, or with the --bind-dn of a server",
        )
    elif not facts.identity:
        yield error(
            _ACCESS,
            DoctorKind.ANONYMOUS,
            f"without an identity (anonymous) {facts.server} can neither write its status nor read secrets",
            _OWN,
        )
    elif DN.parse(facts.identity) != facts.server:
        what = f"{facts.identity} is not {facts.server}, so that what a server must not do is not refused"
        yield warning(_ACCESS, DoctorKind.OTHER_IDENTITY, what, _OWN)
    elif facts.content.server(facts.server) is not None and facts.server.key not in facts.content.statuses:
        why = "the agent has not created its cn=status yet, and creating cannot be tried"
        yield not_checked(_ACCESS, DoctorKind.NO_STATUS_YET, why)


def _wrong(facts: DirectoryFacts) -> Iterator[Finding]:
    for each in facts.tried:
        if each.allowed is not None and each.allowed != each.trial.allowed:
            kind = DoctorKind.ACCESS_TOO_WIDE if each.allowed else DoctorKind.ACCESS_DENIED
            what = f"may {each.trial}, but must not" if each.allowed else f"may not {each.trial}, but needs to"
            yield error(_ACCESS, kind, f"{facts.identity} {what}", _RULES, **_about(each.trial))


def _about(trial: Trial) -> About:
    return About(server=trial.server, service=trial.service, names=(trial.act,))


def _anonymous(facts: DirectoryFacts) -> Iterator[Finding]:
    if facts.open_secrets:
        what = f"{facts.open_secrets} services show their secrets to anonymous clients"
        yield error(_ACCESS, DoctorKind.SECRETS_OPEN, what, _RULES)
    elif facts.open_entries:
        what = f"{facts.open_entries} entries are shown to anonymous clients"
        yield warning(_ACCESS, DoctorKind.ENTRIES_OPEN, what, _RULES)


def schema(facts: DirectoryFacts) -> Iterator[Finding]:
    """The definitions, of this version."""
    yield from schema_findings(facts.definitions)


def entries(facts: DirectoryFacts) -> Iterator[Finding]:
    """One search returns all entries, and the server's own entry exists."""
    found = len(facts.content.entries)
    if facts.limit:
        who = facts.identity or "anonymous clients"
        what = f"{facts.limit} for {who} cuts off a search for all entries, as an agent makes it"
        yield error("limits", DoctorKind.LIMIT_TOO_LOW, what, f"raise it, as in {_LIMITS}")
    elif not found:
        who = facts.identity or "an anonymous client (no --bind-dn, no --external)"
        advice = "check the base, the identity, and its read access; a new directory has no entries yet"
        what = f"no entry of relocd below {facts.base} is shown to {who}"
        yield error("entries", DoctorKind.NO_ENTRIES, what, advice)
    else:
        yield ok("limits", f"{found} entries in one search")
    if facts.server is not None and found and facts.content.server(facts.server) is None:
        advice = "create it, or correct [server] dn"
        what = f"{facts.server} does not exist, cannot be read, or is not a relocServer"
        yield error("entries", DoctorKind.NO_SERVER_ENTRY, what, advice, server=facts.server.name)


def clusters(facts: DirectoryFacts) -> Iterator[Finding]:
    """What clusters prefer can come about."""
    choosing = [each for each in facts.content.clusters if each.preferred or each.failback_s is not None]
    found = [finding for each in choosing for finding in _preference(each, facts.content.members(each))]
    yield from found
    if choosing and not found:
        names = tuple(each.name for each in choosing)
        yield ok("clusters", f"preference of {', '.join(names)} can be followed", names=names)


def _preference(cluster: Cluster, members: frozenset[DN]) -> Iterator[Finding]:
    for dn in sorted(cluster.preferred - members, key=lambda each: each.key):
        what = f"{cluster.name} prefers {dn.name}, which is no member, so that it never becomes active"
        advice = f"relocClusterLink at {dn.name}, or remove the value of relocPreferred"
        yield warning("clusters", DoctorKind.PREFERRED_NO_MEMBER, what, advice, server=dn.name, names=(cluster.name,))
    if cluster.failback_s is not None and not (cluster.preferred and cluster.failover is Failover.AUTOMATIC):
        lacks = "no relocPreferred" if not cluster.preferred else f"relocFailover: {cluster.failover}"
        what = f"{cluster.name} has relocFailback, but {lacks}, so that nothing falls back"
        advice = "add relocPreferred" if not cluster.preferred else "set relocFailover: automatic"
        yield warning(
            "clusters", DoctorKind.FAILBACK_UNUSED, what, f"{advice}, or remove relocFailback", names=(cluster.name,)
        )


def syncprov(facts: DirectoryFacts) -> Iterator[Finding]:
    """Persistent searches are answered, and resumed from a session log."""
    if not facts.refresh.served and not facts.content.entries:
        why = f"{facts.base} does not exist, or this identity may not read it"
        yield not_checked("syncprov", DoctorKind.BASE_UNREADABLE, why)
    elif not facts.refresh.served:
        advice = "add the overlay syncprov to that database, see docs/install.md"
        yield error("syncprov", DoctorKind.NO_SYNCPROV, f"{facts.base} answers no persistent search (RFC 4533)", advice)
    elif facts.refresh.by_log is None:
        why = f"{facts.context} shows this identity no contextCSN, so a session log was not tried"
        yield not_checked("syncprov", DoctorKind.NO_CONTEXT_CSN, why)
    elif facts.refresh.by_log:
        yield ok("syncprov", "answers persistent searches, and resumes them from its session log")
    elif has_session_log(facts):
        yield ok("syncprov", "answers persistent searches; its session log is empty since slapd was started")
    else:
        what = "a resumed search sends every entry: there is no session log, or slapd was just started"
        advice = "set olcSpSessionlog: 10000 at the overlay syncprov of that database"
        yield warning("syncprov", DoctorKind.NO_SESSION_LOG, what, advice)


def clocks(facts: DirectoryFacts) -> Iterator[Finding]:
    """The server's own time in each heartbeat, compared with the provider's time of that write."""
    found = dict(_offsets(facts))
    for name, (offset_s, lease_s) in found.items():
        if abs(offset_s) > _TOLERANCE_S:
            what = f"the clocks of {name} and of the provider that took its heartbeat differ by {offset_s:+.1f} s"
            make = error if abs(offset_s) > lease_s / 4 else warning
            advice = "let both follow NTP (or the provider hung when it took the heartbeat)"
            yield make("clocks", DoctorKind.CLOCKS_DIFFER, what, advice, server=name, seconds=offset_s)
    ahead_s = max((csn_time_s(each) or 0.0 for each in facts.context_csns), default=0.0) - facts.now_s
    if ahead_s > _TOLERANCE_S:
        what = f"the last change of the directory is {ahead_s:.1f} s ahead of this host's clock"
        advice = "let this host and all providers follow NTP"
        yield warning("clocks", DoctorKind.DIRECTORY_AHEAD, what, advice, seconds=ahead_s)
    if not found:
        yield not_checked("clocks", DoctorKind.NO_HEARTBEAT, "no agent has written a heartbeat yet")
    elif ahead_s <= _TOLERANCE_S and all(abs(offset_s) <= _TOLERANCE_S for offset_s, _ in found.values()):
        worst_s = max(abs(offset_s) for offset_s, _ in found.values())
        yield ok("clocks", f"{len(found)} servers and their providers differ by {worst_s:.2f} s at most")


def _offsets(facts: DirectoryFacts) -> Iterator[tuple[str, tuple[float, float]]]:
    for key, status in facts.content.statuses.items():
        sent_s = _time_s(status.heartbeat)
        if status.provider_s is not None and sent_s is not None:
            yield key.partition(",")[0].partition("=")[2], (status.provider_s - sent_s, status.lease_s)


def _time_s(text: str) -> float | None:
    """A generalized time as agents write it, seconds since 1970."""
    for form in ("%Y%m%d%H%M%S.%fZ", "%Y%m%d%H%M%SZ"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    return None


CHECKS: Final[Sequence[Callable[[DirectoryFacts], Iterator[Finding]]]] = (
    schema,
    entries,
    clusters,
    syncprov,
    access_findings,
    clocks,
    config_findings,
)
"""What is checked of each directory, in order."""


def between(directories: Sequence[DirectoryFacts | Peer]) -> Iterator[Finding]:
    """Whether directories that were read one after the other have the same changes."""
    if len(directories) < 2:
        return
    newest: dict[str, tuple[str, float]] = {}
    for each in directories:
        for csn in each.context_csns:
            newest[_provider(csn)] = max((csn, each.now_s), newest.get(_provider(csn), ("", 0.0)))
    behind = list(_behind(directories, newest))
    yield from behind
    if not behind:
        yield ok("replication", f"{len(directories)} directories have the same changes of {len(newest)} providers")


def _behind(directories: Sequence[DirectoryFacts | Peer], newest: dict[str, tuple[str, float]]) -> Iterator[Finding]:
    for each in directories:
        has = {_provider(csn): csn_time_s(csn) or 0.0 for csn in each.context_csns}
        for provider, (csn, read_s) in newest.items():
            came_since_s = max(0.0, read_s - each.now_s)  # changes that were made after this one was read
            late_s = (csn_time_s(csn) or 0.0) - has.get(provider, 0.0) - came_since_s
            if late_s > _LATE_S:
                since = f"is {late_s:.0f} s behind" if provider in has else "has none of the changes of"
                what, names = f"{each.uri} {since} provider {int(provider, 16)}", (each.uri, str(int(provider, 16)))
                advice = "look at its log and its olcSyncrepl; relocd init-pair sets up a pair"
                if provider in has:
                    yield error("replication", DoctorKind.PROVIDER_BEHIND, what, advice, seconds=late_s, names=names)
                else:
                    yield error("replication", DoctorKind.PROVIDER_MISSING, what, advice, names=names)


def _provider(csn: str) -> str:
    """The number of the provider that took a change, in hexadecimal."""
    found = _PROVIDER.fullmatch(csn)
    return found[1] if found else "0"
