"""Every exception of python-ldap becomes an error of relocd that names what was done."""

import inspect

import ldap
import pytest
from pyasn1.error import PyAsn1Error, SubstrateUnderrunError

from relocd.adapters.ldap.errors import MEANINGS, Malformed, NoSuchObject, StaleCookie, UnwillingToPerform, translated
from relocd.errors import Failed, Invalid, RelocdError, Unavailable

CLASSES = {value for _, value in inspect.getmembers(ldap, inspect.isclass) if issubclass(value, ldap.LDAPError)}


def raised(error):
    with pytest.raises(RelocdError) as caught, translated("ldap://server: doing"):
        raise error
    assert caught.value.__cause__ is error
    return caught.value


def test_the_map_is_complete():
    assert set(MEANINGS) == CLASSES
    assert len(CLASSES) > 60, "the library's classes are really found"


@pytest.mark.parametrize("kind", sorted(CLASSES, key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_every_class_is_translated(kind):
    for error in (kind(), kind("text"), kind({"desc": "what", "info": "why", "result": 1})):
        translation = raised(error)
        assert type(translation) is MEANINGS[kind].error
        assert str(translation).startswith("ldap://server: doing: ")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (ldap.SERVER_DOWN({"desc": "Can't contact"}), Unavailable, "Can't contact"),
        (ldap.TIMEOUT(), Unavailable, "timeout; the server does not answer in time"),
        (ldap.INVALID_CREDENTIALS({"desc": "Invalid credentials"}), Invalid, "password_file"),
        (ldap.SIZELIMIT_EXCEEDED({"desc": "Size limit exceeded"}), Failed, "size=unlimited"),
        (ldap.INSUFFICIENT_ACCESS({"desc": "Insufficient access"}), Failed, "access rules"),
        (ldap.NO_SUCH_OBJECT({"desc": "No such object"}), NoSuchObject, "not yet loaded"),
        (ldap.UNWILLING_TO_PERFORM({"desc": "Unwilling", "info": "newer"}), UnwillingToPerform, "(newer)"),
        (ldap.LDAPError({"desc": "Unknown", "result": 4096, "info": "stale"}), StaleCookie, "(stale)"),
        (ldap.LDAPError({"desc": "Unknown", "result": 16384}), Failed, "Unknown"),
        (ldap.CONNECT_ERROR({"desc": "Connect error", "info": "(unknown error code)"}), Unavailable, "Connect error"),
    ],
)
def test_the_message_says_what_to_do(error, kind, words):
    translation = raised(error)
    assert type(translation) is kind
    assert words in str(translation)
    assert "unknown error code" not in str(translation)


@pytest.mark.parametrize(
    "error",
    [
        UnicodeDecodeError("utf-8", b"cn=\xff", 3, 4, "invalid start byte"),
        UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"),
        ValueError("embedded null byte"),
        TypeError("a bytes-like object is required"),
        KeyError("msgid"),
        IndexError("tuple index out of range"),
        AttributeError("'NoneType' object has no attribute"),
        OSError(9, "Bad file descriptor"),
        PyAsn1Error("tag mismatch"),
        SubstrateUnderrunError("4-octet short"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_the_library_raises_for_malformed_data_is_translated(error):
    translation = raised(error)
    assert type(translation) is Malformed
    assert type(error).__name__ in str(translation)


def test_a_class_that_is_derived_from_a_known_one_is_translated_as_that():
    class Later(ldap.SERVER_DOWN):
        pass

    assert type(raised(Later())) is Unavailable


def test_other_errors_pass():
    with pytest.raises(ZeroDivisionError), translated("doing"):
        raise ZeroDivisionError
