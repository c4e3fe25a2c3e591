"""The checks of a slapd's cn=config: the database of relocd's entries. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from relocd.doctor.directory.facts import DirectoryFacts, Peer
from relocd.doctor.finding import DoctorKind, Finding, error, not_checked, ok, raised, warning
from relocd.openldap.config import Config, ConfigEntry

__all__ = ["config_findings", "has_session_log"]

_INDEXED: Final = ("objectClass", "entryUUID", "entryCSN")


def config_findings(facts: DirectoryFacts) -> Iterator[Finding]:
    """Indexes, the checking of new entries, and replication; or that cn=config cannot be read."""
    if facts.config is None:
        who = facts.identity or "an anonymous client"
        why = f"{who} may not read cn=config, so indexes and replication were not checked"
        yield not_checked(
            "cn=config",
            DoctorKind.CONFIG_UNREADABLE,
            why,
            "run this as root on the directory's own host, with --uri ldapi:///",
        )
        return
    database = facts.config.holding(facts.base)
    if database is None:
        yield not_checked("cn=config", DoctorKind.NO_DATABASE, f"it has no database for {facts.base}")
        return
    yield from _indexes(database)
    yield from _new_entries(database)
    yield from _replication(facts.config, database)
    yield from map(_copied, facts.peers)


def has_session_log(facts: DirectoryFacts) -> bool:
    """Whether the configuration has a session log; False where it cannot be read."""
    database = None if facts.config is None else facts.config.holding(facts.base)
    if facts.config is None or database is None:
        return False
    syncprov = facts.config.overlay(database, "syncprov")
    return syncprov is not None and syncprov.first("olcSpSessionlog") not in {"", "0"}


def _indexes(database: ConfigEntry) -> Iterator[Finding]:
    found = {name.lower() for value in database.values("olcDbIndex") for name in _equality(value)}
    missing = [name for name in _INDEXED if name.lower() not in found]
    if missing:
        what = f"{', '.join(missing)} not indexed for equality: each search reads the whole database"
        advice = f"add olcDbIndex: {','.join(missing)} eq to {database.dn}"
        yield warning("indexes", DoctorKind.NOT_INDEXED, what, advice, names=tuple(missing))
    else:
        yield ok("indexes", f"{', '.join(_INDEXED)} for equality")


def _equality(value: str) -> list[str]:
    """The attributes that a value of `olcDbIndex` indexes for equality, which is also slapd's default."""
    names, _, kinds = value.partition(" ")
    return names.split(",") if not kinds or "eq" in kinds.replace(" ", "").split(",") else []


def _new_entries(database: ConfigEntry) -> Iterator[Finding]:
    if database.first("olcAddContentAcl") != "TRUE":
        what = "slapd does not check each attribute of a new entry: a server could give its status a password"
        yield warning("new entries", DoctorKind.ADD_UNCHECKED, what, f"set olcAddContentAcl: TRUE at {database.dn}")


def _replication(config: Config, database: ConfigEntry) -> Iterator[Finding]:
    follows = bool(database.values("olcSyncrepl"))
    multiple = "TRUE" in {database.first("olcMultiProvider"), database.first("olcMirrorMode")}
    if follows and not multiple:
        advice = "point the agents at the provider, or make a pair by relocd init-pair"
        what = f"{database.dn} is a read-only copy, which takes no heartbeat"
        yield error("replication", DoctorKind.READ_ONLY_COPY, what, advice)
    elif follows and not config.server_ids - {0}:
        yield error(
            "replication",
            DoctorKind.NO_SERVER_ID,
            "it is one of several providers, but has no server ID",
            "set olcServerID to a different number on each",
        )
    elif follows and config.overlay(database, "accesslog") is None:
        what = "providers replicate whole entries, so of two changes at the same time one is lost"
        yield warning(
            "replication",
            DoctorKind.WHOLE_ENTRIES,
            what,
            "use delta-syncrepl (slapo-accesslog), as relocd init-pair does",
        )
    elif follows:
        yield ok("replication", f"provider {min(config.server_ids - {0})} of several, with delta-syncrepl")


def _copied(peer: Peer) -> Finding:
    """Whether this slapd may replicate from its peer, tried with its own replication identity."""
    if not peer.tried:
        why = f"{peer.uri}: this slapd does not bind there by name and password"
        return not_checked("peer", DoctorKind.PEER_NOT_TRIED, why, names=(peer.uri,))
    if peer.problem:
        return raised("peer", DoctorKind.PEER_FAILS, peer.problem, names=(peer.uri,))
    return ok("peer", f"{peer.uri} lets this slapd replicate", names=(peer.uri,))
