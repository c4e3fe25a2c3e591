"""A session with the directory, over ldap3: one connection and one bind, on which entries are read and written.

Here are also TLS, StartTLS and the three ways to bind (`bound`).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import ldap3
from ldap3.core import exceptions, results
from ldap3.utils.conv import escape_filter_chars

from relocd.config.password_file import first_line
from relocd.errors import Failed, Invalid, Unavailable
from relocd.model.dn import DN
from relocd.model.entries import Entry, EntryUUID
from relocd.model.parse import SEARCH_FILTER
from relocd.model.uri import DirectoryUri
from relocd.model.writes import Add, Change, Conflict, Delete, Done, Lost, Modification, Replace
from relocd.openldap import ldap3_errors
from relocd.openldap.connection import Tls, close
from relocd.openldap.ldap3_errors import NotFound, Refused, Remedies
from relocd.openldap.ldapi import SOCKET
from relocd.operator.access import Access

__all__ = ["bound", "translated", "Access", "Directory", "Item", "entries", "entry_of", "equals", "on_directory"]

# libldap's defaults for a URI without host or socket, which ldap3 does not know. Debian's slapd has its socket there.
_HERE: Final = {"host": "localhost", "socket": SOCKET}
_REMEDIES: Final = Remedies(
    credentials="check the DN and the password you bind with",
    refused="check --base and the identity you bind with",
    elsewhere="name another directory by --uri",
    settings="check --ca-file, --uri, and the files of the certificate",
    certificate="use a name that its certificate has, and name the CA that signed it by --ca-file",
    silent="check --uri and whether slapd runs",
)


@contextmanager
def bound(uri: str, access: Access) -> Iterator[ldap3.Connection]:
    """A connection to one directory, bound as the access says; raises `Unavailable`, `Failed` or `Invalid`.

    What is done with it raises the exceptions of ldap3; wrap that in `translated`.
    """
    where = DirectoryUri.parse(uri)
    with translated(uri):
        connection = _connection(where, access)
    try:
        with translated(uri):
            connection.open()
            if access.starttls and where.scheme == "ldap":  # the others are protected already
                connection.start_tls()
            connection.bind()
        yield connection
    finally:
        close(connection)


def translated(uri: str) -> AbstractContextManager[None]:
    """Raise what ldap3 raises within as an error of relocd, with what a person can do about it."""
    return ldap3_errors.translated(uri, _REMEDIES)


def _connection(where: DirectoryUri, access: Access) -> ldap3.Connection:
    return ldap3.Connection(
        _server(where, access),
        raise_exceptions=True,
        auto_referrals=False,
        receive_timeout=access.timeout_s,  # ldap3 packs it as whole seconds
        auto_bind=ldap3.AUTO_BIND_NONE,
        check_names=False,  # names are parsed and written by relocd, and ldap3 refuses some that are right
        **_identity(access),
    )


def _server(uri: DirectoryUri, access: Access) -> ldap3.Server:
    tls = Tls(
        validate=ssl.CERT_REQUIRED,
        ca_certs_file=_path(access.ca_file),
        local_certificate_file=_path(access.cert_file),
        local_private_key_file=_path(access.key_file),
    )
    return ldap3.Server(uri.written(**_HERE), connect_timeout=access.timeout_s, get_info=ldap3.NONE, tls=tls)


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _identity(access: Access) -> dict[str, Any]:
    if access.external:
        return {"authentication": ldap3.SASL, "sasl_mechanism": ldap3.EXTERNAL, "sasl_credentials": ""}
    if access.bind_dn:
        if access.password_file is None:
            raise Invalid("--bind-dn needs --password-file, a file whose first line is the password")
        return {"user": access.bind_dn, "password": first_line(access.password_file)}
    return {}


_T = TypeVar("_T")
Item = dict[str, Any]
"""One message of a search, as ldap3 gives it."""

_PAGE: Final = 500
_ATTRIBUTES: Final = ("*", "entryUUID", "entryCSN")
_KINDS: Final = {Add: ldap3.MODIFY_ADD, Delete: ldap3.MODIFY_DELETE, Replace: ldap3.MODIFY_REPLACE}
_CONFLICTS: Final = {
    results.RESULT_NO_SUCH_ATTRIBUTE: Conflict.NO_SUCH_ATTRIBUTE,
    results.RESULT_ATTRIBUTE_OR_VALUE_EXISTS: Conflict.VALUE_EXISTS,
    results.RESULT_NO_SUCH_OBJECT: Conflict.NO_SUCH_OBJECT,
}


def entries(access: Access) -> tuple[Entry, ...]:
    """Every server, cluster and service below the base that this identity may read; raises as `on_directory`."""
    return on_directory(access, lambda directory: directory.entries(SEARCH_FILTER))


def on_directory(access: Access, work: Callable[[Directory], _T]) -> _T:
    """What `work` returns in a session with the first directory that answers.

    When a directory stops answering in the middle of the work, the work starts again with the next URI. So it must be
    safe to do twice: reads, and writes that read first and then ask for a state.
    Raises `Unavailable` when no directory answers, `Failed` when one refuses, `Invalid` for a wrong option.
    """
    if not access.uris or not access.base:
        raise Invalid(
            "name the directory by --uri and --base, or by RELOCD_URI and RELOCD_BASE; on a server with relocd.toml "
            "it is the agent's"
        )
    silent: list[str] = []
    for uri in access.uris:
        try:
            with bound(uri, access) as connection:
                return work(Directory(connection, uri, access.base))
        except Unavailable as error:
            silent.append(str(error))
    raise Unavailable("; ".join(silent))


def equals(attribute: str, value: str) -> str:
    """The filter for entries with that value (RFC 4515)."""
    return f"({attribute}={escape_filter_chars(value)})"


class Directory:
    """One bound connection, and the DN below which relocd's entries are.

    Every method raises `Unavailable` when the directory stops answering, and `Refused` when it refuses.
    """

    def __init__(self, connection: ldap3.Connection, uri: str, base: str) -> None:
        self.connection = connection
        self.uri = uri
        try:
            self.base = DN.parse(base)
        except Invalid as error:
            raise Invalid(f"--base or RELOCD_BASE: {error}") from error

    def entries(self, filter_: str, attributes: tuple[str, ...] = ("*",)) -> tuple[Entry, ...]:
        """The entries below the base that match a filter, with these of their attributes; raises `Failed` for a part.

        A part of the directory would show links to entries that are only missing here.
        """
        with translated(self.uri):
            found = self.connection.extend.standard.paged_search(
                self.base.written,
                filter_,
                attributes=[*attributes, "entryUUID", "entryCSN"],
                paged_size=_PAGE,
                generator=True,
            )
            read = tuple(map(entry_of, _found(found)))
        if self.result["result"] != results.RESULT_SUCCESS:
            what = f"{self.uri} returned only a part ({self.result['description']})"
            raise Failed(f"{what}; raise the size limit for the identity you bind with")
        return read

    def named(self, dn: DN, filter_: str) -> Entry | None:
        """The entry of that name, where there is one that matches the filter."""
        try:
            found = self.search(dn.written, filter_, _ATTRIBUTES, scope=ldap3.BASE)
        except NotFound:
            return None
        return next(map(entry_of, found), None)

    def search(self, dn: str, filter_: str, attributes: tuple[str, ...], **more: Any) -> list[Item]:
        """The entries that one search finds, as ldap3 has them; `more` are ldap3's own parameters of a search."""
        scope = more.pop("scope", ldap3.SUBTREE)
        with translated(self.uri):
            self.connection.search(dn, filter_, scope, attributes=list(attributes), **more)
            return list(_found(self.connection.response or ()))

    @property
    def result(self) -> dict[str, Any]:
        """The result of the last operation, as ldap3 has it."""
        found: dict[str, Any] = self.connection.result
        return found

    def identity(self) -> str:
        """The DN under which this session is bound, empty when it is anonymous (RFC 4532)."""
        with translated(self.uri):
            return str(self.connection.extend.standard.who_am_i() or "").removeprefix("dn:")

    def modify(self, modification: Modification) -> Done | Lost:
        """Write it; returns `Lost` when the entry is not in the state that it expects."""
        changes: dict[str, list[tuple[str, list[bytes]]]] = {}
        for change in modification.changes:
            changes.setdefault(change.attribute, []).append(_as_ldap3(change))
        try:
            with translated(self.uri):
                self.connection.modify(modification.dn.written, changes)
                self._raise_referral()
        except Refused as error:
            if error.code not in _CONFLICTS:
                raise
            return Lost(_CONFLICTS[error.code], str(error))
        return Done()

    def compare(self, dn: DN, attribute: str, value: bytes) -> bool:
        """Whether the entry has that value (RFC 4511, section 4.10)."""
        with translated(self.uri):
            return bool(self.connection.compare(dn.written, attribute, value))

    def _raise_referral(self) -> None:
        """Raise for a referral, as ldap3 does not: a read-only copy writes nothing and refers to its provider."""
        result = self.result
        if result["result"] == results.RESULT_REFERRAL:
            raise exceptions.LDAPReferralResult(
                result["result"], result["description"], result["dn"], result["message"], result["type"]
            )


def entry_of(item: Item) -> Entry:
    """The entry in an answer to a search; raises `Failed` for one whose name cannot be understood."""
    raw: dict[str, list[bytes]] = item["raw_attributes"]
    attributes = {name.lower(): tuple(values) for name, values in raw.items()}
    try:
        dn = DN.parse(item["dn"])
    except Invalid as error:
        raise Failed(f"the directory returned an entry with an invalid name: {error}") from error
    return Entry(
        uuid=EntryUUID(_first(attributes, "entryuuid")),
        dn=dn,
        csn=_first(attributes, "entrycsn"),
        attributes=attributes,
    )


def _first(attributes: dict[str, tuple[bytes, ...]], name: str) -> str:
    return next(iter(attributes.get(name, ())), b"").decode(errors="replace")


def _found(items: Iterable[Item]) -> Iterator[Item]:
    """The entries among the answers to a search, without references to other servers."""
    return (item for item in items if item["type"] == "searchResEntry")


def _as_ldap3(change: Change) -> tuple[str, list[bytes]]:
    if type(change) not in _KINDS:
        raise TypeError(f"this change is not supported here: {change}")
    return _KINDS[type(change)], list(change.values)  # type: ignore[union-attr]
