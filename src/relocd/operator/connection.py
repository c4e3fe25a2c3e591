"""One bound connection to one directory, over ldap3: TLS, StartTLS and the three ways to bind."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

import ldap3

from relocd.config.password_file import first_line
from relocd.errors import Invalid
from relocd.model.uri import DirectoryUri
from relocd.openldap import ldap3_errors
from relocd.openldap.connection import Tls, close
from relocd.openldap.ldap3_errors import Remedies
from relocd.openldap.ldapi import SOCKET
from relocd.operator.access import Access

__all__ = ["bound", "translated"]

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
