"""States of services to values, or to problems; and what an agent searches for: all of relocd, and its own status."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap.filter import escape_filter_chars

from relocd.model.dn import DN
from relocd.model.parse import SEARCH_FILTER, parsed, search_filter
from tests.support.entries import BASE, csn, dn, state, understood, uuid_of
from tests.support.strategies import rdns, written

FIRST = state("web", generation=None)


def problem_of(found):
    """The only problem of an entry that has no value."""
    value, (problem,) = parsed(found)
    assert value is None
    assert problem.subject == str(found.dn)
    return problem.message


def with_values(found, **attributes):
    return replace(found, attributes={**found.attributes, **attributes})


def test_a_state():
    found = understood(state("web", holder="me", candidate="twin", previous="third", generation=7, at=3))
    assert (found.uuid, found.csn) == (uuid_of("state of web"), csn(3))
    assert found.service == DN.parse(dn("web"))
    assert (found.holder, found.candidate, found.previous) == tuple(
        DN.parse(dn(name)) for name in ("me", "twin", "third")
    )
    assert found.generation == 7


def test_a_state_that_nobody_has_taken_names_nobody():
    found = understood(FIRST)
    assert (found.holder, found.candidate, found.previous, found.generation) == (None, None, None, None)


def test_a_name_is_kept_as_it_is_written():
    """A compare-and-swap deletes the value that is there, not another spelling of it."""
    found = understood(with_values(FIRST, relocholder=(b"CN=Me , dc=org",)))
    assert (found.holder, found.holder.text) == (DN.parse("cn=me,dc=org"), "CN=Me , dc=org")


def test_the_service_is_what_is_above_whatever_is_in_its_name():
    service = DN.parse(f"cn=a\\,b+ou=c,{BASE}")
    assert understood(replace(FIRST, dn=service.below("CN = state"))).service == service


@pytest.mark.parametrize(
    ("attributes", "start"),
    [
        pytest.param(
            {"relocgeneration": (b"one",)}, "relocGeneration 'one' cannot be used: write a whole", id="no number"
        ),
        pytest.param({"relocgeneration": (b"-1",)}, "relocGeneration '-1' cannot be used", id="below zero"),
        pytest.param({"relocgeneration": (b"1.5",)}, "relocGeneration '1.5' cannot be used", id="no whole number"),
        pytest.param({"relocgeneration": (b"4" * 400,)}, "relocGeneration '444", id="more than any count"),
        pytest.param({"relocgeneration": (b"",)}, "relocGeneration '' cannot be used", id="nothing in it"),
        pytest.param({"relocgeneration": ("٣".encode(),)}, "relocGeneration '٣' cannot be used", id="other digits"),
        pytest.param({"relocgeneration": (b"\xff",)}, "relocGeneration '\ufffd' cannot be used", id="no text"),
        pytest.param(
            {"relocgeneration": (b"1", b"2")}, "relocGeneration has 2 values; leave one", id="two generations"
        ),
        pytest.param(
            {"relocholder": (dn("me").encode(), dn("twin").encode())},
            "relocHolder has 2 values; leave one",
            id="two holders",
        ),
        pytest.param({"relocholder": (b"me",)}, "relocHolder 'me' cannot be used: 'me' is not a", id="no name"),
        pytest.param({"reloccandidate": (b"me",)}, "relocCandidate 'me' cannot be used", id="no candidate's name"),
        pytest.param({"relocprevious": (b"me",)}, "relocPrevious 'me' cannot be used", id="no previous one's name"),
    ],
)
def test_a_state_that_is_not_wholly_understood_is_a_problem(attributes, start):
    assert problem_of(with_values(FIRST, **attributes)).startswith(start)


@pytest.mark.parametrize("rdn", ["cn=stale", "ou=state", "cn=state+ou=x", "cn=a state"])
def test_only_an_entry_of_the_right_name_counts(rdn):
    found = replace(FIRST, dn=DN.parse(dn("web")).below(rdn))
    assert problem_of(found) == "is not named cn=state; only an entry of that name counts"


class TestSearchFilter:
    def test_it_leaves_out_the_status_of_all_other_servers(self):
        assert "relocServerStatus" not in SEARCH_FILTER
        found = search_filter(DN.parse(dn("me")))
        assert found.startswith(f"(|{SEARCH_FILTER}(objectClass=organizationalUnit)")
        assert found.endswith(f"(&(objectClass=relocServerStatus)(entryDN=cn=status,{dn('me')})))")

    @pytest.mark.parametrize(
        ("me", "own"),
        [
            pytest.param("cn=rack (7),dc=org", r"cn=status,cn=rack \287\29,dc=org", id="brackets"),
            pytest.param("cn=a*,dc=org", r"cn=status,cn=a\2a,dc=org", id="asterisk"),
            pytest.param("cn=a\\,b,dc=org", r"cn=status,cn=a\5c,b,dc=org", id="backslash"),
        ],
    )
    def test_what_means_something_in_a_filter_is_escaped(self, me, own):
        assert f"(entryDN={own})" in search_filter(DN.parse(me))

    @given(st.data(), rdns())
    def test_any_name_is_escaped_as_libldap_does_it(self, data, name):
        me = DN.parse(data.draw(written(name)))
        assert f"(entryDN={escape_filter_chars(me.below('cn=status').text)})" in search_filter(me)
