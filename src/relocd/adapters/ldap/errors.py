"""The exceptions of python-ldap and what each means: the only place that knows them.

`translated` wraps every call into the library. Which error comes out says what the caller does about it: Unavailable
when another server or a later attempt may work, Invalid when a setting is wrong, Failed when the server refuses.
`outcome_of` says what became of a write that was sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import ldap
from pyasn1.error import PyAsn1Error

from relocd.errors import Failed, Invalid, RelocdError, Unavailable
from relocd.model.writes import Conflict, Exists, Lost, Outcome, Unknown

__all__ = [
    "MEANINGS",
    "UNREADABLE",
    "Malformed",
    "Meaning",
    "NoSuchObject",
    "UnwillingToPerform",
    "StaleCookie",
    "WriteVerdict",
    "outcome_of",
    "translated",
]

_SYNC_REFRESH_REQUIRED: Final = 4096
"""e-syncRefreshRequired (RFC 4533, section 2.6), for which python-ldap has no class."""


class NoSuchObject(Failed):
    """The server reports that there is no entry of that DN."""


class UnwillingToPerform(Failed):
    """The server is unwilling to perform; a provider answers so to a cookie that is ahead of it."""


class StaleCookie(Failed):
    """The provider cannot continue from this cookie; search without one."""


class Malformed(Failed):
    """The server sent malformed data; this connection is not trusted any more."""


UNREADABLE: Final = (PyAsn1Error, ValueError, TypeError, LookupError, AttributeError, OSError)
"""What python-ldap raises beside its own exceptions, for example for a DN that is not UTF-8."""


class WriteVerdict(Enum):
    """What an exception says about a write that was sent, unless it names a `Conflict`."""

    EXISTS = auto()
    UNKNOWN = auto()
    REFUSED = auto()
    LATER = auto()


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an exception of python-ldap means: the error that is raised, and what became of a write that was sent.

    `advice` says what to do; `write_advice` where a write was sent, by default the same.
    """

    error: type[RelocdError]
    write: Conflict | WriteVerdict
    advice: str = ""
    write_advice: str = ""


_SCHEMA: Final = "the server must have relocd's schema as this version ships it"
_TLS: Final = "the server wants TLS; set `starttls = true` or use ldaps://"

