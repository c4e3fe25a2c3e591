"""`relocd init-pair` and two real slapds: both take writes, and neither loses one."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import ldap
import pytest

from relocd.sync.session import Upsert
from tests.adapters.ldap.lab import following, settings_for
from tests.lab.deadline import until
from tests.lab.hosts.base_server import ADMIN, DATA, BaseServer, data_ldif, person_ldif, trust_each_other
from tests.lab.slapd.control_pair import REPLICATION, REPLICATOR, control, init_pair, join, meet
from tests.lab.slapd.ldif import SUFFIX, record, server_dn, server_ldif, service_dn, service_ldif
from tests.lab.slapd.slapd import PASSWORD


@pytest.fixture
def servers():
    with ExitStack() as stack:
        first, second = (stack.enter_context(BaseServer(durable=False)) for _ in range(2))
        first.add(data_ldif() + person_ldif("anna"))
        yield first, second


@pytest.fixture
def pair(servers):
    meet(servers)
    return servers


def add(server, *ldif):
    """Add entries as an administrator."""
    server.add_as(ADMIN, "".join(ldif))


def modify(server, dn, *changes):
    connection = server.bound(ADMIN)
    connection.modify_s(dn, [(kind, name, [value.encode()]) for kind, name, value in changes])
    connection.unbind_s()


def agree(pair):
    until(lambda: control(pair[0]) == control(pair[1]))


def test_what_is_written_on_either_node_is_on_the_other(pair):
    add(pair[0], server_ldif("node1"))
    add(pair[1], server_ldif("node2"))
    agree(pair)
    assert {server_dn("node1"), server_dn("node2")} <= control(pair[0]).keys()


def apart(pair, *changes):
    """Each node takes a write while the other one is dead: neither knows of the other's. Then both are up."""
    first, second = pair
    second.kill()
    modify(first, service_dn("web"), changes[0])
    first.kill()
    second.start()
    modify(second, service_dn("web"), changes[1])
    first.start()


def test_two_changes_of_one_entry_made_apart_both_survive(pair):
    """What plain syncrepl, which copies whole entries, would lose."""
    add(pair[0], service_ldif("web"))
    agree(pair)
    apart(pair, (ldap.MOD_ADD, "relocAddress", "192.0.2.20/24"), (ldap.MOD_ADD, "relocInterface", "eth0"))
    until(lambda: control(pair[0])[service_dn("web")].keys() >= {"relocAddress", "relocInterface"})
    agree(pair)
    web = control(pair[1])[service_dn("web")]
    assert (web["relocAddress"], web["relocInterface"]) == (["192.0.2.20/24"], ["eth0"])


def test_of_two_changes_of_one_value_made_apart_the_later_one_wins_on_both(pair):
    add(pair[0], service_ldif("web"))
    agree(pair)
    apart(pair, (ldap.MOD_REPLACE, "relocInterface", "eth0"), (ldap.MOD_REPLACE, "relocInterface", "eth1"))
    until(lambda: control(pair[0])[service_dn("web")]["relocInterface"] == ["eth1"])
    agree(pair)


@pytest.mark.parametrize("dead", [0, 1])
def test_the_other_node_takes_writes_while_one_is_dead_and_the_dead_one_catches_up(pair, dead):
    alive = 1 - dead
    add(pair[dead], server_ldif("node1"), service_ldif("web"))
    agree(pair)
    pair[dead].kill()
    modify(pair[alive], server_dn("node1"), (ldap.MOD_ADD, "relocServiceLink", service_dn("web")))
    add(pair[alive], server_ldif("node2"))
    pair[dead].start()
    agree(pair)
    assert control(pair[dead])[server_dn("node1")]["relocServiceLink"] == [service_dn("web")]


@pytest.mark.parametrize("backup_is_loaded", [False, True], ids=["empty", "from an older backup"])
def test_a_node_whose_database_was_lost_gets_what_its_peer_has(pair, backup_is_loaded, tmp_path):
    add(pair[0], server_ldif("node1"), service_ldif("web"))
    agree(pair)
    backup = tmp_path / "backup.ldif"
    pair[1].slapcat(backup)
    modify(pair[0], server_dn("node1"), (ldap.MOD_ADD, "relocServiceLink", service_dn("web")))
    agree(pair)
    wanted = control(pair[0])
    pair[1].stop()
    for file in (pair[1].folder / "db" / "relocd").rglob("*.mdb"):
        file.unlink()
    if backup_is_loaded:
        pair[1].slapadd(backup)
    pair[1].start()
    agree(pair)
    assert control(pair[1]) == wanted
    add(pair[1], server_ldif("node2"))
    agree(pair)


def test_a_second_run_changes_nothing(pair):
    before = [server.config() for server in pair]
    assert join(pair[0], 1, pair[1].uri, "--create") == "nothing to do\n"
    assert join(pair[1], 2, pair[0].uri) == "nothing to do\n"
    assert [server.config() for server in pair] == before


def test_a_dry_run_says_all_and_changes_nothing(servers):
    before = servers[0].config()
    said = init_pair(servers[0], 1, servers[1].uri, "--create", "--dry-run")
    assert said.returncode == 0
    assert servers[0].config() == before
    assert not (servers[0].folder / "db" / "relocd").exists()
    for expected in ("olcServerID: 1", "dn: cn=relocd,cn=schema,cn=config", f"olcSuffix: {SUFFIX}", f"dn: {SUFFIX}"):
        assert expected in said.stdout
    assert REPLICATION not in said.stdout


