"""URIs of directories: which are accepted, which are refused and why, and which send a password in plain text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relocd.errors import Invalid
from relocd.model.uri import DirectoryUri, in_plain_text


@pytest.mark.parametrize(
    ("text", "found", "written"),
    [
        ("ldap://ldap1.example.org", DirectoryUri("ldap", "ldap1.example.org"), "ldap://ldap1.example.org"),
        ("LDAPS://ldap1:636/", DirectoryUri("ldaps", "ldap1", 636), "ldaps://ldap1:636"),
        ("ldap://[2001:db8::3]:389", DirectoryUri("ldap", "2001:db8::3", 389), "ldap://[2001:db8::3]:389"),
        ("ldap://192.0.2.1", DirectoryUri("ldap", "192.0.2.1"), "ldap://192.0.2.1"),
        ("ldap://", DirectoryUri("ldap"), "ldap://here"),
        ("ldap:///", DirectoryUri("ldap"), "ldap://here"),
        ("ldap://:1389", DirectoryUri("ldap", port=1389), "ldap://here:1389"),
        ("ldapi:///", DirectoryUri("ldapi"), "ldapi://%2Fs"),
        ("ldapi://", DirectoryUri("ldapi"), "ldapi://%2Fs"),
        ("ldapi://%2Frun%2Fldapi/", DirectoryUri("ldapi", socket="/run/ldapi"), "ldapi://%2Frun%2Fldapi"),
    ],
)
def test_what_is_a_uri(text: str, found: DirectoryUri, written: str) -> None:
    assert DirectoryUri.parse(text) == found
    assert found.written(host="here", socket="/s") == written


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ldap://2001:db8::3:389", "in brackets"),
        ("ldap://[2001:db8::3:389", "brackets"),
        ("ldap://[ldap1]:389", "brackets"),
        ("ldap://[::1]x", "not a port"),
        ("ldap://ldap1:99999", "'99999' is not a port"),
        ("ldap://ldap1:0", "'0' is not a port"),
        ("ldap://ldap1:", "'' is not a port"),
        ("ldap://ldap1:ldap", "'ldap' is not a port"),
        ("ldap://ldap1:\u0663\u0668\u0669", "is not a port"),
        ("ldap://ldap1/dc=example,dc=org", "a path"),
        ("ldap://ldap1//", "a path"),
        ("ldap://ldap1?sub", "a query"),
        ("ldap://ldap1#x", "a fragment"),
        ("ldap://admin@ldap1", "a user"),
        ("ldap://ldap 1", "not a host name"),
        ("ldap://ldap1\n", "not a host name"),
        ("ldap://-a", "not a host name"),
        ("ldap://a..b", "not a host name"),
        ("ldap://m\u00fcller.example", "not a host name"),
        (f"ldap://{'a' * 64}.example.org", "not a host name"),
        (f"ldap://{'a.' * 130}org", "more than 253"),
        ("ldap://192.0.2", "not an IPv4 address"),
        ("ldap://192.0.2.256", "not an IPv4 address"),
        ("ldapi:///var/run/slapd/ldapi", "%2F"),
        ("ldapi://ldapi", "%2F"),
        (f"ldapi://%2F{'a' * 107}", "107"),
        ("ldapi://%2Frun%00", "107"),
        ("ldap:ldap1", "does not begin with ldap://"),
        ("http://ldap1", "does not begin with ldap://"),
        ("ldap1.example.org", "does not begin with ldap://"),
        ("", "does not begin with ldap://"),
    ],
)
def test_what_is_none_and_why(text: str, why: str) -> None:
    with pytest.raises(Invalid, match="is not the URI of a directory") as refused:
        DirectoryUri.parse(text)
    assert why in str(refused.value)


@given(st.text(st.characters(), max_size=20), st.sampled_from(["ldap://", "ldaps://", "ldapi://", ""]))
def test_every_text_is_a_uri_that_is_written_the_same_or_is_refused(text: str, scheme: str) -> None:
    try:
        found = DirectoryUri.parse(scheme + text)
    except Invalid:
        return
    assert DirectoryUri.parse(found.written()) == found


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("ldap://127.0.0.1", True),
        ("ldap://[::1]", True),
        ("ldap://LOCALHOST", True),
        ("ldap://", True),
        ("ldap://a", False),
    ],
)
def test_which_is_this_machine(text: str, local: bool) -> None:
    assert DirectoryUri.parse(text).is_local is local


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