MEANINGS: Final[Mapping[type[ldap.LDAPError], Meaning]] = {
    # Not now, or not this server: another attempt may work.
    ldap.ADMINLIMIT_EXCEEDED: Meaning(Unavailable, WriteVerdict.UNKNOWN),
    ldap.BUSY: Meaning(Unavailable, WriteVerdict.LATER),
    ldap.CANCELLED: Meaning(Unavailable, WriteVerdict.UNKNOWN),
    ldap.CONNECT_ERROR: Meaning(Unavailable, WriteVerdict.UNKNOWN),
    ldap.DECODING_ERROR: Meaning(Unavailable, WriteVerdict.UNKNOWN),
    ldap.ENCODING_ERROR: Meaning(Unavailable, WriteVerdict.UNKNOWN),
    ldap.LOCAL_ERROR: Meaning(Unavailable, WriteVerdict.UNKNOWN),
    ldap.NO_MEMORY: Meaning(Unavailable, WriteVerdict.UNKNOWN),
    ldap.NO_RESULTS_RETURNED: Meaning(Unavailable, WriteVerdict.UNKNOWN),
    ldap.OPERATIONS_ERROR: Meaning(Unavailable, WriteVerdict.UNKNOWN),
    ldap.OTHER: Meaning(Unavailable, WriteVerdict.UNKNOWN),
    ldap.PARTIAL_RESULTS: Meaning(Unavailable, WriteVerdict.UNKNOWN),
    ldap.PROTOCOL_ERROR: Meaning(Unavailable, WriteVerdict.REFUSED),
    ldap.SERVER_DOWN: Meaning(Unavailable, WriteVerdict.UNKNOWN),
    ldap.TIMELIMIT_EXCEEDED: Meaning(
        Unavailable,
        WriteVerdict.UNKNOWN,
        'raise the limit at the server (slapd: `limits dn.exact="..." time=unlimited`)',
    ),
    ldap.TIMEOUT: Meaning(Unavailable, WriteVerdict.UNKNOWN, "the server does not answer in time"),
    ldap.UNAVAILABLE: Meaning(Unavailable, WriteVerdict.UNKNOWN),
    ldap.USER_CANCELLED: Meaning(Unavailable, WriteVerdict.UNKNOWN),
    # A setting is wrong: here, or of this client at the server.
    ldap.AUTH_METHOD_NOT_SUPPORTED: Meaning(
        Invalid, WriteVerdict.REFUSED, "the server does not offer this way to bind; change `bind`"
    ),
    ldap.AUTH_UNKNOWN: Meaning(Invalid, WriteVerdict.UNKNOWN),
    ldap.CONFIDENTIALITY_REQUIRED: Meaning(Invalid, WriteVerdict.REFUSED, _TLS),
    ldap.FILTER_ERROR: Meaning(Invalid, WriteVerdict.UNKNOWN),
    ldap.INAPPROPRIATE_AUTH: Meaning(
        Invalid, WriteVerdict.REFUSED, "the server refuses this way to bind; change `bind`"
    ),
    ldap.INAPPROPRIATE_MATCHING: Meaning(Invalid, WriteVerdict.REFUSED),
    ldap.INVALID_CREDENTIALS: Meaning(
        Invalid,
        WriteVerdict.REFUSED,
        "check `bind_dn` and the first line of `password_file`, or the client certificate",
    ),
    ldap.INVALID_DN_SYNTAX: Meaning(Invalid, WriteVerdict.REFUSED),
    ldap.INVALID_SYNTAX: Meaning(Invalid, WriteVerdict.REFUSED, write_advice=_SCHEMA),
    ldap.NOT_SUPPORTED: Meaning(Invalid, WriteVerdict.UNKNOWN),
    ldap.PARAM_ERROR: Meaning(Invalid, WriteVerdict.UNKNOWN),
    ldap.STRONG_AUTH_NOT_SUPPORTED: Meaning(Invalid, WriteVerdict.REFUSED),
    ldap.STRONG_AUTH_REQUIRED: Meaning(
        Invalid,
        WriteVerdict.REFUSED,
        _TLS,
        write_advice="only who binds may write; set `bind`, and protect it with TLS if the server wants that",
    ),
    ldap.UNAVAILABLE_CRITICAL_EXTENSION: Meaning(
        Invalid,
        WriteVerdict.REFUSED,
        "the server does not offer this; slapd needs `overlay syncprov` there",
        write_advice="the server does not offer assertions (RFC 4528), which OpenLDAP does",
    ),
    ldap.UNDEFINED_TYPE: Meaning(Invalid, WriteVerdict.REFUSED, write_advice=_SCHEMA),
    # The server understood and refuses.
    ldap.AFFECTS_MULTIPLE_DSAS: Meaning(Failed, WriteVerdict.REFUSED),
    ldap.ALIAS_DEREF_PROBLEM: Meaning(Failed, WriteVerdict.REFUSED),
    ldap.ALIAS_PROBLEM: Meaning(Failed, WriteVerdict.REFUSED),
    ldap.ALREADY_EXISTS: Meaning(Failed, WriteVerdict.EXISTS),
    ldap.ASSERTION_FAILED: Meaning(Failed, Conflict.ASSERTION_FAILED),
    ldap.CANNOT_CANCEL: Meaning(Failed, WriteVerdict.UNKNOWN),
    ldap.CLIENT_LOOP: Meaning(Failed, WriteVerdict.UNKNOWN),
    ldap.COMPARE_FALSE: Meaning(Failed, WriteVerdict.UNKNOWN),
    ldap.COMPARE_TRUE: Meaning(Failed, WriteVerdict.UNKNOWN),
    ldap.CONSTRAINT_VIOLATION: Meaning(Failed, Conflict.CONSTRAINT_VIOLATION),
    ldap.CONTROL_NOT_FOUND: Meaning(Failed, WriteVerdict.UNKNOWN),
    ldap.INSUFFICIENT_ACCESS: Meaning(
        Failed,
        WriteVerdict.REFUSED,
        "the server's access rules must let this identity read it",
        write_advice="its access rules must let this identity write it; `relocd schema --acl` prints ours",
    ),
    ldap.IS_LEAF: Meaning(Failed, WriteVerdict.REFUSED),
    ldap.LOOP_DETECT: Meaning(Failed, WriteVerdict.REFUSED),
    ldap.MORE_RESULTS_TO_RETURN: Meaning(Failed, WriteVerdict.UNKNOWN),
    ldap.NAMING_VIOLATION: Meaning(Failed, WriteVerdict.REFUSED),
    ldap.NOT_ALLOWED_ON_NONLEAF: Meaning(Failed, WriteVerdict.REFUSED),
    ldap.NOT_ALLOWED_ON_RDN: Meaning(Failed, WriteVerdict.REFUSED),
    ldap.NO_OBJECT_CLASS_MODS: Meaning(Failed, WriteVerdict.REFUSED),
    ldap.NO_SUCH_ATTRIBUTE: Meaning(Failed, Conflict.NO_SUCH_ATTRIBUTE),
    ldap.NO_SUCH_OBJECT: Meaning(
        NoSuchObject, Conflict.NO_SUCH_OBJECT, "it is missing, not yet loaded, or hidden from this identity"
    ),
    ldap.NO_SUCH_OPERATION: Meaning(Failed, WriteVerdict.UNKNOWN),
    ldap.NO_UNIQUE_ENTRY: Meaning(Failed, WriteVerdict.UNKNOWN),
    ldap.OBJECT_CLASS_VIOLATION: Meaning(Failed, WriteVerdict.REFUSED, write_advice=_SCHEMA),
    ldap.PROXIED_AUTHORIZATION_DENIED: Meaning(Failed, WriteVerdict.REFUSED),
    ldap.REFERRAL: Meaning(
        Failed,
        WriteVerdict.REFUSED,
        write_advice="the server only copies another one; name that one in `uris`, or make this one a provider, too",
    ),
    ldap.REFERRAL_LIMIT_EXCEEDED: Meaning(Failed, WriteVerdict.UNKNOWN),
    ldap.RESULTS_TOO_LARGE: Meaning(Failed, WriteVerdict.UNKNOWN),
    ldap.SASL_BIND_IN_PROGRESS: Meaning(Failed, WriteVerdict.UNKNOWN),
    ldap.SIZELIMIT_EXCEEDED: Meaning(
        Failed, WriteVerdict.UNKNOWN, 'raise the limit at the server (slapd: `limits dn.exact="..." size=unlimited`)'
    ),
    ldap.SUCCESS: Meaning(Failed, WriteVerdict.UNKNOWN),
    ldap.TOO_LATE: Meaning(Failed, WriteVerdict.UNKNOWN),
    ldap.TYPE_OR_VALUE_EXISTS: Meaning(Failed, Conflict.VALUE_EXISTS),
    ldap.UNWILLING_TO_PERFORM: Meaning(
        UnwillingToPerform,
        WriteVerdict.REFUSED,
        write_advice="it is read-only, a copy, or not where this name belongs; name a provider in `uris`",
    ),
    ldap.VLV_ERROR: Meaning(Failed, WriteVerdict.UNKNOWN),
    ldap.X_PROXY_AUTHZ_FAILURE: Meaning(Failed, WriteVerdict.REFUSED),
    # Result codes that the library has no class for.
    ldap.LDAPError: Meaning(Failed, WriteVerdict.UNKNOWN),
}
"""Every exception class of python-ldap; a test proves that none is missing.

A write counts as refused, or lost, only where the server itself says so. `BUSY` says that it has not begun (RFC 4511,
appendix A.2). Whatever the library makes up, and whatever a server in between says of one that it could not hear
(slapo-chain(5) turns its time-out into adminLimitExceeded, a lost connection into unavailable or other), leaves the
outcome unknown; so does an answer to another kind of operation.
"""

