"""The directory as a person or a trigger meets it, over ldap3: reading entries of relocd, and one modify."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import ldap3
from ldap3.core import exceptions, results
from ldap3.utils.conv import escape_filter_chars

from relocd.errors import Failed, Invalid
from relocd.model.dn import DN
from relocd.model.entries import Entry, EntryUUID
from relocd.model.parse import SEARCH_FILTER
from relocd.model.writes import Add, Change, Conflict, Delete, Done, Lost, Modification, Replace
from relocd.operator.access import Access
from relocd.operator.connection import first_answer

__all__ = ["Access", "Directory", "entries", "equals", "on_directory"]

_T = TypeVar("_T")
_PAGE: Final = 500
_KINDS: Final = {Add: ldap3.MODIFY_ADD, Delete: ldap3.MODIFY_DELETE, Replace: ldap3.MODIFY_REPLACE}
_CONFLICTS: Final = {
    results.RESULT_NO_SUCH_ATTRIBUTE: Conflict.NO_SUCH_ATTRIBUTE,
    results.RESULT_ATTRIBUTE_OR_VALUE_EXISTS: Conflict.VALUE_EXISTS,
    results.RESULT_NO_SUCH_OBJECT: Conflict.NO_SUCH_OBJECT,
}


def entries(access: Access) -> tuple[Entry, ...]:
    """Every server, cluster and service below the base that this identity may read.

    Raises `Unavailable` when no directory answers, `Failed` when one refuses, `Invalid` for a wrong option.
    """
    return on_directory(access, lambda directory: directory.entries(SEARCH_FILTER))


def on_directory(access: Access, work: Callable[[Directory], _T]) -> _T:
    """What `work` makes of the first directory that answers; it begins again with the next when one falls silent."""
    return first_answer(access, lambda connection: work(Directory(connection, access.base)))


def equals(attribute: str, value: str) -> str:
    """The filter for entries with that value (RFC 4515)."""
    return f"({attribute}={escape_filter_chars(value)})"


class Directory:
    """One bound connection, and where relocd's entries begin."""

    def __init__(self, connection: ldap3.Connection, base: str) -> None:
        self._connection = connection
        try:
            self.base = DN.parse(base)
        except Invalid as error:
            raise Invalid(f"--base or RELOCD_BASE: {error}") from error

    def entries(self, filter_: str, attributes: tuple[str, ...] = ("*",)) -> tuple[Entry, ...]:
        """The entries below the base that match a filter, with these of their attributes."""
        found = self._connection.extend.standard.paged_search(
            self.base.written,
            filter_,
            attributes=[*attributes, "entryUUID", "entryCSN"],
            paged_size=_PAGE,
            generator=True,
        )
        read = tuple(_entry(item) for item in found if item["type"] == "searchResEntry")
        self._check_whole()
        return read

    def named(self, dn: DN, filter_: str) -> Entry | None:
        """The entry of that name, where there is one that matches the filter."""
        try:
            self._connection.search(dn.written, filter_, ldap3.BASE, attributes=["*", "entryUUID", "entryCSN"])
        except exceptions.LDAPNoSuchObjectResult:
            return None
        return next((_entry(item) for item in self._connection.response if item["type"] == "searchResEntry"), None)

    def modify(self, modification: Modification) -> Done | Lost:
        """Write it, unless the entry is not as it expects."""
        changes: dict[str, list[tuple[str, list[bytes]]]] = {}
        for change in modification.changes:
            changes.setdefault(change.attribute, []).append(_as_ldap3(change))
        try:
            self._connection.modify(modification.dn.written, changes)
        except exceptions.LDAPOperationResult as error:
            if error.result not in _CONFLICTS:
                raise
            return Lost(_CONFLICTS[error.result], error.message)
        self._check_taken()
        return Done()

    def compare(self, dn: DN, attribute: str, value: bytes) -> bool:
        """Whether the entry has that value (RFC 4511, section 4.10)."""
        return bool(self._connection.compare(dn.written, attribute, value))

    def _check_taken(self) -> None:
        """A read-only copy that refers to its provider has written nothing, and ldap3 does not raise that."""
        result = self._connection.result
        if result["result"] == results.RESULT_REFERRAL:
            raise exceptions.LDAPReferralResult(
                result["result"], result["description"], result["dn"], result["message"], result["type"]
            )

    def _check_whole(self) -> None:
        """A part of the directory would show links to entries that are only missing here."""
        if self._connection.result["result"] != results.RESULT_SUCCESS:
            what = self._connection.result["description"]
            raise Failed(
                f"{self._connection.server.name} gave only a part ({what}); "
                "raise the size limit for the identity you bind with"
            )


def _as_ldap3(change: Change) -> tuple[str, list[bytes]]:
    if type(change) not in _KINDS:
        raise TypeError(f"no command of an operator does this: {change}")
    return _KINDS[type(change)], list(change.values)  # type: ignore[union-attr]


def _entry(item: dict[str, Any]) -> Entry:
    raw: dict[str, list[bytes]] = item["raw_attributes"]
    attributes = {name.lower(): tuple(values) for name, values in raw.items()}
    try:
        dn = DN.parse(item["dn"])
    except Invalid as error:
        raise Failed(f"the directory shows an entry whose name cannot be understood: {error}") from error
    return Entry(
        uuid=EntryUUID(_first(attributes, "entryuuid")),
        dn=dn,
        csn=_first(attributes, "entrycsn"),
        attributes=attributes,
    )


def _first(attributes: dict[str, tuple[bytes, ...]], name: str) -> str:
    return next(iter(attributes.get(name, ())), b"").decode(errors="replace")
