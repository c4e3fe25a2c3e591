"""Every exception of ldap3 becomes the error of relocd that says what to do about it."""

from __future__ import annotations

import errno

import pytest
from ldap3.core import exceptions, results

from relocd.errors import Failed, Invalid, RelocdError, Unavailable
from relocd.openldap.ldap3_errors import ERRORS, NotFound, Refused, Remedies, TryElsewhere, distrust, translated

CERTIFICATE = (
    "wrap socket error: certificate {'subject': ((('commonName', 'x'),),), 'serialNumber': '65', "
    "'subjectAltName': (%s)} doesn't match any name in ['192.0.2.10'] "
)
MANY = ", ".join(f"('DNS', 'n{number}')" for number in range(9))
REMEDIES = Remedies("credentials", "refused", "elsewhere", "settings", "certificate", "silent")
CLASSES = [
    each
    for each in vars(exceptions).values()
    if isinstance(each, type) and issubclass(each, exceptions.LDAPException) and each.__module__ == exceptions.__name__
]
CODES = sorted({*results.RESULT_CODES, 4097, 12345} - set(results.DO_NOT_RAISE_EXCEPTIONS))
SYSTEM = [OSError(number, errno.errorcode[number]) for number in sorted(errno.errorcode)] + [OSError("of no number")]


def caught(error: Exception) -> RelocdError:
    with pytest.raises(RelocdError) as raised, translated("ldap://192.0.2.1", REMEDIES, "reading"):
        raise error
    assert raised.value.__cause__ is error
    return raised.value


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_exception_of_ldap3_is_translated_and_names_the_server(kind: type[Exception]) -> None:
    made = caught(kind())
    assert str(made).startswith("ldap://192.0.2.1 ")
    assert ", reading" in str(made)
    nearest = next(each for each in kind.__mro__ if each in ERRORS)
    assert isinstance(made, ERRORS[nearest])


@pytest.mark.parametrize("code", CODES)
def test_every_result_code_that_ldap3_raises_is_translated(code: int) -> None:
    made = caught(exceptions.LDAPOperationResult(code, "someName", "dc=x", "its words", "searchResDone"))
    assert isinstance(made, Refused | TryElsewhere)
    assert "someName: its words" in str(made)
    if isinstance(made, Refused):
        assert (made.code, made.name) == (code, "someName")


@pytest.mark.parametrize("error", SYSTEM, ids=str)
def test_an_error_of_the_system_is_a_connection_that_does_not_work(error: OSError) -> None:
    assert isinstance(caught(error), Unavailable)


@pytest.mark.parametrize(
    ("error", "kind", "remedy"),
    [
        (exceptions.LDAPInvalidCredentialsResult(49), Refused, "credentials"),
        (exceptions.LDAPInsufficientAccessRightsResult(50), Refused, "refused"),
        (exceptions.LDAPNoSuchObjectResult(32), NotFound, "refused"),
        (exceptions.LDAPReferralResult(10), TryElsewhere, "elsewhere"),
        (exceptions.LDAPBusyResult(51), TryElsewhere, "elsewhere"),
        (exceptions.LDAPSSLConfigurationError("no such file"), Invalid, "settings"),
        (exceptions.LDAPInvalidPortError("port"), Invalid, "settings"),
        (exceptions.LDAPSocketOpenError("certificate verify failed: expired ("), Unavailable, "certificate"),
        (exceptions.LDAPSocketOpenError("invalid server address"), Unavailable, "resolver of this machine"),
        (exceptions.LDAPSessionTerminatedByServerError("gone"), Unavailable, "silent"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_the_error_says_what_the_caller_can_do(error: Exception, kind: type[RelocdError], remedy: str) -> None:
    made = caught(error)
    assert type(made) is kind
    assert str(made).endswith(remedy)


def test_errors_of_relocd_and_of_programming_pass_through() -> None:
    for error in (Failed("its own"), TypeError("a bug")):
        with pytest.raises(type(error)) as raised, translated("ldap://192.0.2.1", REMEDIES):
            raise error
        assert raised.value is error


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            CERTIFICATE % "('DNS', 'ldap.example.org'), ('IP Address', '192.0.2.1')",
            "its certificate is for ldap.example.org, 192.0.2.1, not for '192.0.2.10'",
        ),
        (
            CERTIFICATE % MANY,
            "its certificate is for n0, n1, n2, n3, n4, n5, n6, n7 and 1 more, not for '192.0.2.10'",
        ),
        (CERTIFICATE % "", "its certificate is for no name, not for '192.0.2.10'"),
        (
            "socket error: [SSL: X] certificate verify failed: unable to get local issuer certificate (_ssl.c:992)",
            "its certificate cannot be verified: unable to get local issuer certificate",
        ),
        ("tlsv13 alert certificate required", "tlsv13 alert certificate required"),
        ("timed out", ""),
    ],
)
def test_what_is_wrong_with_a_certificate_in_few_words(text, why):
    assert distrust(ValueError(text)) == why
