"""What is made of the facts of a directory: definitions, clocks, replication. The rest is tried with real slapds."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from relocd.doctor.directory.acl_trials import Act, Compare, Trial
from relocd.doctor.directory.checks import between, clusters, schema_findings
from relocd.doctor.directory.config import config_findings
from relocd.doctor.directory.facts import TreeFacts
from relocd.doctor.finding import DoctorKind, Level
from relocd.doctor.report import as_json, is_well
from relocd.model.dn import DN
from relocd.model.entries import Entry
from relocd.openldap.config import Config, ConfigEntry
from relocd.schema.definitions import ARC, definitions
from tests.support.entries import cluster, dn, server
from tests.support.schemas import first_definitions

OURS = [each for some in definitions() for each in some]


@pytest.mark.parametrize(
    ("served", "level", "kind", "name"),
    [
        (OURS, Level.OK, DoctorKind.OK, None),
        ([" ".join(each.replace("MUST ( cn )", "MUST cn").split()) for each in OURS], Level.OK, DoctorKind.OK, None),
        ([each.replace("DESC 'A", "DESC 'The") for each in OURS], Level.OK, DoctorKind.OK, None),
        ([], Level.ERROR, DoctorKind.SCHEMA_MISSING, None),
        (OURS[1:], Level.ERROR, DoctorKind.SCHEMA_DIFFERS, "relocServiceLink"),
        (
            [OURS[0].replace("distinguishedNameMatch", "caseIgnoreMatch"), *OURS[1:]],
            Level.ERROR,
            DoctorKind.SCHEMA_DIFFERS,
            "relocServiceLink",
        ),
        (first_definitions(), Level.WARNING, DoctorKind.SCHEMA_OLDER, "relocPreferred"),
        (
            [each.replace("X-RELOCD-SCHEMA '2'", "X-RELOCD-SCHEMA '3'") for each in OURS],
            Level.WARNING,
            DoctorKind.SCHEMA_NEWER,
            None,
        ),
        (
            [*OURS, f"( {ARC}.1.99 NAME 'relocNew' SYNTAX 1.2 )"],
            Level.WARNING,
            DoctorKind.SCHEMA_NEWER,
            "relocNew",
        ),
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
def test_definitions_are_compared_by_their_meaning(served, level, kind, name):
    (found,) = schema_findings(served)
    assert (found.level, found.kind) == (level, kind)
    assert name in (found.names or (None,))


def test_each_act_is_a_clause_that_names_the_server_or_the_service() -> None:
    general = {Act.WRITE_STATUS, Act.DELETE_OWN_LINK, Act.ADD_OWN_LINK, Act.READ_PASSWORDS}
    for act in Act:
        clause = str(Trial(act, Compare(DN.parse("cn=x"), "cn"), "serverA", "serviceB"))
        assert ("serverA" in clause or "serviceB" in clause) is (act not in general), act
    assert str(Trial(Act.WRITE_STATUS, Compare(DN.parse("cn=x"), "cn"))) == "write its status"


def provider(uri: str, *times: str, now_s: float = 0.0) -> SimpleNamespace:
    csns = tuple(f"{time}.000000Z#000000#{at:03x}#000000" for at, time in enumerate(times, 1) if time)
    return SimpleNamespace(uri=uri, context_csns=csns, now_s=now_s)


@pytest.mark.parametrize(
    ("second", "level", "kind", "names", "seconds"),
    [
        (provider("b", "20260101000059", "20260101000100"), Level.OK, DoctorKind.OK, (), None),
        (provider("b", "20260101000000", "20260101000100"), Level.ERROR, DoctorKind.PROVIDER_BEHIND, ("b", "1"), 60),
        (provider("b", "20260101000100"), Level.ERROR, DoctorKind.PROVIDER_MISSING, ("b", "2"), None),
    ],
)
def test_a_provider_that_lags_is_named(second, level, kind, names, seconds):
    (found,) = between([provider("a", "20260101000100", "20260101000100"), second])
    assert (found.level, found.kind, found.names, found.seconds) == (level, kind, names, seconds)


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


def found_in(number: tuple[str, ...] = ("1",), overlays: tuple[ConfigEntry, ...] = (LOG,), **database: tuple[str, ...]):
    entries = (ConfigEntry("cn=config", {"olcserverid": number}), ConfigEntry(NAME, PAIR | database), *overlays)
    facts = SimpleNamespace(config=Config(entries), base=DN.parse("ou=relocd,dc=x"), identity="", peers=())
    return [(each.kind, each.level) for each in config_findings(facts)]


def test_one_of_a_pair_is_ok():
    assert found_in() == [(DoctorKind.OK, Level.OK)] * 2


@pytest.mark.parametrize(
    ("how", "trouble"),
    [
        ({"olcmultiprovider": ()}, (DoctorKind.READ_ONLY_COPY, Level.ERROR)),
        ({"number": ()}, (DoctorKind.NO_SERVER_ID, Level.ERROR)),
        ({"overlays": ()}, (DoctorKind.WHOLE_ENTRIES, Level.WARNING)),
        ({"olcdbindex": ("objectClass eq",)}, (DoctorKind.NOT_INDEXED, Level.WARNING)),
        ({"olcaddcontentacl": ("FALSE",)}, (DoctorKind.ADD_UNCHECKED, Level.WARNING)),
    ],
    ids=["copy", "no number", "whole entries", "no index", "unchecked entries"],
)
def test_what_is_wrong_in_the_configuration_is_one_finding(how, trouble):
    assert [each for each in found_in(**how) if each[1] is not Level.OK] == [trouble]


def test_what_was_not_checked_is_no_trouble():
    facts = SimpleNamespace(config=None, base=DN.parse("dc=x"), identity="")
    found = {"a": list(config_findings(facts))}
    assert is_well(found)
    (told,) = as_json(found)["findings"]
    assert (told["kind"], told["level"]) == ("config-unreadable", "not checked")


def preference(cluster_entry: Entry, *members: str) -> list[tuple[DoctorKind, str, tuple[str, ...]]]:
    servers = (server(name, clusters=["pair"] if name in members else []) for name in ("node1", "node2"))
    facts = SimpleNamespace(content=TreeFacts((cluster_entry, *servers)))
    return [(each.kind, each.server, each.names) for each in clusters(facts)]


AUTOMATIC = {"relocFailover": "automatic"}


@pytest.mark.parametrize(
    ("attributes", "found"),
    [
        pytest.param({}, [], id="no preference"),
        pytest.param({"relocPreferred": dn("node1")}, [(DoctorKind.OK, "", ("pair",))], id="a member"),
        pytest.param(
            AUTOMATIC | {"relocPreferred": dn("node1"), "relocFailback": "60"},
            [(DoctorKind.OK, "", ("pair",))],
            id="falls back to a member",
        ),
        pytest.param(
            {"relocPreferred": [dn("node1"), dn("node2")]},
            [(DoctorKind.PREFERRED_NO_MEMBER, "node2", ("pair",))],
            id="no member",
        ),
        pytest.param(
            {"relocPreferred": dn("node9")},
            [(DoctorKind.PREFERRED_NO_MEMBER, "node9", ("pair",))],
            id="no entry",
        ),
        pytest.param(
            AUTOMATIC | {"relocFailback": "60"},
            [(DoctorKind.FAILBACK_UNUSED, "", ("pair",))],
            id="failback to none",
        ),
        pytest.param(
            {"relocPreferred": dn("node1"), "relocFailback": "60"},
            [(DoctorKind.FAILBACK_UNUSED, "", ("pair",))],
            id="failback of a manual cluster",
        ),
    ],
)
def test_a_preference_that_cannot_come_about_is_named(attributes, found):
    assert preference(cluster("pair", **attributes), "node1") == found
