"""What is made of the facts of a directory: definitions, clocks, replication. The rest is tried with real slapds."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from relocd.doctor.directory.checks import between, schema_findings
from relocd.doctor.directory.config import config_findings
from relocd.doctor.finding import Level
from relocd.doctor.report import as_json, is_well
from relocd.model.dn import DN
from relocd.openldap.config import Config, ConfigEntry
from relocd.schema.definitions import ARC, definitions
from tests.support.schemas import first_definitions

OURS = [each for some in definitions() for each in some]


@pytest.mark.parametrize(
    ("served", "level", "said"),
    [
        (OURS, Level.OK, "version 2"),
        ([" ".join(each.replace("MUST ( cn )", "MUST cn").split()) for each in OURS], Level.OK, "version 2"),
        ([each.replace("DESC 'A", "DESC 'The") for each in OURS], Level.OK, "version 2"),
        ([], Level.ERROR, "none of"),
        (OURS[1:], Level.ERROR, "lacks relocServiceLink"),
        ([OURS[0].replace("distinguishedNameMatch", "caseIgnoreMatch"), *OURS[1:]], Level.ERROR, "relocServiceLink"),
        (first_definitions(), Level.WARNING, "relocPreferred"),
        ([each.replace("X-RELOCD-SCHEMA '2'", "X-RELOCD-SCHEMA '3'") for each in OURS], Level.WARNING, "version 3"),
        ([*OURS, f"( {ARC}.1.99 NAME 'relocNew' SYNTAX 1.2 )"], Level.WARNING, "relocNew"),
    ],
    ids=[
        "ours",
        "spelled otherwise",
        "described otherwise",
        "none",
        "lacks one",
        "another rule",
        "version 1",
        "version 3",
        "newer",
    ],
)
def test_definitions_are_compared_by_their_meaning(served, level, said):
    (found,) = schema_findings(served)
    assert found.level is level
    assert said in found.what


def provider(uri: str, *times: str, now_s: float = 0.0) -> SimpleNamespace:
    csns = tuple(f"{time}.000000Z#000000#{at:03x}#000000" for at, time in enumerate(times, 1) if time)
    return SimpleNamespace(uri=uri, context_csns=csns, now_s=now_s)


@pytest.mark.parametrize(
    ("second", "level", "said"),
    [
        (provider("b", "20260101000059", "20260101000100"), Level.OK, "2 providers"),
        (provider("b", "20260101000000", "20260101000100"), Level.ERROR, "b is 60 s behind provider 1"),
        (provider("b", "20260101000100"), Level.ERROR, "b has none of the changes of provider 2"),
    ],
)
def test_a_provider_that_lags_is_named(second, level, said):
    (found,) = between([provider("a", "20260101000100", "20260101000100"), second])
    assert found.level is level
    assert said in found.what


@pytest.mark.parametrize(
    ("first_s", "second_s", "level"), [(0.0, 58.0, Level.OK), (0.0, 50.0, Level.ERROR), (58.0, 0.0, Level.ERROR)]
)
def test_what_came_between_two_looks_is_no_lag(first_s, second_s, level):
    """A dead one in between is waited for, while the others go on."""
    first = provider("a", "20260101000000", now_s=first_s)
    (found,) = between([first, provider("b", "20260101000100", now_s=second_s)])
    assert found.level is level


PAIR = {
    "olcsuffix": ("dc=x",),
    "olcdatabase": ("{1}mdb",),
    "olcaddcontentacl": ("TRUE",),
    "olcdbindex": ("objectClass eq", "entryUUID,entryCSN pres,eq"),
    "olcsyncrepl": ("{0}rid=1",),
    "olcmultiprovider": ("TRUE",),
}
NAME = "olcDatabase={1}mdb,cn=config"
LOG = ConfigEntry(f"olcOverlay={{1}}accesslog,{NAME}", {"olcoverlay": ("{1}accesslog",)})


def said_of(number: tuple[str, ...] = ("1",), overlays: tuple[ConfigEntry, ...] = (LOG,), **database: tuple[str, ...]):
    entries = (ConfigEntry("cn=config", {"olcserverid": number}), ConfigEntry(NAME, PAIR | database), *overlays)
    facts = SimpleNamespace(config=Config(entries), base=DN.parse("ou=relocd,dc=x"), identity="", peers=())
    return [(each.check, each.level) for each in config_findings(facts)]


def test_one_of_a_pair_is_ok():
    assert said_of() == [("indexes", Level.OK), ("replication", Level.OK)]


@pytest.mark.parametrize(
    ("how", "trouble"),
    [
        ({"olcmultiprovider": ()}, ("replication", Level.ERROR)),
        ({"number": ()}, ("replication", Level.ERROR)),
        ({"overlays": ()}, ("replication", Level.WARNING)),
        ({"olcdbindex": ("objectClass eq",)}, ("indexes", Level.WARNING)),
        ({"olcaddcontentacl": ("FALSE",)}, ("new entries", Level.WARNING)),
    ],
    ids=["copy", "no number", "whole entries", "no index", "unchecked entries"],
)
def test_what_is_wrong_in_the_configuration_is_one_finding(how, trouble):
    assert [each for each in said_of(**how) if each[1] is not Level.OK] == [trouble]


def test_what_was_not_checked_is_no_trouble():
    facts = SimpleNamespace(config=None, base=DN.parse("dc=x"), identity="")
    found = {"a": list(config_findings(facts))}
    assert is_well(found)
    assert as_json(found)["findings"][0]["level"] == "not checked"
