"""The exceptions of ldap3 as errors of relocd: the only place that maps them.

`translated` wraps every use of ldap3. The error says what the caller does about it: `Unavailable` when another server
or a later attempt may work, `Invalid` when a setting is wrong, `Failed` when the server refuses. The same for
python-ldap is in `relocd.adapters.ldap.errors`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from ldap3.core import exceptions, results

from relocd.errors import Failed, Invalid, RelocdError, Unavailable

__all__ = ["ERRORS", "NotFound", "Refused", "Remedies", "TryElsewhere", "distrust", "translated"]

_UNRESOLVED: Final = "its host name does not resolve; check the name, and the resolver of this machine"
_OTHER_NAME: Final = re.compile(r"doesn't match any name in \[(?P<asked>.*)\]")
_NAME: Final = re.compile(r"\('(?:DNS|IP Address)', '([^']+)'\)")
_NOT_VERIFIED: Final = re.compile(r"certificate verify failed: (?P<why>[^(]+)")
_SHOWN: Final = 8


class Refused(Failed):
    """The server answered with a result that is no success: its code, and the code's name (RFC 4511, appendix A)."""

    def __init__(self, message: str, code: int, name: str) -> None:
        super().__init__(message)
        self.code = code
        self.name = name


class NotFound(Refused):
    """There is no entry of that name, or none that this identity may see."""


class TryElsewhere(Unavailable):
    """The server does not do it now, and another one may: it is a read-only copy, it starts, or it stops."""


@dataclass(frozen=True, slots=True)
class Remedies:
    """What to do about an error, as the end of a sentence; each says it by the settings of its own caller."""

    credentials: str
    refused: str
    elsewhere: str
    settings: str
    certificate: str
    silent: str


ERRORS: Final[Mapping[type[BaseException], type[RelocdError]]] = {
    # The server answers with a result that is no success.
    exceptions.LDAPOperationResult: Refused,
    exceptions.LDAPNoSuchObjectResult: NotFound,
    exceptions.LDAPReferralResult: TryElsewhere,
    exceptions.LDAPBusyResult: TryElsewhere,
    exceptions.LDAPUnavailableResult: TryElsewhere,
    exceptions.LDAPUnwillingToPerformResult: TryElsewhere,
    # A setting here is wrong.
    exceptions.LDAPConfigurationError: Invalid,
    exceptions.LDAPInvalidServerError: Invalid,
    exceptions.LDAPInvalidPortError: Invalid,
    exceptions.LDAPInvalidTlsSpecificationError: Invalid,
    exceptions.LDAPSSLNotSupportedError: Invalid,
    # Everything else that ldap3 raises is about a connection that does not work.
    exceptions.LDAPException: Unavailable,
    OSError: Unavailable,
}
"""Every exception of ldap3, by the nearest class that it is derived from; a test proves that none is missing."""


@contextmanager
def translated(server: str, remedies: Remedies, doing: str = "") -> Iterator[None]:
    """Raise what ldap3 raises within as an error of relocd, which names the server and, if given, the operation."""
    try:
        yield
    except exceptions.LDAPOperationResult as error:
        raise _of_result(server, error, remedies, doing) from error
    except (exceptions.LDAPException, OSError) as error:
        raise _of_connection(server, error, remedies, doing) from error


def _kind(error: Exception) -> type[RelocdError]:
    return next(ERRORS[each] for each in type(error).__mro__ if each in ERRORS)


def _of_result(
    server: str, error: exceptions.LDAPOperationResult, remedies: Remedies, doing: str
) -> Refused | TryElsewhere:
    kind, what = _kind(error), f"{error.description}: {error.message}".rstrip(": ")
    if issubclass(kind, Refused):
        wrong_login = error.result == results.RESULT_INVALID_CREDENTIALS
        remedy = remedies.credentials if wrong_login else remedies.refused
        message = f"{server} refuses{_during(doing)} ({what}); {remedy}"
        return kind(message, error.result, error.description or what)
    return TryElsewhere(f"{server} does not do it{_during(doing)} ({what}); {remedies.elsewhere}")


def _of_connection(server: str, error: Exception, remedies: Remedies, doing: str) -> RelocdError:
    if _kind(error) is Invalid:
        return Invalid(f"{server} cannot be used{_during(doing)} ({error}); {remedies.settings}")
    if why := distrust(error):
        return Unavailable(f"{server} is not trusted{_during(doing)} ({why}); {remedies.certificate}")
    if _is_unresolved(error):
        return Unavailable(f"{server}{_during(doing)}: {_UNRESOLVED}")
    return Unavailable(f"{server} does not answer{_during(doing)} ({error}); {remedies.silent}")


def _during(doing: str) -> str:
    return f", {doing}" if doing else ""


def distrust(error: BaseException) -> str:
    """What is wrong with a server's certificate, in few words; empty when the error is about something else.

    ldap3 and OpenSSL print the whole certificate.
    """
    text = str(error)
    if found := _OTHER_NAME.search(text):
        names = _NAME.findall(text)
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return f"its certificate is for {', '.join(names[:_SHOWN]) or 'no name'}{more}, not for {found['asked']}"
    if found := _NOT_VERIFIED.search(text):
        return f"its certificate cannot be verified: {found['why'].strip()}"
    return text if "certificate" in text else ""


def _is_unresolved(error: BaseException) -> bool:
    """Whether ldap3 found no address for the host name; its message does not say that."""
    return "invalid server address" in str(error)
