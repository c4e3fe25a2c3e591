"""`relocd schema --upgrade`: bring the schema in a running slapd's cn=config up to the version of this relocd.

slapd makes each change between two operations and goes on, and so do the agents and their searches. New attribute types
come first, then the object classes that have them. The mark of the version is in a class, so an interrupted upgrade
does not pass for a complete one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from relocd.errors import Invalid
from relocd.openldap.changes import AddEntry, ConfigChange, ModifyEntry
from relocd.openldap.config import Config, ConfigEntry
from relocd.openldap.connection import local
from relocd.openldap.syncrepl import words
from relocd.schema.definitions import VERSION, definitions
from relocd.schema.versions import Definition, SchemaDifference, by_oid, difference

__all__ = ["SchemaUpgrade", "carry_out", "planned", "schema_changes", "upgrade"]

_KINDS: Final = {"olcAttributeTypes": "attribute types", "olcObjectClasses": "object classes"}
_LOAD: Final = "load them: relocd schema --format ldif | ldapadd -Y EXTERNAL -H ldapi:///"
_BY_FILE: Final = "put the output of `relocd schema` in the place of the included file, and restart slapd"


@dataclass(frozen=True, slots=True)
class SchemaUpgrade:
    """The changes of one slapd in order, and its other providers, which need the upgrade as well."""

    changes: tuple[ConfigChange, ...]
    providers: tuple[str, ...]


def planned(socket: str) -> SchemaUpgrade:
    """What `carry_out` would do now; raises as it does."""
    with local(socket) as slapd:
        return upgrade(slapd.config())


def carry_out(socket: str, wanted: SchemaUpgrade) -> Iterator[ConfigChange]:
    """Make the changes one by one, and yield each when it is made; the next run continues an interrupted one.

    Raises `Failed` when slapd refuses, `Unavailable` when it does not answer.
    """
    with local(socket) as slapd:
        for change in wanted.changes:
            slapd.apply(change)
            yield change


def schema_changes(config: Config) -> tuple[ConfigChange, ...]:
    """The changes that load the schema or bring it up to this version; none where it is this version or newer."""
    entries = _with_definitions(config)
    if not entries:
        attributes = {"objectClass": ("olcSchemaConfig",), "cn": ("relocd",)} | dict(
            zip(_KINDS, definitions(), strict=True)
        )
        return (AddEntry("cn=relocd,cn=schema,cn=config", attributes, "the schema of relocd"),)
    return () if _found(entries).is_newer else tuple(_changes(entries))


def upgrade(config: Config) -> SchemaUpgrade:
    """The upgrade that a slapd needs; raises `Invalid` where it cannot be made here."""
    entries = _with_definitions(config)
    if config.top.first("olcConfigFile") and not config.top.first("olcConfigDir"):
        raise Invalid(f"this slapd is configured by slapd.conf, which no modify can change; {_BY_FILE}")
    if not entries:
        raise Invalid(f"this slapd has none of relocd's definitions; {_LOAD}")
    _require_not_newer(_found(entries))
    changes = tuple(_changes(entries))
    if changes:
        _require_provider(config)
    return SchemaUpgrade(changes, _providers(config))


def _with_definitions(config: Config) -> list[ConfigEntry]:
    """The entries of cn=config that have definitions of ours: one, unless an administrator has made several."""
    return [each for each in config.entries if by_oid(_texts(each))]


def _found(entries: Sequence[ConfigEntry]) -> SchemaDifference:
    return difference(text for each in entries for text in _texts(each))


def _texts(entry: ConfigEntry) -> tuple[str, ...]:
    return tuple(text for kind in _KINDS for text in entry.values(kind))


def _require_not_newer(found: SchemaDifference) -> None:
    if found.is_newer:
        beyond = f" and has {', '.join(found.unknown)}" if found.unknown else ""
        raise Invalid(
            f"the schema is version {found.version}{beyond}, which is newer than version {VERSION} of this relocd; "
            "update relocd on this host, and leave the schema as it is"
        )


def _require_provider(config: Config) -> None:
    """Raise where cn=config is a copy of another server's: slapd refuses changes of a copy."""
    own = _own_database(config)
    if own is not None and not _is_multiple(own) and (copied := _named(own)):
        raise Invalid(f"cn=config of this slapd is copied from {', '.join(copied)}; run this command there")


def _providers(config: Config) -> tuple[str, ...]:
    """The other providers of this slapd's entries, without those that share its cn=config."""
    own = _own_database(config)
    shared = () if own is None else _named(own)
    named = {uri for database in config.databases if database is not own for uri in _named(database)}
    return tuple(sorted(named - set(shared)))


def _own_database(config: Config) -> ConfigEntry | None:
    return next((each for each in config.entries if each.first("olcDatabase") == "config"), None)


def _is_multiple(database: ConfigEntry) -> bool:
    return "TRUE" in {database.first("olcMultiProvider"), database.first("olcMirrorMode")}


def _named(database: ConfigEntry) -> tuple[str, ...]:
    return tuple(words(value).get("provider", "") for value in database.values("olcSyncrepl"))


def _changes(entries: Sequence[ConfigEntry]) -> Iterator[ConfigChange]:
    """A changed definition is replaced where it is; a new one goes to the first entry that has any of its kind."""
    for kind, texts in zip(_KINDS, definitions(), strict=True):
        ours = by_oid(texts)
        known = by_oid(text for entry in entries for text in entry.values(kind))
        missing = tuple(each for oid, each in ours.items() if oid not in known)
        home = next((each for each in entries if by_oid(each.values(kind))), entries[0])
        for entry in entries:
            yield from _change(entry, kind, ours, missing if entry is home else ())


def _change(
    entry: ConfigEntry, kind: str, ours: Mapping[str, Definition], missing: tuple[Definition, ...]
) -> Iterator[ConfigChange]:
    """Replacing all values of a kind is safe while entries use them; slapd gives them their numbers again."""
    there = by_oid(entry.values(kind))
    renewed = {each.text: ours[oid] for oid, each in there.items() if oid in ours and ours[oid] != each}
    names = ", ".join(each.name for each in (*missing, *renewed.values()))
    why = f"{_KINDS[kind]} of schema version {VERSION}: {names}"
    added = tuple(each.text for each in missing)
    if renewed:
        kept = (renewed[text].text if text in renewed else text for text in entry.values(kind))
        yield ModifyEntry(entry.dn, why, replaced={kind: (*kept, *added)}, added={})
    elif added:
        yield ModifyEntry(entry.dn, why, replaced={}, added={kind: added})
