"""Changes of cn=config as values: planned by pure code, shown as LDIF, made by `connection` or `ldapi`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from relocd.model.ldif import attribute, remark

__all__ = ["AddEntry", "ConfigChange", "ModifyEntry", "ConfigValues", "ldif"]

ConfigValues = Mapping[str, tuple[str, ...]]

_SECRET_ATTRIBUTES: Final = frozenset({"olcrootpw", "userpassword"})
_CREDENTIALS: Final = re.compile(r'credentials=("[^"]*"|\S+)')


@dataclass(frozen=True, slots=True)
class AddEntry:
    """Create an entry. slapd numbers the entries of cn=config itself, so its DN becomes another than `dn`."""

    dn: str
    attributes: ConfigValues
    why: str


@dataclass(frozen=True, slots=True)
class ModifyEntry:
    """One modify, all or nothing. Values in `replaced` take the place of all others; none deletes the attribute."""

    dn: str
    why: str
    replaced: ConfigValues
    added: ConfigValues


ConfigChange = AddEntry | ModifyEntry


def ldif(changes: Iterable[ConfigChange]) -> str:
    """The changes as LDIF to be shown, without passwords."""
    return "\n".join("\n".join(_lines(change)) + "\n" for change in changes)


def _lines(change: ConfigChange) -> Iterator[str]:
    yield remark(change.why)
    yield attribute("dn", change.dn.encode())
    if isinstance(change, AddEntry):
        yield "changetype: add"
        for name, values in change.attributes.items():
            yield from (_line(name, value) for value in values)
        return
    yield "changetype: modify"
    for verb, attributes in (("replace", change.replaced), ("add", change.added)):
        for name, values in attributes.items():
            yield f"{verb}: {name}"
            yield from (_line(name, value) for value in values)
            yield "-"


def _line(name: str, value: str) -> str:
    shown = "(left out)" if name.lower() in _SECRET_ATTRIBUTES else _CREDENTIALS.sub("credentials=(left out)", value)
    return attribute(name, shown.encode())
