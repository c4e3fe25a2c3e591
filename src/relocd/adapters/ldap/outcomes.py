"""What became of a write that was sent, by the exception of python-ldap that it ended in.

Only an answer that says that nothing was written counts as such. Whatever is not the server's own word, or a word that
a server in between may say of one that it could not hear (slapo-chain(5) turns its time-out into adminLimitExceeded, a
lost connection into unavailable or other), leaves the outcome unknown; so does an answer that makes no sense here.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

import ldap

from relocd.adapters.ldap.errors import ADVICE, described, unreadable
from relocd.errors import Failed, Unavailable
from relocd.model.writes import Conflict, Exists, Lost, Outcome, Unknown

__all__ = ["VERDICTS", "WriteVerdict", "outcome_of"]


class WriteVerdict(Enum):
    """What a result means for a write, where it is neither done nor lost."""

    EXISTS = auto()
    UNKNOWN = auto()
    REFUSED = auto()
    LATER = auto()


VERDICTS: Final[Mapping[type[ldap.LDAPError], Conflict | WriteVerdict]] = {
    # The directory is not as the write expects.
    ldap.ALREADY_EXISTS: WriteVerdict.EXISTS,
    ldap.ASSERTION_FAILED: Conflict.ASSERTION_FAILED,
    ldap.CONSTRAINT_VIOLATION: Conflict.CONSTRAINT_VIOLATION,
    ldap.NO_SUCH_ATTRIBUTE: Conflict.NO_SUCH_ATTRIBUTE,
    ldap.NO_SUCH_OBJECT: Conflict.NO_SUCH_OBJECT,
    ldap.TYPE_OR_VALUE_EXISTS: Conflict.VALUE_EXISTS,
    # The server has not begun (RFC 4511, appendix A.2).
    ldap.BUSY: WriteVerdict.LATER,
    # The server understood and refuses, or did not understand.
    ldap.AFFECTS_MULTIPLE_DSAS: WriteVerdict.REFUSED,
    ldap.ALIAS_DEREF_PROBLEM: WriteVerdict.REFUSED,
    ldap.ALIAS_PROBLEM: WriteVerdict.REFUSED,
    ldap.AUTH_METHOD_NOT_SUPPORTED: WriteVerdict.REFUSED,
    ldap.CONFIDENTIALITY_REQUIRED: WriteVerdict.REFUSED,
    ldap.INAPPROPRIATE_AUTH: WriteVerdict.REFUSED,
    ldap.INAPPROPRIATE_MATCHING: WriteVerdict.REFUSED,
    ldap.INSUFFICIENT_ACCESS: WriteVerdict.REFUSED,
    ldap.INVALID_CREDENTIALS: WriteVerdict.REFUSED,
    ldap.INVALID_DN_SYNTAX: WriteVerdict.REFUSED,
    ldap.INVALID_SYNTAX: WriteVerdict.REFUSED,
    ldap.IS_LEAF: WriteVerdict.REFUSED,
    ldap.LOOP_DETECT: WriteVerdict.REFUSED,
    ldap.NAMING_VIOLATION: WriteVerdict.REFUSED,
    ldap.NOT_ALLOWED_ON_NONLEAF: WriteVerdict.REFUSED,
    ldap.NOT_ALLOWED_ON_RDN: WriteVerdict.REFUSED,
    ldap.NO_OBJECT_CLASS_MODS: WriteVerdict.REFUSED,
    ldap.OBJECT_CLASS_VIOLATION: WriteVerdict.REFUSED,
    ldap.PROTOCOL_ERROR: WriteVerdict.REFUSED,
    ldap.PROXIED_AUTHORIZATION_DENIED: WriteVerdict.REFUSED,
    ldap.REFERRAL: WriteVerdict.REFUSED,
    ldap.STRONG_AUTH_NOT_SUPPORTED: WriteVerdict.REFUSED,
    ldap.STRONG_AUTH_REQUIRED: WriteVerdict.REFUSED,
    ldap.UNAVAILABLE_CRITICAL_EXTENSION: WriteVerdict.REFUSED,
    ldap.UNDEFINED_TYPE: WriteVerdict.REFUSED,
    ldap.UNWILLING_TO_PERFORM: WriteVerdict.REFUSED,
    ldap.X_PROXY_AUTHZ_FAILURE: WriteVerdict.REFUSED,
    # The server says that something went wrong, not when.
    ldap.ADMINLIMIT_EXCEEDED: WriteVerdict.UNKNOWN,
    ldap.CANCELLED: WriteVerdict.UNKNOWN,
    ldap.OPERATIONS_ERROR: WriteVerdict.UNKNOWN,
    ldap.OTHER: WriteVerdict.UNKNOWN,
    ldap.TIMELIMIT_EXCEEDED: WriteVerdict.UNKNOWN,
    ldap.UNAVAILABLE: WriteVerdict.UNKNOWN,
    # The library has no answer, or cannot read it.
    ldap.AUTH_UNKNOWN: WriteVerdict.UNKNOWN,
    ldap.CLIENT_LOOP: WriteVerdict.UNKNOWN,
    ldap.CONNECT_ERROR: WriteVerdict.UNKNOWN,
    ldap.CONTROL_NOT_FOUND: WriteVerdict.UNKNOWN,
    ldap.DECODING_ERROR: WriteVerdict.UNKNOWN,
    ldap.ENCODING_ERROR: WriteVerdict.UNKNOWN,
    ldap.FILTER_ERROR: WriteVerdict.UNKNOWN,
    ldap.LOCAL_ERROR: WriteVerdict.UNKNOWN,
    ldap.MORE_RESULTS_TO_RETURN: WriteVerdict.UNKNOWN,
    ldap.NOT_SUPPORTED: WriteVerdict.UNKNOWN,
    ldap.NO_MEMORY: WriteVerdict.UNKNOWN,
    ldap.NO_RESULTS_RETURNED: WriteVerdict.UNKNOWN,
    ldap.NO_UNIQUE_ENTRY: WriteVerdict.UNKNOWN,
    ldap.PARAM_ERROR: WriteVerdict.UNKNOWN,
    ldap.REFERRAL_LIMIT_EXCEEDED: WriteVerdict.UNKNOWN,
    ldap.SERVER_DOWN: WriteVerdict.UNKNOWN,
    ldap.TIMEOUT: WriteVerdict.UNKNOWN,
    ldap.USER_CANCELLED: WriteVerdict.UNKNOWN,
    # Answers to other operations, and result codes that the library has no class for.
    ldap.CANNOT_CANCEL: WriteVerdict.UNKNOWN,
    ldap.COMPARE_FALSE: WriteVerdict.UNKNOWN,
    ldap.COMPARE_TRUE: WriteVerdict.UNKNOWN,
    ldap.NO_SUCH_OPERATION: WriteVerdict.UNKNOWN,
    ldap.PARTIAL_RESULTS: WriteVerdict.UNKNOWN,
    ldap.RESULTS_TOO_LARGE: WriteVerdict.UNKNOWN,
    ldap.SASL_BIND_IN_PROGRESS: WriteVerdict.UNKNOWN,
    ldap.SIZELIMIT_EXCEEDED: WriteVerdict.UNKNOWN,
    ldap.SUCCESS: WriteVerdict.UNKNOWN,
    ldap.TOO_LATE: WriteVerdict.UNKNOWN,
    ldap.VLV_ERROR: WriteVerdict.UNKNOWN,
    ldap.LDAPError: WriteVerdict.UNKNOWN,
}
"""Every exception class of python-ldap; a test proves that none is missing."""

_SCHEMA: Final = "the server must have relocd's schema as this version ships it"
_ADVICE: Final = {
    **ADVICE,
    ldap.INSUFFICIENT_ACCESS: "its access rules must let this identity write it; `relocd schema --acl` prints ours",
    ldap.INVALID_SYNTAX: _SCHEMA,
    ldap.OBJECT_CLASS_VIOLATION: _SCHEMA,
    ldap.REFERRAL: "the server only copies another one; name that one in `uris`, or make this one a provider, too",
    ldap.STRONG_AUTH_REQUIRED: "only who binds may write; set `bind`, and protect it with TLS if the server wants that",
    ldap.UNAVAILABLE_CRITICAL_EXTENSION: "the server does not offer assertions (RFC 4528), which OpenLDAP does",
    ldap.UNDEFINED_TYPE: _SCHEMA,
    ldap.UNWILLING_TO_PERFORM: "it is read-only, a copy, or not where this name belongs; name a provider in `uris`",
}


def outcome_of(doing: str, error: Exception) -> Outcome:
    """The outcome of a write that was sent; raises `Failed` where the server refused, `Unavailable` where it is busy.

    `doing` names server and write. An answer that cannot be understood leaves the outcome unknown.
    """
    if not isinstance(error, ldap.LDAPError):
        return Unknown(unreadable(doing, error))
    verdict = next(VERDICTS[kind] for kind in type(error).__mro__ if kind in VERDICTS)
    reason = described(doing, error, _ADVICE)
    if isinstance(verdict, Conflict):
        return Lost(verdict, reason)
    if verdict is WriteVerdict.EXISTS:
        return Exists()
    if verdict is WriteVerdict.UNKNOWN:
        return Unknown(reason)
    raise (Unavailable if verdict is WriteVerdict.LATER else Failed)(reason) from error
