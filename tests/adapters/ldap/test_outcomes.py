"""Every exception of python-ldap is an outcome of a write, or an error that says what to do."""

import inspect

import ldap
import pytest

from relocd.adapters.ldap.errors import MEANINGS, WriteVerdict, outcome_of
from relocd.errors import Failed, Unavailable
from relocd.model.writes import Conflict, Exists, Lost, Unknown

CLASSES = {value for _, value in inspect.getmembers(ldap, inspect.isclass) if issubclass(value, ldap.LDAPError)}
SAID = {"desc": "what", "info": "why\nat length", "msgid": 3}
# What says, by RFC 4511 (appendix A) and RFC 4528, that the server has looked at the entry and has not changed it.
LOST = {
    ldap.ASSERTION_FAILED: Conflict.ASSERTION_FAILED,
    ldap.CONSTRAINT_VIOLATION: Conflict.CONSTRAINT_VIOLATION,
    ldap.NO_SUCH_ATTRIBUTE: Conflict.NO_SUCH_ATTRIBUTE,
    ldap.NO_SUCH_OBJECT: Conflict.NO_SUCH_OBJECT,
    ldap.TYPE_OR_VALUE_EXISTS: Conflict.VALUE_EXISTS,
}
ERRORS = {WriteVerdict.REFUSED: Failed, WriteVerdict.LATER: Unavailable}


def of(verdict):
    return sorted((kind for kind in CLASSES if MEANINGS[kind].write is verdict), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", sorted(CLASSES, key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_every_class_has_an_outcome(kind):
    for error in (kind(), kind("text"), kind(SAID)):
        verdict = MEANINGS[kind].write
        if verdict in ERRORS:
            with pytest.raises(ERRORS[verdict], match=r"^server: doing: ") as caught:
                outcome_of("server: doing", error)
            assert caught.value.__cause__ is error
        elif verdict is WriteVerdict.EXISTS:
            assert outcome_of("server: doing", error) == Exists()
        else:
            outcome = outcome_of("server: doing", error)
            assert outcome.reason.startswith("server: doing: ")
            assert isinstance(outcome, Lost if kind in LOST else Unknown)


def test_lost_names_which():
    assert {kind: each.write for kind, each in MEANINGS.items() if isinstance(each.write, Conflict)} == LOST
    assert outcome_of("doing", ldap.NO_SUCH_ATTRIBUTE(SAID)) == Lost(
        Conflict.NO_SUCH_ATTRIBUTE, "doing: what (why at length)"
    )


@pytest.mark.parametrize("kind", of(WriteVerdict.REFUSED) + of(WriteVerdict.LATER), ids=lambda kind: kind.__name__)
def test_only_a_server_can_refuse(kind):
    """What the library makes up by itself has a number below zero, and says nothing about what the server did."""
    assert kind is ldap.X_PROXY_AUTHZ_FAILURE or 0 < kind.errnum < 128


@pytest.mark.parametrize(
    "kind",
    [ldap.SERVER_DOWN, ldap.TIMEOUT, ldap.DECODING_ERROR, ldap.OTHER, ldap.UNAVAILABLE, ldap.ADMINLIMIT_EXCEEDED],
)
def test_what_may_have_happened_is_unknown(kind):
    assert isinstance(outcome_of("doing", kind(SAID)), Unknown)


def test_a_result_code_without_a_class_is_unknown():
    outcome = outcome_of("doing", ldap.LDAPError({"desc": "Unknown error", "result": 16384}))
    assert outcome == Unknown("doing: Unknown error")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (ldap.INSUFFICIENT_ACCESS, "must let this identity write it"),
        (ldap.OBJECT_CLASS_VIOLATION, "relocd's schema"),
        (ldap.UNDEFINED_TYPE, "relocd's schema"),
        (ldap.REFERRAL, "name that one in `uris`"),
        (ldap.UNWILLING_TO_PERFORM, "name a provider in `uris`"),
        (ldap.UNAVAILABLE_CRITICAL_EXTENSION, "RFC 4528"),
    ],
)
def test_a_refusal_says_what_to_do(kind, words):
    with pytest.raises(Failed, match=words):
        outcome_of("doing", kind(SAID))


@pytest.mark.parametrize(
    "error", [UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"), TypeError("no"), KeyError("no")], ids=repr
)
def test_an_answer_that_cannot_be_understood_leaves_the_outcome_unknown(error):
    assert isinstance(outcome_of("server: doing", error), Unknown)
