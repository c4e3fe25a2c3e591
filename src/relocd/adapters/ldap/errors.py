"""The exceptions of python-ldap as errors of relocd: the only place that knows them.

`translated` wraps every call into the library. Which error comes out says what the caller does about it: Unavailable
when another server or a later attempt may work, Invalid when a setting is wrong, Failed when the server refuses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import ldap
from pyasn1.error import PyAsn1Error

from relocd.errors import Failed, Invalid, RelocdError, Unavailable

__all__ = [
    "ADVICE",
    "ERRORS",
    "UNREADABLE",
    "Malformed",
    "NotFound",
    "Refused",
    "StaleCookie",
    "described",
    "translated",
    "unreadable",
]

_SYNC_REFRESH_REQUIRED: Final = 4096
"""e-syncRefreshRequired (RFC 4533, section 2.6), for which python-ldap has no class."""


class NotFound(Failed):
    """The server says that there is no entry of that name."""


class Refused(Failed):
    """The server is unwilling; a provider of content synchronisation says so to a cookie newer than its content."""


class StaleCookie(Failed):
    """The provider cannot continue from this cookie: start again without one."""


class Malformed(Failed):
    """The server sent something that makes no sense: nothing that it says on this connection is believed any more."""


UNREADABLE: Final = (PyAsn1Error, ValueError, TypeError, LookupError, AttributeError, OSError)
"""What python-ldap raises besides its own exceptions, for example for a name that is not UTF-8."""


ERRORS: Final[Mapping[type[ldap.LDAPError], type[RelocdError]]] = {
    # Not now, or not this server: another attempt may work.
    ldap.ADMINLIMIT_EXCEEDED: Unavailable,
    ldap.BUSY: Unavailable,
    ldap.CANCELLED: Unavailable,
    ldap.CONNECT_ERROR: Unavailable,
    ldap.DECODING_ERROR: Unavailable,
    ldap.ENCODING_ERROR: Unavailable,
    ldap.LOCAL_ERROR: Unavailable,
    ldap.NO_MEMORY: Unavailable,
    ldap.NO_RESULTS_RETURNED: Unavailable,
    ldap.OPERATIONS_ERROR: Unavailable,
    ldap.OTHER: Unavailable,
    ldap.PARTIAL_RESULTS: Unavailable,
    ldap.PROTOCOL_ERROR: Unavailable,
    ldap.SERVER_DOWN: Unavailable,
    ldap.TIMELIMIT_EXCEEDED: Unavailable,
    ldap.TIMEOUT: Unavailable,
    ldap.UNAVAILABLE: Unavailable,
    ldap.USER_CANCELLED: Unavailable,
    # A setting is wrong: here, or of this client at the server.
    ldap.AUTH_METHOD_NOT_SUPPORTED: Invalid,
    ldap.AUTH_UNKNOWN: Invalid,
    ldap.CONFIDENTIALITY_REQUIRED: Invalid,
    ldap.FILTER_ERROR: Invalid,
    ldap.INAPPROPRIATE_AUTH: Invalid,
    ldap.INAPPROPRIATE_MATCHING: Invalid,
    ldap.INVALID_CREDENTIALS: Invalid,
    ldap.INVALID_DN_SYNTAX: Invalid,
    ldap.INVALID_SYNTAX: Invalid,
    ldap.NOT_SUPPORTED: Invalid,
    ldap.PARAM_ERROR: Invalid,
    ldap.STRONG_AUTH_NOT_SUPPORTED: Invalid,
    ldap.STRONG_AUTH_REQUIRED: Invalid,
    ldap.UNAVAILABLE_CRITICAL_EXTENSION: Invalid,
    ldap.UNDEFINED_TYPE: Invalid,
    # The server understood and refuses.
    ldap.AFFECTS_MULTIPLE_DSAS: Failed,
    ldap.ALIAS_DEREF_PROBLEM: Failed,
    ldap.ALIAS_PROBLEM: Failed,
    ldap.ALREADY_EXISTS: Failed,
    ldap.ASSERTION_FAILED: Failed,
    ldap.CANNOT_CANCEL: Failed,
    ldap.CLIENT_LOOP: Failed,
    ldap.COMPARE_FALSE: Failed,
    ldap.COMPARE_TRUE: Failed,
    ldap.CONSTRAINT_VIOLATION: Failed,
    ldap.CONTROL_NOT_FOUND: Failed,
    ldap.INSUFFICIENT_ACCESS: Failed,
    ldap.IS_LEAF: Failed,
    ldap.LOOP_DETECT: Failed,
    ldap.MORE_RESULTS_TO_RETURN: Failed,
    ldap.NAMING_VIOLATION: Failed,
    ldap.NOT_ALLOWED_ON_NONLEAF: Failed,
    ldap.NOT_ALLOWED_ON_RDN: Failed,
    ldap.NO_OBJECT_CLASS_MODS: Failed,
    ldap.NO_SUCH_ATTRIBUTE: Failed,
    ldap.NO_SUCH_OBJECT: NotFound,
    ldap.NO_SUCH_OPERATION: Failed,
    ldap.NO_UNIQUE_ENTRY: Failed,
    ldap.OBJECT_CLASS_VIOLATION: Failed,
    ldap.PROXIED_AUTHORIZATION_DENIED: Failed,
    ldap.REFERRAL: Failed,
    ldap.REFERRAL_LIMIT_EXCEEDED: Failed,
    ldap.RESULTS_TOO_LARGE: Failed,
    ldap.SASL_BIND_IN_PROGRESS: Failed,
    ldap.SIZELIMIT_EXCEEDED: Failed,
    ldap.SUCCESS: Failed,
    ldap.TOO_LATE: Failed,
    ldap.TYPE_OR_VALUE_EXISTS: Failed,
    ldap.UNWILLING_TO_PERFORM: Refused,
    ldap.VLV_ERROR: Failed,
    ldap.X_PROXY_AUTHZ_FAILURE: Failed,
    # Result codes that the library has no class for.
    ldap.LDAPError: Failed,
}
"""Every exception class of python-ldap; a test proves that none is missing."""

ADVICE: Final[Mapping[type[ldap.LDAPError], str]] = {
    ldap.AUTH_METHOD_NOT_SUPPORTED: "the server does not offer this way to bind; change `bind`",
    ldap.CONFIDENTIALITY_REQUIRED: "the server wants TLS; set `starttls = true` or use ldaps://",
    ldap.INAPPROPRIATE_AUTH: "the server refuses this way to bind; change `bind`",
    ldap.INSUFFICIENT_ACCESS: "the server's access rules must let this identity read it",
    ldap.INVALID_CREDENTIALS: "check `bind_dn` and the first line of `password_file`, or the client certificate",
    ldap.NO_SUCH_OBJECT: "it is missing, not yet loaded, or hidden from this identity",
    ldap.SIZELIMIT_EXCEEDED: 'raise the limit at the server (slapd: `limits dn.exact="..." size=unlimited`)',
    ldap.STRONG_AUTH_REQUIRED: "the server wants TLS; set `starttls = true` or use ldaps://",
    ldap.TIMEOUT: "the server does not answer in time",
    ldap.TIMELIMIT_EXCEEDED: 'raise the limit at the server (slapd: `limits dn.exact="..." time=unlimited`)',
    ldap.UNAVAILABLE_CRITICAL_EXTENSION: "the server does not offer this; slapd needs `overlay syncprov` there",
}

# What libldap has to say about a TLS handshake that failed; to a timeout it adds the last error number, whatever it is.
_NOTHING: Final = {None, "", "(unknown error code)"}


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise what python-ldap raises within as an error of relocd; `doing` names server and operation."""
    try:
        yield
    except ldap.LDAPError as error:
        raise _kind(error)(described(doing, error)) from error
    except UNREADABLE as error:
        raise Malformed(unreadable(doing, error)) from error


