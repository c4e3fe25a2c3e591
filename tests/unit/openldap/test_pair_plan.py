"""What makes a slapd one of a pair, as a pure function of its cn=config; its password as slapd stores it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relocd.errors import Invalid
from relocd.openldap.changes import AddEntry, ModifyEntry
from relocd.openldap.config import Config, ConfigEntry
from relocd.openldap.pair_plan import Pair, hashed, is_of, pair_plan

SUFFIX = "ou=relocd,dc=example,dc=org"
PAIR = Pair(SUFFIX, 1, "ldap://192.0.2.2", "geheim", starttls=False)


def database(number: int, suffix: str, **more: str) -> ConfigEntry:
    attributes = {"olcDatabase": f"{{{number}}}mdb", "olcSuffix": suffix, "olcDbDirectory": "/var/lib/ldap"}
    attributes |= {"olcRootDN": "cn=admin,dc=example,dc=org", **more}
    return ConfigEntry(f"olcDatabase={{{number}}}mdb,cn=config", {name.lower(): (v,) for name, v in attributes.items()})


DATA = database(1, "dc=example,dc=org")
OTHER = database(2, "dc=example,dc=com")
LOG = database(3, "cn=relocd-log")


def created(*databases: ConfigEntry) -> list[str]:
    """The databases that are created, with their numbers."""
    changes = pair_plan(Config(databases), replace(PAIR, administrators="cn=boss,dc=b")).changes
    return [each.dn for each in changes if isinstance(each, AddEntry) and "olcSuffix" in each.attributes]


@pytest.mark.parametrize(
    ("databases", "expected"),
    [
        pytest.param([DATA], (1, 3), id="before the data, and behind it"),
        pytest.param([OTHER], (3, 4), id="nothing above: at the end"),
        pytest.param([database(1, "dc=example,dc=com"), database(2, "dc=example,dc=org")], (2, 4), id="data second"),
        pytest.param([DATA, OTHER, LOG], (1,), id="the log is there from a run that was cut short"),
    ],
)
def test_the_new_databases_come_where_slapd_looks_for_them(databases, expected):
    assert created(*databases) == [f"olcDatabase={{{number}}}mdb,cn=config" for number in expected]


def test_overlays_of_a_log_that_moves_are_added_at_its_new_place():
    changes = pair_plan(Config((DATA, OTHER, LOG)), PAIR).changes
    assert "olcOverlay=syncprov,olcDatabase={4}mdb,cn=config" in [change.dn for change in changes]


def test_the_folders_are_beside_that_of_the_data():
    plan = pair_plan(Config((DATA,)), PAIR)
    assert plan.folders == tuple(f"/var/lib/ldap/relocd{name}" for name in ("", "/control", "/log"))
    assert plan.like == "/var/lib/ldap"


def test_who_administrates_the_data_administrates_the_pair_unless_others_are_named():
    for pair, expected in ((PAIR, "cn=admin,dc="), (replace(PAIR, administrators="cn=boss,dc=b"), "cn=boss,dc=b")):
        added = [each.attributes for each in pair_plan(Config((DATA,)), pair).changes if isinstance(each, AddEntry)]
        (rules,) = [attributes["olcAccess"] for attributes in added if "olcLimits" in attributes]
        assert expected in rules[0]


@pytest.mark.parametrize(
    ("config", "pair", "why"),
    [
        (Config((DATA,)), replace(PAIR, suffix="cn=relocd,dc=example,dc=org"), "does not begin with ou="),
        (Config((DATA,)), replace(PAIR, server_id=0), "--server-id 0"),
        (Config((DATA,)), replace(PAIR, password=""), "--password-file"),
        (Config((DATA,)), replace(PAIR, password='a" b="c'), "--password-file"),
        (Config(()), PAIR, "no database"),
        (Config((ConfigEntry("cn=config", {"olcserverid": ("0x2",)}), DATA)), PAIR, "has the server ID 2"),
        (Config((database(1, SUFFIX, olcSubordinate="TRUE"), DATA)), PAIR, "is subordinate"),
        (Config((database(1, SUFFIX), DATA)), PAIR, "another rootdn"),
    ],
)
def test_what_stands_in_the_way_is_said(config, pair, why):
    with pytest.raises(Invalid, match=why):
        pair_plan(config, pair)


def test_a_pair_that_speaks_starttls_needs_a_certificate():
    """Otherwise all seems well, and nothing is copied."""
    protected = replace(PAIR, starttls=True)
    with pytest.raises(Invalid, match=r"no certificate.*olcTLSCertificateFile.*--no-tls on both nodes"):
        pair_plan(Config((DATA,)), protected)
    top = ConfigEntry("cn=config", {"olctlscertificatefile": ("/etc/ldap/node1.pem",)})
    assert pair_plan(Config((top, DATA)), protected).changes


# slappasswd -h '{SSHA}' -s geheim
BY_SLAPPASSWD = "{SSHA}O8/nHaCrkp6xJ05PDhBUKJgJD9AWr4lZ"


@pytest.mark.parametrize("stored", [BY_SLAPPASSWD, "geheim"], ids=["hashed by slappasswd", "as it is"])
def test_a_stored_password_is_known_and_no_other_is(stored):
    assert is_of("geheim", stored)
    assert not is_of("Geheim", stored)


def test_each_hash_has_its_own_salt():
    assert is_of("geheim", hashed("geheim"))
    assert hashed("geheim") != hashed("geheim")


@pytest.mark.parametrize("stored", ["", "{SSHA}", "{SSHA}???", "{CRYPT}x"])
def test_what_is_no_hash_of_ours_is_no_password(stored):
    assert not is_of("geheim", stored)


@pytest.mark.parametrize(
    ("retry", "changed"), [pytest.param("1 3 5 +", True, id="of an older relocd"), pytest.param("1 +", False, id="now")]
)
def test_a_second_run_lets_a_pair_ask_its_peer_every_second(retry, changed):
    follows = replace(PAIR.consumer, retry=retry).value
    control = database(1, SUFFIX, olcRootDN=PAIR.replicator, olcSyncrepl=follows, olcMultiProvider="TRUE")
    changes = pair_plan(Config((control, database(2, "dc=example,dc=org"), LOG)), PAIR).changes
    found = [dict(each.replaced) for each in changes if isinstance(each, ModifyEntry) and each.dn == control.dn]
    assert any("olcSyncrepl" in each for each in found) is changed
