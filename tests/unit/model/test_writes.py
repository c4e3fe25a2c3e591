"""Writes as values: what they refuse to be, and how a compare-and-swap is made of changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relocd.model.dn import DN
from relocd.model.writes import Add, Delete, Increment, Modification, Replace, swap

STATE = DN.parse("cn=state,cn=web,dc=org")
VALUES = st.none() | st.binary(min_size=1, max_size=8)


@pytest.mark.parametrize("kind", [Add, Delete])
def test_no_values_is_not_taken_for_all_values(kind):
    """An empty list would turn a compare-and-swap into an unconditional deletion (RFC 4511, section 4.6)."""
    with pytest.raises(ValueError, match="relocHolder"):
        kind("relocHolder", ())


def test_a_modification_changes_something():
    with pytest.raises(ValueError, match=r"cn=state,cn=web,dc=org that changes nothing"):
        Modification(STATE, ())


@given(VALUES, VALUES)
def test_a_swap_deletes_what_it_believes_in_before_it_adds(old, new):
    changes = swap("relocHolder", old, new)
    assert [type(change) for change in changes] == [Delete] * (old is not None) + [Add] * (new is not None)
    assert [change.values for change in changes] == [(value,) for value in (old, new) if value is not None]
    assert {change.attribute for change in changes} <= {"relocHolder"}


def test_a_write_says_what_it_does_and_not_the_values():
    changes = (*swap("relocHolder", b"old", b"new"), Increment("relocGeneration"), Replace("relocProblem"))
    write = Modification(STATE, changes, "(relocGeneration=7)")
    assert str(write) == (
        "modify cn=state,cn=web,dc=org: delete relocHolder, add relocHolder, increment relocGeneration, "
        "replace relocProblem if (relocGeneration=7)"
    )
