"""`relocd schema --upgrade` brings the schema of a running slapd up to this version, and says each change."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import ldap
import pytest

from relocd.openldap.syncrepl import Consumer
from relocd.schema.definitions import ARC, VERSION
from relocd.schema.versions import SchemaDifference, difference
from tests.lab.deadline import until
from tests.lab.hosts.base_server import BaseServer, data_ldif
from tests.lab.slapd.control_pair import meet
from tests.lab.slapd.slapd import (
    PASSWORD,
    ROOT_DN,
    SCHEMA,
    SUFFIX,
    Slapd,
    cluster_dn,
    cluster_ldif,
    server_dn,
    server_ldif,
)
from tests.support.schemas import FIRST_FOLDER

RELOCD = str(Path(sys.executable).with_name("relocd"))
CURRENT = SchemaDifference(VERSION, (), (), ())
PREFER = f"dn: {cluster_dn('pair')}\nchangetype: modify\nadd: relocPreferred\nrelocPreferred: {server_dn('node1')}\n"


@pytest.fixture
def old():
    """A directory that was made with relocd 0.1, with entries."""
    with Slapd(schema="config", schema_folder=FIRST_FOLDER, durable=False) as slapd:
        slapd.add(server_ldif("node1", clusters=["pair"]) + cluster_ldif("pair", active="node1"))
        yield slapd


def upgrade(slapd: Slapd, *options: str) -> subprocess.CompletedProcess[str]:
    argv = [RELOCD, "schema", "--upgrade", "--socket", str(slapd.folder / "ldapi"), *options]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def upgraded(slapd: Slapd, *options: str) -> list[str]:
    """The lines of an upgrade that succeeds."""
    done = upgrade(slapd, *options)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def read(slapd: Slapd, base: str, *names: str, scope: int = ldap.SCOPE_BASE) -> list[str]:
    connection = ldap.initialize(slapd.ldapi_uri)
    connection.sasl_non_interactive_bind_s("EXTERNAL")
    try:
        found = connection.search_s(base, scope, "(objectClass=*)", list(names))
    finally:
        connection.unbind_s()
    return [value.decode() for _, values in found for name in names for value in values.get(name, [])]


def differs(slapd: Slapd) -> SchemaDifference:
    return difference(read(slapd, "cn=Subschema", "attributeTypes", "objectClasses"))


def test_a_directory_of_the_first_version_gets_what_it_lacks_and_keeps_its_entries(old):
    before = read(old, SUFFIX, "entryCSN", scope=ldap.SCOPE_SUBTREE)
    types, classes = upgraded(old)
    assert "relocPreferred" in types
    assert "relocFailback" in types
    assert "relocCluster" in classes
    assert differs(old) == CURRENT
    assert read(old, SUFFIX, "entryCSN", scope=ldap.SCOPE_SUBTREE) == before
    old.modify(PREFER)
    old.stop()
    old.start()
    assert differs(old) == CURRENT
    assert read(old, cluster_dn("pair"), "relocPreferred", "relocActive") == [server_dn("node1")] * 2


def test_a_second_upgrade_changes_nothing(old):
    upgraded(old)
    before = read(old, "cn=config", "entryCSN", scope=ldap.SCOPE_SUBTREE)
    (said,) = upgraded(old)
    assert said.startswith("nothing to do")
    assert read(old, "cn=config", "entryCSN", scope=ldap.SCOPE_SUBTREE) == before


def test_a_dry_run_prints_the_ldif_that_ldapmodify_takes_and_changes_nothing(old):
    before = differs(old)
    printed = upgrade(old, "--dry-run").stdout
    assert differs(old) == before
    old.modify(printed)
    assert differs(old) == CURRENT


def test_an_interrupted_upgrade_is_continued(old):
    first, _ = upgrade(old, "--dry-run").stdout.split("\n\n")
    old.modify(first + "\n")
    assert differs(old).is_older
    (classes,) = upgraded(old)
    assert "relocCluster" in classes
    assert differs(old) == CURRENT


def test_definitions_of_others_in_the_same_entry_stay(old):
    own = "olcObjectClasses: ( 2.25.1 NAME 'ownServer' SUP relocServer AUXILIARY MAY relocAddress )"
    (dn,) = [dn for dn in schema_entries(old) if "relocd" in dn]
    old.modify(f"dn: {dn}\nchangetype: modify\nadd: olcObjectClasses\n{own}\n")
    upgraded(old)
    assert differs(old) == CURRENT
    assert any("ownServer" in each for each in read(old, "cn=Subschema", "objectClasses"))


def schema_entries(slapd: Slapd) -> list[str]:
    connection = ldap.initialize(slapd.ldapi_uri)
    connection.sasl_non_interactive_bind_s("EXTERNAL")
    try:
        return [dn for dn, _ in connection.search_s("cn=schema,cn=config", ldap.SCOPE_ONELEVEL, attrlist=["1.1"])]
    finally:
        connection.unbind_s()


def altered(folder: Path, old_text: str, new_text: str) -> Path:
    """A folder with the schema of this version, one thing in it changed."""
    text = (SCHEMA / "relocd.ldif").read_text()
    assert old_text in text
    (folder / "relocd.ldif").write_text(text.replace(old_text, new_text))
    return folder


def test_a_changed_attribute_type_becomes_ours_while_entries_use_it(tmp_path):
    lease = "SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 SINGLE-VALUE )\nolcAttributeTypes: ( " + ARC + ".1.26"
    folder = altered(tmp_path, lease, lease.replace(" SINGLE-VALUE", ""))
    status = f"dn: cn=status,{server_dn('node1')}\nobjectClass: relocServerStatus\nrelocLease: 10\n"
    with Slapd(schema="config", schema_folder=folder, durable=False) as slapd:
        slapd.add(server_ldif("node1") + status)
        assert differs(slapd).other == ("relocLease",)
        (said,) = upgraded(slapd)
        assert said.endswith(": relocLease")
        assert differs(slapd) == CURRENT
        assert read(slapd, f"cn=status,{server_dn('node1')}", "relocLease") == ["10"]


def test_a_newer_schema_is_left_as_it_is(tmp_path):
    folder = altered(tmp_path, f"X-RELOCD-SCHEMA '{VERSION}'", f"X-RELOCD-SCHEMA '{VERSION + 1}'")
    with Slapd(schema="config", schema_folder=folder, durable=False) as slapd:
        before = differs(slapd)
        refused = upgrade(slapd)
        assert refused.returncode == 2
        assert f"version {VERSION + 1}" in refused.stderr
        assert differs(slapd) == before


def test_a_slapd_that_is_configured_by_slapd_conf_is_told_how(tmp_path):
    with Slapd(schema_folder=FIRST_FOLDER, durable=False) as slapd:
        refused = upgrade(slapd)
    assert refused.returncode == 2
    assert "slapd.conf" in refused.stderr


def test_a_slapd_without_our_schema_is_told_how_to_load_it(tmp_path):
    with BaseServer(durable=False) as slapd:
        refused = upgrade(slapd)
    assert refused.returncode == 2
    assert "ldapadd" in refused.stderr


def test_a_copy_takes_what_it_could_not_once_it_is_upgraded():
    """A new attribute that is written too early stops the replication to a copy with the old schema, until then."""
    with ExitStack() as stack:
        provider, copy = old_provider_and_copy(stack)
        upgraded(provider)
        provider.add(cluster_ldif("early", relocPreferred=server_dn("node1")) + cluster_ldif("next"))
        until(lambda: f"be_add {cluster_dn('early')} failed" in copy.log())
        assert cluster_dn("next") not in entries(copy)
        assert upgraded(copy)[-1].startswith(f"next: the same on {provider.uri}")
        until(lambda: {cluster_dn("early"), cluster_dn("next")} <= entries(copy))
        assert read(copy, cluster_dn("early"), "relocPreferred") == [server_dn("node1")]


def old_provider_and_copy(stack: ExitStack) -> tuple[Slapd, Slapd]:
    """Two servers with the schema of the first version, of which the second replicates from the first."""
    how = {"schema": "config", "schema_folder": FIRST_FOLDER, "durable": False}
    provider = stack.enter_context(Slapd(**how))
    provider.add(server_ldif("node1"))
    line = Consumer(1, provider.uri, SUFFIX, ROOT_DN, PASSWORD, starttls=False).value.replace('"1 3 5 +"', '"1 +"')
    copy = stack.enter_context(Slapd(**how, content="", log_level="sync"))
    add = f"add: olcSyncrepl\nolcSyncrepl: {line}\n"
    copy.modify(f"dn: olcDatabase={{1}}mdb,cn=config\nchangetype: modify\n{add}")
    until(lambda: server_dn("node1") in entries(copy))
    return provider, copy


def entries(slapd: Slapd) -> set[str]:
    connection = ldap.initialize(slapd.ldapi_uri)
    connection.sasl_non_interactive_bind_s("EXTERNAL")
    try:
        return {dn for dn, _ in connection.search_s(SUFFIX, ldap.SCOPE_SUBTREE, attrlist=["1.1"])}
    except ldap.NO_SUCH_OBJECT:
        return set()
    finally:
        connection.unbind_s()


def test_a_pair_that_is_made_of_slapds_with_an_old_schema_gets_the_new_one():
    """The access rules that come with the pair name definitions of this version."""
    with ExitStack() as stack:
        first, second = servers = [stack.enter_context(BaseServer(durable=False)) for _ in range(2)]
        for server in servers:
            server.add((FIRST_FOLDER / "relocd.ldif").read_text())
        first.add(data_ldif())
        meet(servers)
        assert differs(first) == differs(second) == CURRENT
