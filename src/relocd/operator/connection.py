"""One connection over ldap3 to the first directory that answers, and every error of ldap3 as one of ours.

Work is done anew with the next URI when a directory does not answer, also in the middle of it. So work must be of the
kind that may be done twice: reads, and writes that look first and then ask for a state.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import ldap3
from ldap3.core import exceptions, results

from relocd.config.password_file import first_line
from relocd.errors import Failed, Invalid, Unavailable
from relocd.model.uri import DirectoryUri
from relocd.openldap.connection import close
from relocd.openldap.distrust import UNRESOLVED, distrust, is_unresolved
from relocd.openldap.ldapi import SOCKET
from relocd.openldap.tls import Tls
from relocd.operator.access import Access

__all__ = ["first_answer"]

_T = TypeVar("_T")
# Where libldap looks when a URI names no host or socket; ldap3 does not know it. Debian's slapd has its socket there.
_HERE: Final = {"host": "localhost", "socket": SOCKET}
# Whoever answers so may be a replica, or on its way up or down: another one may do it.
_ANOTHER_MAY: Final = frozenset(
    {results.RESULT_REFERRAL, results.RESULT_BUSY, results.RESULT_UNAVAILABLE, results.RESULT_UNWILLING_TO_PERFORM}
)


def first_answer(access: Access, work: Callable[[ldap3.Connection], _T]) -> _T:
    """What `work` makes of a bound connection to the first directory that answers.

    Raises `Unavailable` when none does, `Failed` when one refuses, `Invalid` for a wrong option.
    """
    if not access.uris or not access.base:
        raise Invalid(
            "name the directory by --uri and --base, or by RELOCD_URI and RELOCD_BASE; on a server with relocd.toml "
            "it is the agent's"
        )
    silent: list[str] = []
    for uri in access.uris:
        try:
            with _translated(uri), _bound(uri, access) as connection:
                return work(connection)
        except Unavailable as error:
            silent.append(str(error))
    raise Unavailable("; ".join(silent))


@contextmanager
def _bound(uri: str, access: Access) -> Iterator[ldap3.Connection]:
    where = DirectoryUri.parse(uri)
    connection = ldap3.Connection(
        _server(where, access),
        raise_exceptions=True,
        auto_referrals=False,
        receive_timeout=access.timeout_s,  # ldap3 packs it as whole seconds
        auto_bind=ldap3.AUTO_BIND_NONE,
        check_names=False,  # names are parsed and written by relocd, and ldap3 refuses some that are right
        **_identity(access),
    )
    try:
        connection.open()
        if access.starttls and where.scheme == "ldap":  # the others are protected already
            connection.start_tls()
        connection.bind()
        yield connection
    finally:
        close(connection)


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


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    """Every error of ldap3 as one of ours."""
    try:
        yield
    except exceptions.LDAPOperationResult as error:
        what = f"{error.description}: {error.message}".rstrip(": ")
        if error.result in _ANOTHER_MAY:
            raise Unavailable(f"{uri} does not do it ({what}); name another directory by --uri") from error
        raise Failed(f"{uri} refuses ({what}); {_to_check(error)}") from error
    except exceptions.LDAPSSLConfigurationError as error:
        raise Invalid(f"{uri}: {error}; check --ca-file, or the files of the certificate") from error
    except (exceptions.LDAPInvalidServerError, exceptions.LDAPInvalidPortError) as error:
        raise Invalid(f"{uri!r} names no directory ({error})") from error
    except (exceptions.LDAPException, OSError) as error:
        if why := distrust(error):
            advice = "use a name that its certificate has, and name who has signed that by --ca-file"
            raise Unavailable(f"{uri} is not trusted ({why}); {advice}") from error
        if is_unresolved(error):
            raise Unavailable(f"{uri}: {UNRESOLVED}") from error
        raise Unavailable(f"{uri} does not answer ({error}); check --uri and whether slapd runs") from error


def _to_check(refusal: exceptions.LDAPOperationResult) -> str:
    if refusal.result == results.RESULT_INVALID_CREDENTIALS:
        return "check the DN and the password you bind with"
    return "check --base and the identity you bind with"
