"""Reading the directory for a person: one connection over ldap3, every entry of relocd below a base."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ldap3
from ldap3.core.exceptions import LDAPException

from relocd.errors import Failed, Invalid, Unavailable
from relocd.model.dn import DN
from relocd.model.entries import Entry, EntryUUID
from relocd.model.parse import SEARCH_FILTER

__all__ = ["Access", "entries", "first_line"]

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Access:
    """How a person reaches the directory; without `bind_dn` anonymously, or by SASL EXTERNAL."""

    uri: str
    base: str
    bind_dn: str = ""
    password_file: Path | None = None
    external: bool = False
    starttls: bool = False
    ca_file: Path | None = None
    timeout_s: int = 10


def entries(access: Access) -> tuple[Entry, ...]:
    """Every server, cluster and service below the base that this identity may read.

    Raises `Unavailable` when the directory does not answer, `Failed` when it refuses, `Invalid` for a wrong option.
    """
    with _translated(access), _connection(access) as connection:
        found = connection.extend.standard.paged_search(
            access.base,
            SEARCH_FILTER,
            attributes=["*", "entryUUID", "entryCSN"],
            paged_size=_PAGE,
            generator=True,
        )
        read = tuple(_entry(item) for item in found if item["type"] == "searchResEntry")
        _check_whole(access, connection)
        return read


def _check_whole(access: Access, connection: ldap3.Connection) -> None:
    """A part of the directory would show links to entries that are only missing here."""
    if connection.result["result"] != ldap3.core.results.RESULT_SUCCESS:
        what = connection.result["description"]
        raise Failed(f"{access.uri} gave only a part ({what}); raise the size limit for the identity you bind with")


@contextmanager
def _connection(access: Access) -> Iterator[ldap3.Connection]:
    connection = ldap3.Connection(
        _server(access),
        read_only=True,
        raise_exceptions=True,
        receive_timeout=access.timeout_s,  # ldap3 packs it as whole seconds
        auto_bind=ldap3.AUTO_BIND_NONE,
        **_identity(access),
    )
    try:
        connection.open()
        if access.starttls:
            connection.start_tls()
        connection.bind()
        yield connection
    finally:
        connection.unbind()


def _server(access: Access) -> ldap3.Server:
    tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=None if access.ca_file is None else str(access.ca_file))
    return ldap3.Server(access.uri, connect_timeout=access.timeout_s, get_info=ldap3.NONE, tls=tls)


def _identity(access: Access) -> dict[str, Any]:
    if access.external:
        return {"authentication": ldap3.SASL, "sasl_mechanism": ldap3.EXTERNAL, "sasl_credentials": ""}
    if access.bind_dn:
        if access.password_file is None:
            raise Invalid("--bind-dn needs --password-file, a file whose first line is the password")
        return {"user": access.bind_dn, "password": first_line(access.password_file)}
    return {}


def first_line(path: Path) -> str:
    """The password that a file holds; raises `Invalid` when it cannot be read."""
    try:
        return path.read_text().partition("\n")[0]
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path}: the password cannot be read ({error})") from error


def _entry(item: dict[str, Any]) -> Entry:
    raw: dict[str, list[bytes]] = item["raw_attributes"]
    attributes = {name.lower(): tuple(values) for name, values in raw.items()}
    return Entry(
        uuid=EntryUUID(_first(attributes, "entryuuid")),
        dn=DN.parse(item["dn"]),
        csn=_first(attributes, "entrycsn"),
        attributes=attributes,
    )


def _first(attributes: dict[str, tuple[bytes, ...]], name: str) -> str:
    return next(iter(attributes.get(name, ())), b"").decode()


@contextmanager
def _translated(access: Access) -> Iterator[None]:
    """Every error of ldap3 as one of ours."""
    try:
        yield
    except ldap3.core.exceptions.LDAPOperationResult as error:
        what = f"{error.description}: {error.message}".rstrip(": ")
        raise Failed(f"{access.uri} refuses ({what}); check --base and the identity you bind with") from error
    except (LDAPException, OSError) as error:
        raise Unavailable(f"{access.uri} does not answer ({error}); check --uri and whether slapd runs") from error
