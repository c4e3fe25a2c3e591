"""The schema files are what their source says, in both forms, and no number is ever used again."""

import re
from pathlib import Path

import pytest

from relocd.schema import definitions as schema

ROOT = Path(__file__).resolve().parents[3]

# Only ever append here. A definition that goes keeps its line: its number stays taken.
GIVEN_ATTRIBUTES = {
    1: "relocServiceLink",
    2: "relocClusterLink",
    3: "relocFenced",
    4: "relocActive",
    5: "relocFailover",
    6: "relocAddress",
    7: "relocInterface",
    8: "relocTemplateSet",
    9: "relocParameter",
    10: "relocSecret",
    11: "relocExclusive",
    12: "relocIsolation",
    13: "relocDisplaces",
    14: "relocHolder",
    15: "relocCandidate",
    16: "relocPrevious",
    17: "relocGeneration",
    18: "relocHeartbeat",
    19: "relocAgentVersion",
    20: "relocActiveService",
    21: "relocStandbyService",
    22: "relocFailedService",
    23: "relocProblem",
    24: "relocActedOn",
    25: "relocLease",
    26: "relocMode",
    27: "relocHistoryRecord",
    28: "relocLastChange",
    29: "relocPreferred",
    30: "relocFailback",
}
GIVEN_CLASSES = {
    1: "relocServer",
    2: "relocCluster",
    3: "relocService",
    4: "relocServiceState",
    5: "relocServerStatus",
    6: "relocServiceHistory",
}


def definitions(form: schema.Form) -> list[str]:
    """Every definition of a form as one line with single spaces, in order."""
    lines = [line for line in schema.text(form).splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\n ", " ")
    keyword = r"^(attributetype|objectclass|olcAttributeTypes:|olcObjectClasses:) (.*)$"
    return [" ".join(found[2].split()) for found in re.finditer(keyword, joined, re.MULTILINE)]


@pytest.mark.parametrize("form", schema.FORMS)
def test_the_shipped_file_is_what_the_source_generates(form):
    assert (ROOT / "schema" / f"relocd.{form}").read_text() == schema.text(form), "run ./dev schema"


def test_writing_makes_both_files(tmp_path):
    schema.write(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "relocd.schema": schema.text("schema"),
        "relocd.ldif": schema.text("ldif"),
    }


def test_both_forms_say_the_same():
    assert definitions("schema") == definitions("ldif")
    assert len(definitions("schema")) == len(schema.ATTRIBUTES) + len(schema.CLASSES)


@pytest.mark.parametrize(
    ("defined", "given"),
    [(schema.ATTRIBUTES, GIVEN_ATTRIBUTES), (schema.CLASSES, GIVEN_CLASSES)],
    ids=["attributes", "classes"],
)
def test_numbers_are_given_once_and_for_ever(defined, given):
    assert len({each.number for each in defined}) == len(defined)
    assert len({each.name.lower() for each in defined}) == len(defined)
    assert {each.number: each.name for each in defined}.items() <= given.items()


def test_classes_name_only_known_attributes():
    known = {each.name for each in schema.ATTRIBUTES} | {"cn", "description"}
    assert {name for each in schema.CLASSES for name in (*each.must, *each.may)} <= known


def test_every_attribute_is_allowed_somewhere():
    used = {name for each in schema.CLASSES for name in (*each.must, *each.may)}
    assert {each.name for each in schema.ATTRIBUTES} <= used


def test_descriptions_need_no_escape():
    """A quote or backslash would have to be escaped in an RFC 4512 description."""
    for each in (*schema.ATTRIBUTES, *schema.CLASSES):
        assert not set("'\\") & set(each.description)


def test_lines_fit_a_terminal():
    for form in schema.FORMS:
        assert all(len(line) <= 100 for line in schema.text(form).splitlines())