def unreadable(doing: str, error: Exception) -> str:
    """What was done, and that what came back, or was to be sent, is malformed."""
    return f"{doing}: malformed data ({type(error).__name__}: {error}); check the server and its proxies"


def described(doing: str, error: ldap.LDAPError, advice: Mapping[type[ldap.LDAPError], str] = ADVICE) -> str:
    """What was done, what server and library say to it, and what to do."""
    details = _details(error)
    what = details.get("desc") or type(error).__name__.replace("_", " ").lower()
    silent = isinstance(error, ldap.TIMEOUT) or details.get("info") in _NOTHING
    why = "" if silent else f" ({' '.join(str(details['info']).split())})"
    remedy = f"; {advice[type(error)]}" if type(error) in advice else ""
    return f"{doing}: {what}{why}{remedy}"


def _kind(error: ldap.LDAPError) -> type[RelocdError]:
    if _details(error).get("result") == _SYNC_REFRESH_REQUIRED:
        return StaleCookie
    return next(ERRORS[kind] for kind in type(error).__mro__ if kind in ERRORS)


def _details(error: ldap.LDAPError) -> Mapping[str, object]:
    """What the server and the library say, as far as there is anything."""
    details = error.args[0] if error.args else {}
    return details if isinstance(details, dict) else {"desc": str(details)}
