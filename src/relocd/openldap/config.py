"""The entries of `cn=config` (slapd-config(5)) as values: databases in their order, overlays, modules. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from relocd.model.dn import DN
from relocd.openldap.changes import AddEntry, ConfigChange, ModifyEntry

__all__ = ["Config", "ConfigEntry", "loaded"]

_ORDER: Final = re.compile(r"^\{-?\d+\}")
_MODULES: Final = "/usr/lib/ldap"


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """One entry of cn=config; names of attributes are in lower case."""

    dn: str
    attributes: Mapping[str, tuple[str, ...]]

    def values(self, name: str) -> tuple[str, ...]:
        """The values of an attribute in order, without the numbers that give the order."""
        return tuple(_ORDER.sub("", value) for value in self.attributes.get(name.lower(), ()))

    def first(self, name: str) -> str:
        """The only value of an attribute, empty where there is none."""
        return next(iter(self.values(name)), "")


@dataclass(frozen=True, slots=True)
class Config:
    """All entries of cn=config."""

    entries: tuple[ConfigEntry, ...]

    def database(self, suffix: DN) -> ConfigEntry | None:
        """The database with a suffix."""
        return next((each for each in self.databases if _is_rooted(each, suffix)), None)

    def holding(self, base: DN) -> ConfigEntry | None:
        """The database that has an entry: its suffix is that DN or one above it."""
        while base.text.strip():
            found = self.database(base)
            if found is not None:
                return found
            base = base.parent
        return None

    @property
    def databases(self) -> tuple[ConfigEntry, ...]:
        """Every database with a suffix, in the order in which slapd tries them."""
        return tuple(each for each in self.entries if each.first("olcDatabase") and each.first("olcSuffix"))

    def overlay(self, database: ConfigEntry, name: str) -> ConfigEntry | None:
        """An overlay of a database, None where it has none of that name."""
        parent = f",{database.dn.lower()}"
        overlays = (each for each in self.entries if each.dn.lower().endswith(parent))
        return next((each for each in overlays if each.first("olcOverlay") == name), None)

    @property
    def top(self) -> ConfigEntry:
        """The entry of the global settings."""
        return next((each for each in self.entries if each.dn.lower() == "cn=config"), ConfigEntry("cn=config", {}))

    @property
    def server_ids(self) -> frozenset[int]:
        """The server IDs, several where each is given with a URL; none is 0."""
        return frozenset(int(value.split()[0], 0) for value in self.top.values("olcServerID"))

    @property
    def ca_file(self) -> str:
        """The CA certificates that this slapd trusts, empty for those of the system."""
        return self.top.first("olcTLSCACertificateFile")

    @property
    def has_certificate(self) -> bool:
        """Whether this slapd can serve TLS."""
        return any(self.top.first(name) for name in ("olcTLSCertificateFile", "olcTLSCertificate;binary"))

    @property
    def schemas(self) -> frozenset[str]:
        """The names of the schemas that are loaded."""
        parent = ",cn=schema,cn=config"
        return frozenset(each.first("cn") for each in self.entries if each.dn.lower().endswith(parent))

    @property
    def module_list(self) -> ConfigEntry | None:
        """The entry that loads modules."""
        return next((each for each in self.entries if "olcModuleList" in each.values("objectClass")), None)

    @property
    def modules(self) -> frozenset[str]:
        """The names of the modules that are loaded, without folder and suffix."""
        lists = (each for each in self.entries if "olcModuleList" in each.values("objectClass"))
        return frozenset(PurePosixPath(name).stem for each in lists for name in each.values("olcModuleLoad"))


def _is_rooted(database: ConfigEntry, suffix: DN) -> bool:
    return any(DN.parse(value) == suffix for value in database.values("olcSuffix"))


def loaded(config: Config, *names: str) -> tuple[ConfigChange, ...]:
    """The change that loads those of the modules that are not loaded yet."""
    missing = tuple(name for name in names if name not in config.modules)
    if not missing:
        return ()
    why = f"the modules {', '.join(missing)}"
    if config.module_list is not None:
        return (ModifyEntry(config.module_list.dn, why, replaced={}, added={"olcModuleLoad": missing}),)
    attributes = {"objectClass": ("olcModuleList",), "olcModulePath": (_MODULES,), "olcModuleLoad": missing}
    return (AddEntry("cn=module,cn=config", attributes, why),)
