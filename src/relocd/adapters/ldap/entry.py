"""The result of a search as values, the same for the feed and for direct reads."""

from __future__ import annotations

from typing import Final

from relocd.errors import Invalid
from relocd.model.dn import DN
from relocd.model.entries import Entry, EntryUUID

__all__ = ["ATTRIBUTES", "entry_of"]

ATTRIBUTES: Final = ["*", "entryUUID", "entryCSN"]
"""All user attributes, and the two operational ones with identity (RFC 4530) and last change."""


def entry_of(dn: str, values: dict[str, list[bytes]]) -> Entry:
    """The entry of a search result; raises `Invalid` when its DN is malformed or entryUUID is missing."""
    attributes = {name.lower(): tuple(each) for name, each in values.items()}
    uuid = _operational(attributes.pop("entryuuid", ()))
    if not uuid:
        raise Invalid(f"{dn} shows no entryUUID; this identity must be allowed to read it")
    csn = _operational(attributes.pop("entrycsn", ()))
    return Entry(EntryUUID(uuid.lower()), DN.parse(dn), csn, attributes)


def _operational(values: tuple[bytes, ...]) -> str:
    """The one value of an operational attribute, empty where the server shows none."""
    return values[0].decode("ascii", errors="replace") if values else ""
