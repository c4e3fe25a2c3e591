"""Where the schema of a slapd can be changed, and where else an upgrade is needed."""

from __future__ import annotations

import pytest

from relocd.errors import Invalid
from relocd.openldap.config import Config, ConfigEntry
from relocd.openldap.schema_upgrade import upgrade
from relocd.schema.definitions import definitions
from relocd.schema.versions import by_oid
from tests.support.schemas import first_definitions

TOP = ConfigEntry("cn=config", {})
"""Of a slapd that was made with cn=config, as Debian's: it names neither its file nor its folder."""


def schema(texts) -> ConfigEntry:
    """The entry of cn=config with definitions, which slapd numbers."""
    types = [text for text in texts if "SYNTAX" in text]
    classes = [text for text in texts if "SYNTAX" not in text]
    numbered = {
        name: tuple(f"{{{at}}}{text}" for at, text in enumerate(some))
        for name, some in (("olcattributetypes", types), ("olcobjectclasses", classes))
    }
    return ConfigEntry("cn={4}relocd,cn=schema,cn=config", numbered)


OLD = schema(first_definitions())


def database(kind: str, *providers: str, suffix: str = "", multiple: bool = False) -> ConfigEntry:
    attributes = {
        "olcdatabase": (kind,),
        "olcsyncrepl": tuple(f"{{{at}}}rid=00{at} provider={uri}" for at, uri in enumerate(providers)),
        "olcmultiprovider": ("TRUE" if multiple else "FALSE",),
    }
    return ConfigEntry(f"olcDatabase={kind},cn=config", attributes | ({"olcsuffix": (suffix,)} if suffix else {}))


OWN = database("{0}config")
CONTROL = database("{1}mdb", "ldap://ldap2", suffix="ou=relocd,dc=example,dc=org", multiple=True)


def test_types_come_before_the_classes_that_have_them_and_the_mark_last():
    types, classes = upgrade(Config((TOP, OLD, OWN, CONTROL))).changes
    assert not types.replaced
    assert types.added.keys() == {"olcAttributeTypes"}
    assert by_oid(classes.replaced["olcObjectClasses"]) == by_oid(definitions()[1])


@pytest.mark.parametrize(
    ("more", "is_upgraded"),
    [({"olcconfigdir": ("/etc/ldap/slapd.d",)}, True), ({}, False)],
    ids=["converted", "read again at each start"],
)
def test_a_slapd_conf_that_was_converted_is_no_obstacle(more, is_upgraded):
    config = Config((ConfigEntry("cn=config", {"olcconfigfile": ("/etc/ldap/slapd.conf",)} | more), OLD, OWN))
    if is_upgraded:
        assert upgrade(config).changes
    else:
        with pytest.raises(Invalid, match=r"slapd\.conf"):
            upgrade(config)


def test_a_provider_of_its_own_cn_config_is_named():
    assert upgrade(Config((TOP, OLD, OWN, CONTROL))).providers == ("ldap://ldap2",)


def test_a_provider_with_the_same_cn_config_needs_no_upgrade_of_its_own():
    shared = database("{0}config", "ldap://ldap2", multiple=True)
    found = upgrade(Config((TOP, OLD, shared, CONTROL)))
    assert found.changes
    assert found.providers == ()


def test_a_copied_cn_config_is_upgraded_where_it_comes_from():
    with pytest.raises(Invalid, match="ldap://master"):
        upgrade(Config((TOP, OLD, database("{0}config", "ldap://master"), CONTROL)))


def test_a_copied_cn_config_that_is_up_to_date_is_no_error():
    current = schema([each for some in definitions() for each in some])
    assert upgrade(Config((TOP, current, database("{0}config", "ldap://master")))).changes == ()


def test_definitions_in_two_entries_are_replaced_where_they_are():
    """As after `slaptest` has converted a slapd.conf that includes two files."""
    types = ConfigEntry("cn={4}a,cn=schema,cn=config", {"olcattributetypes": OLD.attributes["olcattributetypes"]})
    classes = ConfigEntry("cn={5}b,cn=schema,cn=config", {"olcobjectclasses": OLD.attributes["olcobjectclasses"]})
    first, second = upgrade(Config((TOP, types, classes, OWN))).changes
    assert (first.dn, second.dn) == (types.dn, classes.dn)
    assert by_oid(second.replaced["olcObjectClasses"]) == by_oid(definitions()[1])