def test_what_a_dry_run_says_is_what_is_done(servers):
    said = init_pair(servers[0], 1, servers[1].uri, "--create", "--dry-run").stdout
    done = join(servers[0], 1, servers[1].uri, "--create")
    assert [line.removeprefix("# ") for line in said.splitlines() if line.startswith("# ")] == [
        line.removeprefix("done: ") for line in done.splitlines()
    ]


def test_a_new_peer_is_taken_up(pair):
    assert "replicate from ldap://127.0.0.1:1," in join(pair[0], 1, "ldap://127.0.0.1:1")
    assert "replicate from" in join(pair[0], 1, pair[1].uri)
    add(pair[1], server_ldif("node2"))
    agree(pair)


def test_a_new_password_is_taken_up_when_both_nodes_have_it(pair):
    for number in (1, 2):
        said = join(pair[number - 1], number, pair[2 - number].uri, secret="another")
        assert "done: the replication password" in said
        assert "done: replicate from" in said
    for server, name in zip(pair, ("node1", "node2"), strict=True):
        server.stop()
        server.start()
        add(server, server_ldif(name))
        agree(pair)


def test_the_data_is_as_before(pair):
    """It is no part of the pair: not copied, and a search for it does not find relocd's entries."""
    client = pair[0].bound("")
    found = {dn for dn, _ in client.search_s(DATA, ldap.SCOPE_SUBTREE)}
    client.unbind_s()
    assert f"cn=anna,{DATA}" in found
    assert not any(SUFFIX in dn for dn in found)
    assert pair[1].entries(DATA) == {}


async def test_an_agent_follows_the_suffix_on_its_own_node_whatever_happens_to_the_other(pair):
    """Its persistent search is rooted at the suffix; what it knows serves it on the other node, too."""
    local = [settings_for(server.ldapi_uri, bind="external") for server in pair]
    async with following(local[1]) as followed:
        await followed.refreshed()
        await asyncio.to_thread(add, pair[0], service_ldif("web"))
        await asyncio.to_thread(add, pair[1], service_ldif("mail"))
        await followed.until(lambda: followed.present == {"web", "mail"})
        await asyncio.to_thread(agree, pair)
        pair[0].kill()
        await asyncio.to_thread(add, pair[1], service_ldif("news"))
        await followed.until(lambda: "news" in followed.present)
        cookie = followed.cookie
    pair[0].start()
    await asyncio.to_thread(agree, pair)
    async with following(local[0], cookie=cookie) as followed:
        await followed.refreshed()
        assert followed.of(Upsert) == []
        await asyncio.to_thread(add, pair[1], service_ldif("fax"))
        await followed.until(lambda: followed.names == ["fax"])


def test_the_rules_are_those_of_relocd(pair):
    """A server reads what it needs, deletes its link and adds none; who is nobody reads nothing."""
    credentials = {"objectClass": ("device", "simpleSecurityObject", "relocServer"), "userPassword": PASSWORD}
    link = {"relocServiceLink": service_dn("web")}
    add(pair[0], service_ldif("web"), record(server_dn("node1"), credentials | link))
    agree(pair)
    for server, change in ((pair[0], ldap.MOD_DELETE), (pair[1], ldap.MOD_ADD)):
        agent = server.bound(server_dn("node1"))
        modification = (server_dn("node1"), [(change, "relocServiceLink", [service_dn("web").encode()])])
        if change == ldap.MOD_DELETE:
            agent.modify_s(*modification)
            agree(pair)
        else:
            with pytest.raises(ldap.INSUFFICIENT_ACCESS):
                agent.modify_s(*modification)
        agent.unbind_s()
    nobody = pair[0].bound("")
    with pytest.raises(ldap.NO_SUCH_OBJECT):
        nobody.search_s(SUFFIX, ldap.SCOPE_SUBTREE)
    nobody.unbind_s()


def test_the_log_is_for_nobody_but_who_copies(pair):
    for who, password, sees in ((ADMIN, PASSWORD, False), (REPLICATOR, REPLICATION, True)):
        client = pair[0].bound(who, password)
        try:
            found = client.search_s("cn=relocd-log", ldap.SCOPE_BASE)
        except ldap.NO_SUCH_OBJECT:
            found = []
        client.unbind_s()
        assert bool(found) is sees


class TestRefused:
    def test_another_server_id(self, pair):
        refused = init_pair(pair[0], 3, pair[1].uri)
        assert (refused.returncode, "already has the server ID 1" in refused.stderr) == (2, True)

    def test_entries_that_are_in_the_data_already(self, servers):
        servers[0].add(record(SUFFIX, {"objectClass": "organizationalUnit"}))
        refused = init_pair(servers[0], 1, servers[1].uri)
        assert (refused.returncode, "move it there" in refused.stderr) == (2, True)

    def test_a_slapd_that_does_not_run(self, servers):
        servers[0].stop()
        assert init_pair(servers[0], 1, servers[1].uri).returncode == 3

    @pytest.mark.parametrize("peer", ["node2", "ldapi:///", 'ldap://a" credentials="x'])
    def test_a_peer_that_is_none(self, servers, peer):
        assert init_pair(servers[0], 1, peer).returncode == 2


def test_the_peers_speak_tls_where_it_is_not_refused(tmp_path):
    """Each trusts the authority of the other."""
    with ExitStack() as stack:
        pair = [stack.enter_context(BaseServer(durable=False, tls=True)) for _ in range(2)]
        trust_each_other(pair, tmp_path / "authorities.pem")
        meet(pair, tls=True)
        values = [value for entry in pair[0].config().values() for value in entry.get("olcSyncrepl", [])]
        assert ["starttls=critical" in value for value in values] == [True]
