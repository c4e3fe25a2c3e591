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

__all__ = ["VERDICTS", "Verdict", "outcome_of"]


class Verdict(Enum):
    """What a result means for a write, where it is neither done nor lost."""

    EXISTS = auto()
    UNKNOWN = auto()
    REFUSED = auto()
    LATER = auto()


VERDICTS: Final[Mapping[type[ldap.LDAPError], Conflict | Verdict]] = {
    # The directory is not as the write expects.
    ldap.ALREADY_EXISTS: Verdict.EXISTS,
    ldap.ASSERTION_FAILED: Conflict.ASSERTION_FAILED,
    ldap.CONSTRAINT_VIOLATION: Conflict.CONSTRAINT_VIOLATION,
    ldap.NO_SUCH_ATTRIBUTE: Conflict.NO_SUCH_ATTRIBUTE,
    ldap.NO_SUCH_OBJECT: Conflict.NO_SUCH_OBJECT,
    ldap.TYPE_OR_VALUE_EXISTS: Conflict.VALUE_EXISTS,
    # The server has not begun (RFC 4511, appendix A.2).
    ldap.BUSY: Verdict.LATER,
    # The server understood and refuses, or did not understand.
    ldap.AFFECTS_MULTIPLE_DSAS: Verdict.REFUSED,
    ldap.ALIAS_DEREF_PROBLEM: Verdict.REFUSED,
    ldap.ALIAS_PROBLEM: Verdict.REFUSED,
    ldap.AUTH_METHOD_NOT_SUPPORTED: Verdict.REFUSED,
    ldap.CONFIDENTIALITY_REQUIRED: Verdict.REFUSED,
    ldap.INAPPROPRIATE_AUTH: Verdict.REFUSED,
    ldap.INAPPROPRIATE_MATCHING: Verdict.REFUSED,
    ldap.INSUFFICIENT_ACCESS: Verdict.REFUSED,
    ldap.INVALID_CREDENTIALS: Verdict.REFUSED,
    ldap.INVALID_DN_SYNTAX: Verdict.REFUSED,
    ldap.INVALID_SYNTAX: Verdict.REFUSED,
    ldap.IS_LEAF: Verdict.REFUSED,
    ldap.LOOP_DETECT: Verdict.REFUSED,
    ldap.NAMING_VIOLATION: Verdict.REFUSED,
    ldap.NOT_ALLOWED_ON_NONLEAF: Verdict.REFUSED,
    ldap.NOT_ALLOWED_ON_RDN: Verdict.REFUSED,
    ldap.NO_OBJECT_CLASS_MODS: Verdict.REFUSED,
    ldap.OBJECT_CLASS_VIOLATION: Verdict.REFUSED,
    ldap.PROTOCOL_ERROR: Verdict.REFUSED,
    ldap.PROXIED_AUTHORIZATION_DENIED: Verdict.REFUSED,
    ldap.REFERRAL: Verdict.REFUSED,
    ldap.STRONG_AUTH_NOT_SUPPORTED: Verdict.REFUSED,
    ldap.STRONG_AUTH_REQUIRED: Verdict.REFUSED,
    ldap.UNAVAILABLE_CRITICAL_EXTENSION: Verdict.REFUSED,
    ldap.UNDEFINED_TYPE: Verdict.REFUSED,
    ldap.UNWILLING_TO_PERFORM: Verdict.REFUSED,
    ldap.X_PROXY_AUTHZ_FAILURE: Verdict.REFUSED,
    # The server says that something went wrong, not when.
    ldap.ADMINLIMIT_EXCEEDED: Verdict.UNKNOWN,
    ldap.CANCELLED: Verdict.UNKNOWN,
    ldap.OPERATIONS_ERROR: Verdict.UNKNOWN,
    ldap.OTHER: Verdict.UNKNOWN,
    ldap.TIMELIMIT_EXCEEDED: Verdict.UNKNOWN,
    ldap.UNAVAILABLE: Verdict.UNKNOWN,
    # The library has no answer, or cannot read it.
    ldap.AUTH_UNKNOWN: Verdict.UNKNOWN,
    ldap.CLIENT_LOOP: Verdict.UNKNOWN,
    ldap.CONNECT_ERROR: Verdict.UNKNOWN,
    ldap.CONTROL_NOT_FOUND: Verdict.UNKNOWN,
    ldap.DECODING_ERROR: Verdict.UNKNOWN,
    ldap.ENCODING_ERROR: Verdict.UNKNOWN,
    ldap.FILTER_ERROR: Verdict.UNKNOWN,
    ldap.LOCAL_ERROR: Verdict.UNKNOWN,
    ldap.MORE_RESULTS_TO_RETURN: Verdict.UNKNOWN,
    ldap.NOT_SUPPORTED: Verdict.UNKNOWN,
    ldap.NO_MEMORY: Verdict.UNKNOWN,
    ldap.NO_RESULTS_RETURNED: Verdict.UNKNOWN,
    ldap.NO_UNIQUE_ENTRY: Verdict.UNKNOWN,
    ldap.PARAM_ERROR: Verdict.UNKNOWN,
    ldap.REFERRAL_LIMIT_EXCEEDED: Verdict.UNKNOWN,
    ldap.SERVER_DOWN: Verdict.UNKNOWN,
    ldap.TIMEOUT: Verdict.UNKNOWN,
    ldap.USER_CANCELLED: Verdict.UNKNOWN,
    # Answers to other operations, and result codes that the library has no class for.
    ldap.CANNOT_CANCEL: Verdict.UNKNOWN,
    ldap.COMPARE_FALSE: Verdict.UNKNOWN,
    ldap.COMPARE_TRUE: Verdict.UNKNOWN,
    ldap.NO_SUCH_OPERATION: Verdict.UNKNOWN,
    ldap.PARTIAL_RESULTS: Verdict.UNKNOWN,
    ldap.RESULTS_TOO_LARGE: Verdict.UNKNOWN,
    ldap.SASL_BIND_IN_PROGRESS: Verdict.UNKNOWN,
    ldap.SIZELIMIT_EXCEEDED: Verdict.UNKNOWN,
    ldap.SUCCESS: Verdict.UNKNOWN,
    ldap.TOO_LATE: Verdict.UNKNOWN,
    ldap.VLV_ERROR: Verdict.UNKNOWN,
    ldap.LDAPError: Verdict.UNKNOWN,
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
    if verdict is Verdict.EXISTS:
        return Exists()
    if verdict is Verdict.UNKNOWN:
        return Unknown(reason)
    raise (Unavailable if verdict is Verdict.LATER else Failed)(reason) from error
