"""The exceptions of ldap3 as errors of relocd: the only place that maps them.

`translated` wraps every use of ldap3. The error says what the caller does about it: `Unavailable` when another server
or a later attempt may work, `Invalid` when a setting is wrong, `Failed` when the server refuses. The same for
python-ldap is in `relocd.adapters.ldap.errors`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from ldap3.core import exceptions, results

from relocd.errors import Failed, Invalid, RelocdError, Unavailable
from relocd.openldap.distrust import UNRESOLVED, distrust, is_unresolved

__all__ = ["ERRORS", "NotFound", "Refused", "Remedies", "TryElsewhere", "translated"]


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
    if is_unresolved(error):
        return Unavailable(f"{server}{_during(doing)}: {UNRESOLVED}")
    return Unavailable(f"{server} does not answer{_during(doing)} ({error}); {remedies.silent}")


def _during(doing: str) -> str:
    return f", {doing}" if doing else ""
