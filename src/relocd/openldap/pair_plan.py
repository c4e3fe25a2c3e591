"""The control suffix of a pair of base servers: the changes of cn=config that make this node one of the two. Pure.

relocd's entries get a database of their own that both nodes write to, so that a failover can be written while the other
node is dead. It is not a `subordinate` database: in slapd 2.5 a refresh of the suffix above deletes the entries in one.

- The database comes before that of the suffix above it; otherwise slapd looks for its entries there.
- Changes are replicated as changes, not as whole entries (delta-syncrepl): two changes of one entry, made on both nodes
  at the same moment, both survive. For that each node logs its writes in a third database (slapo-accesslog).
- The replication user is the rootdn of both databases. It needs no entry, so the first refresh can run without one.

Its password is stored as `{SSHA}` (RFC 2307): salted SHA-1, which slapd knows without a module.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from relocd.errors import Invalid
from relocd.model.dn import DN
from relocd.openldap.changes import AddEntry, ConfigChange, ModifyEntry
from relocd.openldap.config import Config, ConfigEntry, loaded
from relocd.openldap.schema_upgrade import schema_changes
from relocd.openldap.syncrepl import EVERY_SECOND, Consumer, follows
from relocd.schema.acl import access, limits
from relocd.schema.acl_rules import Roles

__all__ = ["LOG_SUFFIX", "Pair", "PairPlan", "first_entries", "hashed", "is_of", "pair_plan"]

LOG_SUFFIX: Final = "cn=relocd-log"
_RID: Final = 990
_LOG_KEPT: Final = "0+01:00 0+00:05"
"""Heartbeats fill the log. A node that was down for more than an hour reads all entries again, which are few."""
_INDEX: Final = ("objectClass eq", "entryUUID eq", "entryCSN eq")
_CONTROL_BYTES: Final = 1 << 30
_LOG_BYTES: Final = 4 << 30
_FOLDERS: Final = ("servers", "services", "clusters")
_SCHEME: Final = "{SSHA}"
_SALT_BYTES: Final = 8
_SHA1_BYTES: Final = 20


@dataclass(frozen=True, slots=True)
class Pair:
    """What this node should be. `peer` is the URI of the other node; empty names mean what slapd has already."""

    suffix: str
    server_id: int
    peer: str
    password: str
    administrators: str = ""
    triggers: str = ""
    starttls: bool = True
    folder: str = ""

    @property
    def replicator(self) -> str:
        """The replication user."""
        return f"cn=replicator,{self.suffix}"

    @property
    def consumer(self) -> Consumer:
        """How this node replicates from the other one."""
        log = f'syncdata=accesslog logbase="{LOG_SUFFIX}" logfilter="(&(objectClass=auditWriteObject)(reqResult=0))"'
        return Consumer(_RID, self.peer, self.suffix, self.replicator, self.password, self.starttls, log, EVERY_SECOND)


@dataclass(frozen=True, slots=True)
class PairPlan:
    """`folders` must exist and belong to the owner of the folder `like` before the changes are made, in order."""

    folders: tuple[str, ...]
    like: str
    changes: tuple[ConfigChange, ...]


def pair_plan(config: Config, pair: Pair) -> PairPlan:
    """The changes that make this node one of the pair; none when it is. Raises `Invalid` where they cannot be made."""
    _check(config, pair)
    control, log = config.database(DN.parse(pair.suffix)), config.database(DN.parse(LOG_SUFFIX))
    above = _above(config, pair)
    places = _Places(config, control, log, above)
    like = _like(config, above)
    folder = PurePosixPath(pair.folder or PurePosixPath(like) / "relocd")
    missing = {str(folder / "control"): control, str(folder / "log"): log}
    changes = (
        *_server_id(config, pair),
        *loaded(config, "back_mdb", "syncprov", "accesslog"),
        *schema_changes(config),
        *_control_database(control, places.control, _roles(pair, above), pair, str(folder / "control")),
        *_log_database(log, places.log, pair, str(folder / "log")),
        *_overlays(config, control, log, places),
        *_membership(control, places.control, pair),
    )
    wanted = tuple(path for path, database in missing.items() if database is None)
    return PairPlan((str(folder), *wanted) if wanted else (), like, changes)


def first_entries(pair: Pair) -> tuple[AddEntry, ...]:
    """The suffix and the folders below it, to be created on one node; they are replicated to the other."""
    name = DN.parse(pair.suffix).name
    top = AddEntry(pair.suffix, _unit(name), "where relocd's entries begin")
    return (top, *(AddEntry(f"ou={each},{pair.suffix}", _unit(each), f"for {each}") for each in _FOLDERS))


def _unit(name: str) -> dict[str, tuple[str, ...]]:
    return {"objectClass": ("organizationalUnit",), "ou": (name,)}


def _check(config: Config, pair: Pair) -> None:
    if not pair.suffix.lower().startswith("ou="):
        raise Invalid(f"--suffix {pair.suffix} does not begin with ou=, as in ou=relocd,dc=example,dc=org")
    if not 1 <= pair.server_id <= 4095:
        raise Invalid(f"--server-id {pair.server_id} is not between 1 and 4095; use 1 on one node and 2 on the other")
    if not pair.password or not pair.password.isprintable() or '"' in pair.password:
        raise Invalid("the password of --password-file is empty or has a quote or an unprintable character; change it")
    if config.server_ids - {0} and pair.server_id not in config.server_ids:
        known = ", ".join(map(str, sorted(config.server_ids)))
        raise Invalid(f"this slapd already has the server ID {known}; give that as --server-id")
    if pair.starttls and not config.has_certificate:
        raise Invalid(
            "this slapd has no certificate, so its peer cannot replicate by StartTLS; set olcTLSCertificateFile, "
            "olcTLSCertificateKeyFile and olcTLSCACertificateFile in cn=config first, or give --no-tls on both nodes"
        )
    control = config.database(DN.parse(pair.suffix))
    if control is not None and control.first("olcSubordinate") not in {"", "FALSE"}:
        raise Invalid(
            f"the database of {pair.suffix} is subordinate: in slapd 2.5 a refresh of the suffix above deletes its "
            "entries; remove olcSubordinate from it"
        )
    if control is not None and DN.parse(control.first("olcRootDN") or "cn=none") != DN.parse(pair.replicator):
        raise Invalid(
            f"the database of {pair.suffix} has another rootdn than {pair.replicator}; relocd did not create it"
        )


def _above(config: Config, pair: Pair) -> ConfigEntry | None:
    """The database of the suffix above."""
    suffix = DN.parse(pair.suffix)
    below = (each for each in config.databases if DN.parse(each.first("olcSuffix")) != suffix)
    return next((each for each in below if suffix.is_within(DN.parse(each.first("olcSuffix")))), None)


def _like(config: Config, above: ConfigEntry | None) -> str:
    """The folder of an existing database, which gives place and owner of ours."""
    databases = ([] if above is None else [above]) + list(config.databases)
    found = next((each.first("olcDbDirectory") for each in databases if each.first("olcDbDirectory")), "")
    if not found:
        raise Invalid(
            "this slapd has no database yet, whose folder would give place and owner; create that of the data first"
        )
    return found


def _roles(pair: Pair, above: ConfigEntry | None) -> Roles:
    administrators = pair.administrators or ("" if above is None else above.first("olcRootDN"))
    if not administrators:
        raise Invalid("--admins is needed, the DN of a group or an entry: without it no one may change anything")
    return Roles(pair.suffix, administrators, pair.triggers)


class _Places:
    """The DNs that our databases have or will have: slapd numbers databases in the order in which it tries them."""

    def __init__(
        self, config: Config, control: ConfigEntry | None, log: ConfigEntry | None, above: ConfigEntry | None
    ) -> None:
        last = max((_number(each) for each in config.databases), default=0)
        at = last + 1 if above is None else _number(above)
        moved = control is None  # everything from there on gets the next number
        self.control = _database(at) if control is None else control.dn
        if log is None:
            self.log = _database(last + 1 + moved)
        else:
            self.log = _database(_number(log) + (moved and _number(log) >= at))


def _database(number: int) -> str:
    return f"olcDatabase={{{number}}}mdb,cn=config"


def _number(database: ConfigEntry) -> int:
    return int(database.dn.partition("{")[2].partition("}")[0])


def _server_id(config: Config, pair: Pair) -> Iterator[ConfigChange]:
    if pair.server_id not in config.server_ids:
        yield ModifyEntry("cn=config", "the server ID of this provider", {"olcServerID": (str(pair.server_id),)}, {})


def _control_database(
    found: ConfigEntry | None, dn: str, roles: Roles, pair: Pair, folder: str
) -> Iterator[ConfigChange]:
    """The database. Its access rules are written only once: slapd rewrites them, so they cannot be compared."""
    if found is None:
        attributes = _database_attributes(pair.suffix, pair, folder, _CONTROL_BYTES) | {
            "olcRootPW": (hashed(pair.password),),
            "olcDbIndex": _INDEX,
            "olcAddContentAcl": ("TRUE",),
            "olcLimits": limits(roles),
            "olcAccess": access(roles),
        }
        yield AddEntry(dn, attributes, f"the database of {pair.suffix}")
    elif not is_of(pair.password, found.first("olcRootPW")):
        yield ModifyEntry(dn, "the replication password", {"olcRootPW": (hashed(pair.password),)}, {})


def _log_database(found: ConfigEntry | None, dn: str, pair: Pair, folder: str) -> Iterator[ConfigChange]:
    if found is None:
        index = {"olcDbIndex": ("reqStart,reqEnd,reqResult eq", *_INDEX), "olcAccess": ("to * by * none",)}
        attributes = _database_attributes(LOG_SUFFIX, pair, folder, _LOG_BYTES) | index
        yield AddEntry(dn, attributes, "the log of changes, from which the peer replicates")


def _database_attributes(suffix: str, pair: Pair, folder: str, max_bytes: int) -> dict[str, tuple[str, ...]]:
    return {
        "objectClass": ("olcDatabaseConfig", "olcMdbConfig"),
        "olcSuffix": (suffix,),
        "olcRootDN": (pair.replicator,),
        "olcDbDirectory": (folder,),
        "olcDbMaxSize": (str(max_bytes),),
    }


def _overlays(
    config: Config, control: ConfigEntry | None, log: ConfigEntry | None, places: _Places
) -> Iterator[ConfigChange]:
    if log is None or config.overlay(log, "syncprov") is None:
        options = {"olcSpNoPresent": ("TRUE",), "olcSpReloadHint": ("TRUE",)}
        yield _overlay("syncprov", "olcSyncProvConfig", places.log, options, "the peer follows the log")
    if control is None or config.overlay(control, "syncprov") is None:
        options = {"olcSpCheckpoint": ("100 5",), "olcSpSessionlog": ("10000",)}
        yield _overlay("syncprov", "olcSyncProvConfig", places.control, options, "agents follow the database")
    if control is None or config.overlay(control, "accesslog") is None:
        logged = {"olcAccessLogDB": (LOG_SUFFIX,), "olcAccessLogOps": ("writes",), "olcAccessLogSuccess": ("TRUE",)}
        options = logged | {"olcAccessLogPurge": (_LOG_KEPT,)}
        yield _overlay("accesslog", "olcAccessLogConfig", places.control, options, "each change is logged")


def _overlay(name: str, object_class: str, database: str, options: Mapping[str, tuple[str, ...]], why: str) -> AddEntry:
    return AddEntry(
        f"olcOverlay={name},{database}", {"objectClass": (object_class,), "olcOverlay": (name,), **options}, why
    )


def _membership(control: ConfigEntry | None, dn: str, pair: Pair) -> Iterator[ConfigChange]:
    replaced = {}
    if control is None or not follows(control, pair.consumer):
        replaced["olcSyncrepl"] = (pair.consumer.value,)
    if control is None or control.first("olcMultiProvider") != "TRUE":
        replaced["olcMultiProvider"] = ("TRUE",)
    if replaced:
        yield ModifyEntry(dn, f"replicate from {pair.peer}, and accept writes", replaced, {})


def hashed(password: str) -> str:
    """The password with a new salt."""
    return _ssha(password, secrets.token_bytes(_SALT_BYTES))


def is_of(password: str, stored: str) -> bool:
    """Whether a stored value, hashed or in plain text, is that of the password."""
    if not stored.startswith(_SCHEME):
        return hmac.compare_digest(stored.encode(), password.encode())
    try:
        salt = base64.b64decode(stored.removeprefix(_SCHEME), validate=True)[_SHA1_BYTES:]
    except binascii.Error:
        return False
    return hmac.compare_digest(stored, _ssha(password, salt))


def _ssha(password: str, salt: bytes) -> str:
    digest = hashlib.sha1(password.encode() + salt, usedforsecurity=False).digest()
    return _SCHEME + base64.b64encode(digest + salt).decode()
