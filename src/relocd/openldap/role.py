"""The role that a data suffix of slapd should have here, and the changes of cn=config that lead to it. Pure.

A provider accepts writes. A consumer replicates from the primary (RFC 4533, refreshAndPersist) and refers clients that
write to it. Both have the overlay syncprov, so a promotion is one modify of one entry, all or nothing.

Between the two roles a provider is closed, that is read-only: its consumers get its last writes before the address of
the service leaves. It must not become a consumer earlier: the address is still its own, so it would connect to itself,
and slapd answers no client while a change of cn=config waits for a consumer in the first second of its connection.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final, Literal

from relocd.errors import Invalid
from relocd.model.dn import DN
from relocd.openldap.changes import AddEntry, ConfigChange, ModifyEntry
from relocd.openldap.config import Config, ConfigEntry, loaded
from relocd.openldap.syncrepl import Consumer, follows

__all__ = ["WantedRole", "as_consumer", "changes", "closing_changes", "data_database", "is_provider", "wanted_role"]

_SESSION_LOG: Final = "10000"
_CHECKPOINT: Final = "1 1"
"""slapd stores contextCSN after each write; otherwise, after a crash, lost writes could not be named."""


@dataclass(frozen=True, slots=True)
class WantedRole:
    """The content of the file that the template set renders; `primary` is the URI of the provider.

    `active` says whether the service runs here, whatever the role of the suffix.
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
    """The role that a file describes; raises `Invalid` for an unusable one, without any value of the file."""
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
        raise Invalid(
            f"{path}: the keys {differing} are missing or unknown; have this version's template set render it"
        )
    kinds = {"active": bool, "starttls": bool, "rid": int}
    for name, value in document.items():
        kind = kinds.get(name, str)
        if type(value) is not kind:
            raise Invalid(f"{path}: {name} is not of type {kind.__name__}; have this version's template set render it")
        if isinstance(value, str) and (not value.isprintable() or '"' in value):
            raise Invalid(
                f"{path}: {name} has a quote or an unprintable character, which slapd does not accept; change it"
            )
    for name in ("suffix", "bind_dn"):
        if not _is_dn(str(document[name])):
            raise Invalid(f"{path}: {name} is not a DN; correct the parameter")
    if document["role"] not in {"provider", "consumer"}:
        raise Invalid(f'{path}: role is neither "provider" nor "consumer"; have this version\'s template set render it')


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
    """The database of the suffix; raises `Invalid` when there is none, or one whose role must not be changed."""
    root = DN.parse(suffix)
    database = config.database(root)
    if database is None:
        known = ", ".join(value for each in config.databases for value in each.values("olcSuffix"))
        raise Invalid(f"no database of this slapd has the suffix {suffix} (it has {known}); create it first")
    if database.first("olcMultiProvider") == "TRUE":
        raise Invalid(f"{suffix} is multi-provider: it has no single primary; remove `openldap` from the service")
    for each in config.databases:
        if each.first("olcSubordinate") not in {"", "FALSE"} and DN.parse(each.first("olcSuffix")).is_within(root):
            raise Invalid(
                f"{each.first('olcSuffix')} is a subordinate database of {suffix}: a refresh of {suffix} would delete "
                "its entries (slapd 2.5); remove olcSubordinate"
            )
    return database


def is_provider(database: ConfigEntry) -> bool:
    """Whether the database accepts writes."""
    return not database.first("olcSyncrepl")


def changes(config: Config, wanted: WantedRole) -> tuple[ConfigChange, ...]:
    """The changes to make, in order; none when the role is right. Raises as `data_database` does."""
    database = data_database(config, wanted.suffix)
    return (*loaded(config, "syncprov"), *_syncprov(config, database), *_role(database, wanted))


def closing_changes(config: Config, wanted: WantedRole) -> tuple[ConfigChange, ...]:
    """The change that makes a provider read-only; none for a consumer. Raises as `data_database` does."""
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


def _syncprov(config: Config, database: ConfigEntry) -> tuple[ConfigChange, ...]:
    found = config.overlay(database, "syncprov")
    if found is not None:
        checkpoint = {"olcSpCheckpoint": (_CHECKPOINT,)}
        kept = found.first("olcSpCheckpoint") == _CHECKPOINT
        return () if kept else (ModifyEntry(found.dn, "no write is forgotten by a crash", checkpoint, {}),)
    attributes = {
        "objectClass": ("olcSyncProvConfig",),
        "olcOverlay": ("syncprov",),
        "olcSpCheckpoint": (_CHECKPOINT,),
        "olcSpSessionlog": (_SESSION_LOG,),
    }
    return (AddEntry(f"olcOverlay=syncprov,{database.dn}", attributes, "consumers can replicate from it"),)


def _role(database: ConfigEntry, wanted: WantedRole) -> tuple[ConfigChange, ...]:
    if wanted.role == "provider":
        present = [name for name in ("olcSyncrepl", "olcUpdateRef") if database.first(name)]
        replaced: dict[str, tuple[str, ...]] = dict.fromkeys(present, ())
        why = f"{wanted.suffix} becomes the primary"
    else:
        replaced = {} if follows(database, wanted.consumer) else {"olcSyncrepl": (wanted.consumer.value,)}
        if database.values("olcUpdateRef") != (wanted.primary,):
            replaced["olcUpdateRef"] = (wanted.primary,)
        why = f"{wanted.suffix} replicates from {wanted.primary}"
    if _is_closed(database):
        replaced["olcReadOnly"] = ("FALSE",)
    return (ModifyEntry(database.dn, why, replaced=replaced, added={}),) if replaced else ()
