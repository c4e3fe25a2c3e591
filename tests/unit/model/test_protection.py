"""A password that everybody on the way could read is found, and no other."""

import pytest

from relocd.model.protection import in_plain_text


@pytest.mark.parametrize(
    ("uri", "plain"),
    [
        ("ldap://ldap1.example.org", True),
        ("ldap://192.0.2.3:389", True),
        ("ldap://[2001:db8::3]", True),
        ("ldaps://ldap1.example.org", False),
        ("ldapi:///", False),
        ("ldapi://%2frun%2fldapi", False),
        ("ldap://localhost", False),
        ("ldap://127.0.0.2:1389", False),
        ("ldap://[::1]", False),
        ("ldap://[::1", False),
        ("ldap:///", False),
    ],
)
def test_only_what_crosses_a_network_unprotected(uri, plain):
    assert in_plain_text([uri], password=True, starttls=False) == ((uri,) if plain else ())


@pytest.mark.parametrize(("password", "starttls"), [(False, False), (True, True)], ids=["no password", "StartTLS"])
def test_nothing_to_protect_or_protected(password, starttls):
    assert in_plain_text(["ldap://ldap1.example.org"], password=password, starttls=starttls) == ()
