"""The role of a data suffix as a pure function of cn=config and the wanted role."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relocd.errors import Invalid
from relocd.openldap.changes import AddEntry, ModifyEntry
from relocd.openldap.config import Config, ConfigEntry
from relocd.openldap.role import WantedRole, as_consumer, changes, closing_changes, wanted_role

SUFFIX = "dc=example,dc=org"
DATABASE = "olcDatabase={1}mdb,cn=config"
PROVIDER = WantedRole(True, SUFFIX, "provider", "ldap://192.0.2.10", f"cn=copy,{SUFFIX}", "geheim", True, 1)
CONSUMER = replace(PROVIDER, role="consumer")
FILE = f"""
active = true
suffix = "{SUFFIX}"
role = "provider"
primary = "ldap://192.0.2.10"
bind_dn = "cn=copy,{SUFFIX}"
password = "geheim"
starttls = true
rid = 1
"""


def entry(dn: str, **attributes: str | tuple[str, ...]) -> ConfigEntry:
    return ConfigEntry(
        dn, {key.lower(): (value,) if isinstance(value, str) else value for key, value in attributes.items()}
    )


def config(**database: str) -> Config:
    """A slapd with all that a role needs, and one database."""
    return Config(
        (
            entry(
                "cn=module{0},cn=config", objectClass="olcModuleList", olcModuleLoad=("{0}back_mdb", "{1}syncprov.la")
            ),
            entry(DATABASE, olcDatabase="{1}mdb", olcSuffix="DC=Example, dc=org", **database),
            entry(f"olcOverlay={{0}}syncprov,{DATABASE}", olcOverlay="{0}syncprov", olcSpCheckpoint="1 1"),
        )
    )


BELOW = entry("x", olcDatabase="mdb", olcSuffix=f"ou=a,{SUFFIX}", olcSubordinate="TRUE")
FOLLOWING = {"olcSyncrepl": f"{{0}}{CONSUMER.consumer.value} filter=x", "olcUpdateRef": CONSUMER.primary}


def test_a_promotion_is_one_modify_of_what_is_there():
    (change,) = changes(config(**FOLLOWING), PROVIDER)
    assert isinstance(change, ModifyEntry)
    assert (change.dn, change.replaced, change.added) == (DATABASE, {"olcSyncrepl": (), "olcUpdateRef": ()}, {})


def test_a_demotion_is_one_modify():
    (change,) = changes(config(), CONSUMER)
    assert isinstance(change, ModifyEntry)
    assert change.replaced == {"olcSyncrepl": (CONSUMER.consumer.value,), "olcUpdateRef": (CONSUMER.primary,)}


class TestClosed:
    """A provider that takes no more writes: read-only, until it has a role again."""

    def test_a_provider_is_closed_by_one_modify_and_once(self):
        (change,) = closing_changes(config(), PROVIDER)
        assert isinstance(change, ModifyEntry)
        assert (change.replaced, change.added) == ({"olcReadOnly": ("TRUE",)}, {})
        assert closing_changes(config(olcReadOnly="TRUE"), PROVIDER) == ()

    def test_a_consumer_is_not(self):
        assert closing_changes(config(**FOLLOWING), PROVIDER) == ()

    @pytest.mark.parametrize("wanted", [PROVIDER, CONSUMER], ids=["provider", "consumer"])
    def test_its_next_role_opens_it_by_one_modify(self, wanted):
        (change,) = changes(config(olcReadOnly="TRUE"), wanted)
        assert isinstance(change, ModifyEntry)
        assert change.replaced["olcReadOnly"] == ("FALSE",)


@pytest.mark.parametrize(
    ("found", "wanted"), [({}, PROVIDER), (FOLLOWING, CONSUMER)], ids=["provider", "consumer, in slapd's own spelling"]
)
def test_nothing_to_do(found, wanted):
    assert changes(config(**found), wanted) == ()


@pytest.mark.parametrize(
    "other", [{"password": "neu"}, {"primary": "ldap://192.0.2.11"}, {"starttls": False}, {"rid": 2}], ids=str
)
def test_a_consumer_is_changed_when_anything_of_it_is(other):
    before = replace(CONSUMER, **other)
    assert changes(config(olcSyncrepl=before.consumer.value, olcUpdateRef=before.primary), CONSUMER)


def test_what_a_promotion_needs_is_there_before_the_role_changes():
    bare = Config((entry(DATABASE, olcDatabase="{1}mdb", olcSuffix=SUFFIX),))
    kinds = [type(change) for change in changes(bare, CONSUMER)]
    assert kinds == [AddEntry, AddEntry, ModifyEntry]
    assert "olcSyncrepl" in changes(bare, CONSUMER)[-1].replaced


@pytest.mark.parametrize("found", [{}, {"olcSpCheckpoint": "100 10"}], ids=["none", "seldom"])
def test_an_overlay_that_seldom_writes_down_how_far_it_is_does_it_each_time(found):
    *others, overlay = config().entries
    seldom = entry(overlay.dn, olcOverlay="{0}syncprov", **found)
    (change,) = changes(Config((*others, seldom)), PROVIDER)
    assert isinstance(change, ModifyEntry)
    assert (change.dn, change.replaced) == (overlay.dn, {"olcSpCheckpoint": ("1 1",)})


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (config(olcMultiProvider="TRUE"), "is multi-provider"),
        (Config(()), "no database of this slapd has the suffix"),
        (Config((BELOW, *config().entries)), "remove olcSubordinate"),
    ],
    ids=["multi-provider", "no database", "subordinate"],
)
def test_what_is_not_ours_to_change_is_refused(found, why):
    with pytest.raises(Invalid, match=why):
        changes(found, PROVIDER)


def test_a_file_is_read(tmp_path):
    (tmp_path / "ldap.toml").write_text(FILE)
    assert wanted_role(tmp_path / "ldap.toml") == PROVIDER
    assert as_consumer(PROVIDER) == CONSUMER


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rid = 1", 'rid = "1"'),
        ("rid = 1", "rid = true"),
        ("rid = 1", ""),
        ("rid = 1", "rid = 1\nmore = 1"),
        ('"provider"', '"both"'),
        ('"geheim"', "'ge\"heim'"),
        ('"geheim"', '"geheim\\n"'),
        ('"geheim"', '"geheim'),
        ('suffix = "', 'suffix = "a,'),
        ('bind_dn = "', 'bind_dn = "cn=a,,'),
    ],
)
def test_a_file_that_is_wrong_is_refused_without_its_password(tmp_path, old, new):
    (tmp_path / "ldap.toml").write_text(FILE.replace(old, new))
    with pytest.raises(Invalid) as refused:
        wanted_role(tmp_path / "ldap.toml")
    assert "heim" not in str(refused.value)
