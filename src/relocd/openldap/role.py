"""The role that a data suffix of slapd shall have here, and the changes of cn=config that lead to it. Pure.

A provider takes writes. A consumer follows the primary (RFC 4533, refreshAndPersist) and refers who writes to it. Both
have the overlay syncprov, so that a promotion is one modify of one entry, which slapd carries out whole or not at all.

Between the two a provider is closed: read-only, so that its consumers get its last writes before the service's address
goes. It must not follow before that: it would talk to itself, and slapd answers nobody while a change of its
configuration waits for a consumer in the first second of its connection.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final, Literal

from relocd.errors import Invalid
from relocd.model.dn import DN
from relocd.openldap.changes import AddEntry, Change, ModifyEntry
from relocd.openldap.config import Config, ConfigEntry, loaded
from relocd.openldap.syncrepl import Consumer, follows

__all__ = ["WantedRole", "as_consumer", "changes", "closing_changes", "data_database", "is_provider", "wanted_role"]

_SESSION_LOG: Final = "10000"
_CHECKPOINT: Final = "1 1"
"""How far it is, slapd writes down after each write: after a crash it knows no more, and a lost write has no name."""


@dataclass(frozen=True, slots=True)
class WantedRole:
    """The file that the template set renders; `primary` is the URI of whoever is the provider.

    `active` says whether the service runs here, in whichever role of the suffix.
    """

    active: bool
    suffix: str
    role: Literal["provider", "consumer"]
    primary: str
    bind_dn: str
    password: str
    starttls: bool
    rid: int

    @property
    def consumer(self) -> Consumer:
        """How the database follows the primary."""
        return Consumer(self.rid, self.primary, self.suffix, self.bind_dn, self.password, self.starttls)


def wanted_role(path: Path) -> WantedRole:
    """The role that a file asks for; raises `Invalid`, without any value of the file, for one that cannot be used."""
    try:
        document: dict[str, object] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        why = type(error).__name__  # its text may quote a line of the file
        raise Invalid(f"{path} cannot be read ({why}); the template set `openldap` writes it") from error
    _check(path, document)
    return WantedRole(**document)  # type: ignore[arg-type]  # checked just now


def _check(path: Path, document: Mapping[str, object]) -> None:
    names = {field.name for field in fields(WantedRole)}
    if document.keys() != names:
        differing = ", ".join(sorted(document.keys() ^ names))
        raise Invalid(f"{path}: the keys {differing} are missing or unknown; render it anew by this version's set")
    kinds = {"active": bool, "starttls": bool, "rid": int}
    for name, value in document.items():
        kind = kinds.get(name, str)
        if type(value) is not kind:
            raise Invalid(f"{path}: {name} is no {kind.__name__}; render it anew by this version's set")
        if isinstance(value, str) and (not value.isprintable() or '"' in value):
            raise Invalid(f"{path}: {name} has a quote or an unprintable character, which slapd cannot take; change it")
    for name in ("suffix", "bind_dn"):
        if not _is_dn(str(document[name])):
            raise Invalid(f"{path}: {name} is no DN, which slapd would not take; correct the parameter")
    if document["role"] not in {"provider", "consumer"}:
        raise Invalid(f'{path}: role is neither "provider" nor "consumer"; render it anew by this version\'s set')


def _is_dn(text: str) -> bool:
    try:
        DN.parse(text)
    except Invalid:
        return False
    return True


def as_consumer(wanted: WantedRole) -> WantedRole:
    """The same database as a consumer, whatever the file says."""
    return replace(wanted, role="consumer")


def data_database(config: Config, suffix: str) -> ConfigEntry:
    """The database of the suffix; raises `Invalid` when there is none, or one whose role is not ours to change."""
    root = DN.parse(suffix)
    database = config.database(root)
    if database is None:
        known = ", ".join(value for each in config.databases for value in each.values("olcSuffix"))
        raise Invalid(f"no database of this slapd has the suffix {suffix} (it has {known}); create it first")
    if database.first("olcMultiProvider") == "TRUE":
        raise Invalid(f"{suffix} is multi-provider: it has no one primary; take `openldap` off the service")
    for each in config.databases:
        if each.first("olcSubordinate") not in {"", "FALSE"} and DN.parse(each.first("olcSuffix")).is_within(root):
            raise Invalid(
                f"{each.first('olcSuffix')} is a subordinate database of {suffix}: a refresh of {suffix} would delete "
                "its entries (slapd 2.5); remove olcSubordinate"
            )
    return database


def is_provider(database: ConfigEntry) -> bool:
    """Whether the database takes writes of its own."""
    return not database.first("olcSyncrepl")


def changes(config: Config, wanted: WantedRole) -> tuple[Change, ...]:
    """What is to be changed, in order; nothing when all is as it shall be. Raises as `data_database` does."""
    database = data_database(config, wanted.suffix)
    return (*loaded(config, "syncprov"), *_syncprov(config, database), *_role(database, wanted))


def closing_changes(config: Config, wanted: WantedRole) -> tuple[Change, ...]:
    """What makes a provider take no more writes; nothing for a consumer. Raises as `data_database` does."""
    database = data_database(config, wanted.suffix)
    if not is_provider(database) or _is_closed(database):
        return ()
    return (
        ModifyEntry(
            database.dn, f"{wanted.suffix} takes no more writes", replaced={"olcReadOnly": ("TRUE",)}, added={}
        ),
    )


def _is_closed(database: ConfigEntry) -> bool:
    return database.first("olcReadOnly") == "TRUE"


def _syncprov(config: Config, database: ConfigEntry) -> tuple[Change, ...]:
    found = config.overlay(database, "syncprov")
    if found is not None:
        checkpoint = {"olcSpCheckpoint": (_CHECKPOINT,)}
        kept = found.first("olcSpCheckpoint") == _CHECKPOINT
        return () if kept else (ModifyEntry(found.dn, "a crash makes it forget no write", checkpoint, {}),)
    attributes = {
        "objectClass": ("olcSyncProvConfig",),
        "olcOverlay": ("syncprov",),
        "olcSpCheckpoint": (_CHECKPOINT,),
        "olcSpSessionlog": (_SESSION_LOG,),
    }
    return (AddEntry(f"olcOverlay=syncprov,{database.dn}", attributes, "consumers can follow it"),)


def _role(database: ConfigEntry, wanted: WantedRole) -> tuple[Change, ...]:
    if wanted.role == "provider":
        present = [name for name in ("olcSyncrepl", "olcUpdateRef") if database.first(name)]
        replaced: dict[str, tuple[str, ...]] = dict.fromkeys(present, ())
        why = f"{wanted.suffix} becomes the primary"
    else:
        replaced = {} if follows(database, wanted.consumer) else {"olcSyncrepl": (wanted.consumer.value,)}
        if database.values("olcUpdateRef") != (wanted.primary,):
            replaced["olcUpdateRef"] = (wanted.primary,)
        why = f"{wanted.suffix} follows {wanted.primary}"
    if _is_closed(database):
        replaced["olcReadOnly"] = ("FALSE",)
    return (ModifyEntry(database.dn, why, replaced=replaced, added={}),) if replaced else ()
