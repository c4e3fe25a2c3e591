"""The version of a directory's schema, and what it lacks, by the definitions that it publishes."""

import pytest

from relocd.schema.definitions import ARC, VERSION, definitions
from relocd.schema.versions import SchemaDifference, difference
from tests.support.schemas import first_definitions

OURS = [each for some in definitions() for each in some]
NEW = ("relocPreferred", "relocFailback")


def test_our_own_schema_differs_in_nothing():
    assert difference(OURS) == SchemaDifference(VERSION, (), (), ())
    assert not difference(OURS).is_older
    assert not difference(OURS).is_newer


def test_a_schema_that_differs_from_a_released_one_has_a_higher_version():
    found = difference(first_definitions())
    assert found.version == 1
    assert set(NEW) <= set(found.missing)
    assert "relocCluster" in found.other
    assert found.is_older
    assert not found.is_newer


def test_every_definition_of_a_released_version_is_still_there():
    assert difference(first_definitions()).unknown == ()


def test_no_definition_is_no_version():
    found = difference(["( 2.5.4.3 NAME 'cn' SUP name )"])
    assert found.version is None
    assert not found.is_older
    assert not found.is_newer


@pytest.mark.parametrize("mark", ["X-RELOCD-SCHEMA '99'", "X-ORIGIN ( 'a' 'b' ) X-RELOCD-SCHEMA ( '99' )"])
def test_a_higher_mark_is_newer(mark):
    assert difference(each.replace(f"X-RELOCD-SCHEMA '{VERSION}'", mark) for each in OURS).is_newer


def test_an_unknown_definition_is_newer_whatever_the_mark_says():
    new = f"( {ARC}.2.99 NAME 'relocNew' SUP top STRUCTURAL MUST cn )"
    assert difference([*first_definitions(), new]).is_newer
    assert difference([*OURS, new]).unknown == ("relocNew",)


def test_an_extension_of_another_maker_changes_no_meaning():
    """389 Directory Server adds X-ORIGIN to every definition."""
    found = difference(each.removesuffix(")") + "X-ORIGIN 'user defined' )" for each in OURS)
    assert found == SchemaDifference(VERSION, (), (), ())
