"""Entries of which two directories have different copies, and which are only on their way."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from relocd.doctor.directory.copies import copies_that_differ
from relocd.doctor.directory.facts import TreeFacts
from relocd.doctor.finding import DoctorKind, Level
from tests.support.entries import cluster, server


def csn(second, provider=1):
    return f"202601010000{second:02}.000000Z#000000#{provider:03x}#000000"


def directory(uri, *entries, known=40):
    return SimpleNamespace(uri=uri, content=TreeFacts(entries), context_csns=(csn(known), csn(known, 2)))


LINKED = replace(server("node1", services=["web"]), csn=csn(10))
UNLINKED = replace(server("node1"), csn=csn(20))
ACTIVE = replace(cluster("pair", services=["web"], active="node1"), csn=csn(10))
INACTIVE = replace(cluster("pair", services=["web"]), csn=csn(10))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(LINKED, UNLINKED, id="a change that one never got"),
        pytest.param(LINKED, replace(UNLINKED, csn=LINKED.csn), id="the same change number"),
        pytest.param(ACTIVE, INACTIVE, id="a cluster"),
    ],
)
def test_a_difference_that_both_directories_have_passed_is_named(one, other):
    for first, second in ((one, other), (other, one)):
        (found,) = copies_that_differ([directory("ldap://a", first), directory("ldap://b", second)])
        assert (found.level, found.kind, found.names) == (
            Level.ERROR,
            DoctorKind.COPIES_DIFFER,
            ("ldap://a", "ldap://b"),
        )
        assert one.dn.text in found.what


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(directory("a", LINKED), directory("b", replace(LINKED, csn=csn(20))), id="the same links"),
        pytest.param(directory("a", LINKED, known=15), directory("b", UNLINKED), id="one has not got that far"),
        pytest.param(directory("a", LINKED, known=24), directory("b", UNLINKED, known=24), id="it has just been made"),
        pytest.param(directory("a", LINKED), directory("b"), id="one does not show the entry"),
    ],
)
def test_what_may_be_on_its_way_is_not(first, second):
    assert not list(copies_that_differ([first, second]))