# What libldap says about a failed TLS handshake; to a timeout it adds the last error number, whatever it was.
_NOTHING: Final = {None, "", "(unknown error code)"}


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise what python-ldap raises within as an error of relocd; `doing` names server and operation."""
    try:
        yield
    except ldap.LDAPError as error:
        raise _kind(error)(_described(doing, error, _meaning(error).advice)) from error
    except UNREADABLE as error:
        raise Malformed(_unreadable(doing, error)) from error


def _unreadable(doing: str, error: Exception) -> str:
    """The message about malformed data, sent or received."""
    return f"{doing}: malformed data ({type(error).__name__}: {error}); check the server and its proxies"


def outcome_of(doing: str, error: Exception) -> Outcome:
    """The outcome of a write that was sent; raises `Failed` where the server refused, `Unavailable` where it is busy.

    `doing` names server and write. An answer that cannot be understood leaves the outcome unknown.
    """
    if not isinstance(error, ldap.LDAPError):
        return Unknown(_unreadable(doing, error))
    meaning = _meaning(error)
    reason = _described(doing, error, meaning.write_advice or meaning.advice)
    match meaning.write:
        case Conflict() as conflict:
            return Lost(conflict, reason)
        case WriteVerdict.EXISTS:
            return Exists()
        case WriteVerdict.UNKNOWN:
            return Unknown(reason)
        case WriteVerdict.LATER:
            raise Unavailable(reason) from error
        case WriteVerdict.REFUSED:
            raise Failed(reason) from error


def _described(doing: str, error: ldap.LDAPError, advice: str) -> str:
    """The message: the operation, the error of server and library, and what to do."""
    details = _details(error)
    what = details.get("desc") or type(error).__name__.replace("_", " ").lower()
    silent = isinstance(error, ldap.TIMEOUT) or details.get("info") in _NOTHING
    why = "" if silent else f" ({' '.join(str(details['info']).split())})"
    return f"{doing}: {what}{why}{'; ' if advice else ''}{advice}"


def _meaning(error: ldap.LDAPError) -> Meaning:
    """The meaning of the nearest known class."""
    return next(MEANINGS[kind] for kind in type(error).__mro__ if kind in MEANINGS)


def _kind(error: ldap.LDAPError) -> type[RelocdError]:
    stale = _details(error).get("result") == _SYNC_REFRESH_REQUIRED
    return StaleCookie if stale else _meaning(error).error


def _details(error: ldap.LDAPError) -> Mapping[str, object]:
    """The details from server and library, as far as there are any."""
    details = error.args[0] if error.args else {}
    return details if isinstance(details, dict) else {"desc": str(details)}
