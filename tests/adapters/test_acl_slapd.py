"""A real slapd with the shipped access rules: each permission is there, and each thing beyond it is refused.

In both forms the database has a wide open rule of its own after ours and a small size limit, so that whatever is
refused is refused by our rules, and whatever is complete is so by our limits.
"""

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, replace

import ldap
import ldap.modlist
import pytest

from relocd.acl import EXAMPLE, FILES, Access, text
from relocd.adapters.ldap_connection import connect
from relocd.adapters.ldap_reader import LdapReader
from relocd.model.dn import DN
from relocd.sync.events import Upsert
from tests.adapters.ldap_lab import following, settings_for
from tests.lab.ldif import record
from tests.lab.slapd import (
    PASSWORD,
    ROOT_DN,
    SCHEMA,
    SUFFIX,
    Slapd,
    base_ldif,
    cluster_dn,
    server_dn,
    service_dn,
    service_ldif,
)

SIZE_LIMIT = 5
WIDE_OPEN = "access to * by * write"
PEOPLE = "ou=people,dc=example,dc=org"
LINK = "relocServiceLink"
STATUS, STATE = "relocServerStatus", "relocServiceState"
WITH_PASSWORD = "simpleSecurityObject"
A_SET = "a] | user | this | [b"  # a name that would end a literal within a set


def state_dn(service):
    return f"cn=state,{service_dn(service)}"


def status_dn(server):
    return f"cn=status,{server_dn(server)}"


def account_dn(name):
    return f"cn={name},{SUFFIX}"


ALL_SERVICES = {"web", "new", "mail", "db", "files", "news"}
SERVERS = {
    "node1": {LINK: ["web", "NEW", "files", "news"], "relocClusterLink": ["pair", "auto"], "relocFenced": "TRUE"},
    "node2": {LINK: ["files", "news"], "relocClusterLink": ["auto"]},
    "node3": {LINK: ["files", "news"]},
    "stranger": {LINK: [A_SET]},
}
STATES = {
    "web": {},
    "mail": {"relocHolder": "node2"},
    "db": {"relocHolder": "node1", "relocCandidate": "node2"},  # both have lost their links
    "files": {"relocHolder": "node2", "relocPrevious": "node3"},  # node2 has taken over and cleans up
    "news": {"relocHolder": "node3", "relocCandidate": "node2"},  # node3 is dead, node2 takes over
}
ACCOUNTS = {"admins": "anna", "triggers": "heartbeat", "readers": "reader"}
# He has links in his own entry, which is in another database, under other rules.
OUTSIDER = f"cn=outsider,{PEOPLE}"
IDENTITIES = {
    **{name: server_dn(name) for name in SERVERS},
    **{name: account_dn(name) for name in ACCOUNTS.values()},
    "outsider": OUTSIDER,
    "root": ROOT_DN,
    "anonymous": "",
}


def content():
    """The directory of these tests."""
    services = [
        service_ldif(name, addresses=["192.0.2.10/24"], relocSecret=f"password={name}") for name in sorted(ALL_SERVICES)
    ]
    states = [
        record(state_dn(service), {"objectClass": STATE, **{name: server_dn(server) for name, server in who.items()}})
        for service, who in STATES.items()
    ]
    servers = [server_ldif(server_dn(name), **attributes) for name, attributes in SERVERS.items()]
    status = record(status_dn("node2"), {"objectClass": STATUS})
    return "".join([base_ldif(), *services, *states, *clusters_ldif(), *servers, status, *accounts_ldif()])


def clusters_ldif():
    for name, failover in (("pair", "manual"), ("auto", "automatic")):
        active = {"relocActive": server_dn("node2"), "relocFailover": failover, LINK: service_dn("mail")}
        yield record(cluster_dn(name), {"objectClass": "relocCluster", **active})


def server_ldif(dn, **attributes):
    """A server that can bind, as the README shows it; its links are given by their short names."""
    links = {
        LINK: map(service_dn, attributes.pop(LINK, ())),
        "relocClusterLink": map(cluster_dn, attributes.pop("relocClusterLink", ())),
    }
    classes = ("device", WITH_PASSWORD, "relocServer")
    return record(dn, {"objectClass": classes, "userPassword": PASSWORD, **attributes, **links})


def accounts_ldif():
    for group, name in ACCOUNTS.items():
        yield record(account_dn(name), {"objectClass": ("organizationalRole", WITH_PASSWORD), "userPassword": PASSWORD})
        yield record(account_dn(group), {"objectClass": "groupOfNames", "member": account_dn(name)})


@pytest.fixture(scope="module", params=["include", "config"])
def slapd(request, tmp_path_factory):
    rules = [f"include {SCHEMA / FILES['schema']}"] if request.param == "include" else []
    people = [
        "database ldif",
        f'suffix "{PEOPLE}"',
        f'rootdn "{ROOT_DN}"',
        f"directory {tmp_path_factory.mktemp('people')}",
    ]
    own = [f"sizelimit {SIZE_LIMIT}", *rules, WIDE_OPEN]
    with Slapd(
        schema=request.param, tls=True, content=content(), database_lines=own, global_lines=people, server_id=1
    ) as slapd:
        slapd.add(record(PEOPLE, {"objectClass": "organizationalUnit"}))
        slapd.add(server_ldif(OUTSIDER, relocServiceLink=["web"], relocClusterLink=["auto"]))
        if request.param == "config":
            slapd.modify(text("ldif", replace(EXAMPLE, database="olcDatabase={2}mdb,cn=config")))
        yield slapd


@contextmanager
def bound(slapd, who):
    """A connection of that identity."""
    connection = ldap.initialize(slapd.uri)
    try:
        connection.simple_bind_s(IDENTITIES[who], PASSWORD if IDENTITIES[who] else "")
        yield connection
    finally:
        connection.unbind_ext_s()


@pytest.fixture
def restored(slapd):
    """Put back what a test has changed."""
    with bound(slapd, "root") as root:
        before = everything(root)
        yield
        after = everything(root)
        for dn in after.keys() - before.keys():
            root.delete_s(dn)
        for dn in before.keys() - after.keys():
            root.add_s(dn, ldap.modlist.addModlist(before[dn]))
        for dn in before.keys() & after.keys():
            if after[dn] != before[dn]:
                root.modify_s(dn, ldap.modlist.modifyModlist(after[dn], before[dn]))


def everything(connection, *attributes):
    return dict(connection.search_s(SUFFIX, ldap.SCOPE_SUBTREE, attrlist=attributes or None))


@dataclass(frozen=True)
class Modify:
    """One modify of several changes, such as `("add", "relocFenced", "TRUE")` or, of all values, `("delete", LINK)`."""

    dn: str
    changes: tuple[tuple[str, ...], ...]

    def __call__(self, connection):
        connection.modify_s(self.dn, [self._change(*change) for change in self.changes])

    def _change(self, kind, name, *values):
        kinds = {"add": ldap.MOD_ADD, "delete": ldap.MOD_DELETE, "set": ldap.MOD_REPLACE, "grow": ldap.MOD_INCREMENT}
        return kinds[kind], name, [value.encode() for value in values] or None


def modify(dn, *changes):
    return Modify(dn, changes)


def create(dn, *classes, **attributes):
    values = {"objectClass": classes} | {name: (value,) for name, value in attributes.items()}
    return lambda connection: connection.add_s(
        dn, [(name, [v.encode() for v in all_]) for name, all_ in values.items()]
    )


def delete(dn):
    return lambda connection: connection.delete_s(dn)


def rename(dn, rdn):
    return lambda connection: connection.rename_s(dn, rdn)


def link(server, service):
    return modify(server_dn(server), ("add", LINK, service_dn(service)))


def unlink(server, service):
    return modify(server_dn(server), ("delete", LINK, service_dn(service)))


def take(service, server):
    return modify(state_dn(service), ("add", "relocHolder", server_dn(server)), ("add", "relocGeneration", "1"))


def swap(service, old, new):
    holder = (("delete", "relocHolder", server_dn(old)), ("add", "relocHolder", server_dn(new)))
    return modify(state_dn(service), *holder, ("set", "relocCandidate"), ("set", "relocPrevious", server_dn(old)))


def activate(cluster, new, old="node2"):
    return modify(cluster_dn(cluster), ("delete", "relocActive", server_dn(old)), ("add", "relocActive", new))


NODE1, NODE2, NODE3, STRANGER = (server_dn(name) for name in SERVERS)
AT_NOON = ("set", "relocHeartbeat", "20260101120000Z")
ADDRESS = ("set", "relocAddress", "192.0.2.11/24")
PASSED = ("set", "userPassword", "other")

PERMITTED = {
    "node1": {
        "create its status": create(status_dn("node1"), STATUS, cn="status", relocHeartbeat="20260101120000Z"),
        "create the state of a linked service": create(state_dn("new"), STATE, relocHolder=NODE1, relocGeneration="1"),
        "take a linked service": take("web", "node1"),
        "take a service of its cluster": swap("mail", "node2", "node1"),
        "hand over without a link": swap("db", "node1", "node2"),
        "clear the candidate": modify(state_dn("db"), ("delete", "relocCandidate", NODE2)),
        "delete its link": unlink("node1", "web"),
        "delete its links": modify(NODE1, ("delete", LINK)),
        "clear its fence": modify(NODE1, ("delete", "relocFenced", "TRUE")),
        "become active where members may": activate("auto", NODE1),
    },
    "node2": {
        "write its status": modify(status_dn("node2"), AT_NOON, ("add", "relocProblem", "eth0 is down")),
        "withdraw without a link": modify(state_dn("db"), ("delete", "relocCandidate", NODE2)),
        "unlink the previous holder": unlink("node3", "files"),
        "unlink the dead holder": unlink("node3", "news"),
    },
    "heartbeat": {
        "link a server": link("stranger", "web"),
        "unlink a server": unlink("node1", "web"),
        "set the active member": activate("pair", NODE1),
        "fence a server": modify(NODE2, ("add", "relocFenced", "TRUE")),
        "lift a fence": modify(NODE1, ("delete", "relocFenced")),
    },
    "anna": {
        "change an address": modify(service_dn("web"), ADDRESS),
        "set a password": modify(NODE1, PASSED),
        "create a service": create(service_dn("dns"), "relocService", relocSecret="a=b"),
        "delete a state": delete(state_dn("web")),
    },
}
REFUSED = {
    "node1": {
        "write the status of another": modify(status_dn("node2"), AT_NOON),
        "create the status of another": create(status_dn("stranger"), STATUS),
        "create a status below a service": create(f"cn=status,{service_dn('web')}", STATUS),
        "create a status of another name": create(f"cn=more,{NODE1}", STATUS),
        "create a status of two names": create(f"cn=more,{NODE1}", STATUS, cn="status"),
        "create a status with a password": create(status_dn("node1"), STATUS, WITH_PASSWORD, userPassword="x"),
        "create a status with links": create(status_dn("node1"), STATUS, "relocServer", relocServiceLink=NODE1),
        "create a state below itself": create(f"cn=state,{NODE1}", STATE),
        "create a service below itself": create(f"cn=x,{NODE1}", "relocService"),
        "create a state of another name": create(f"cn=more,{service_dn('web')}", STATE),
        "create a state with a password": create(state_dn("new"), STATE, WITH_PASSWORD, userPassword="x"),
        "create a device below a service": create(f"cn=x,{service_dn('web')}", "device"),
        "delete a state": delete(state_dn("web")),
        "rename a state": rename(state_dn("web"), "cn=more"),
        "add a class to a state": modify(state_dn("web"), ("add", "objectClass", "extensibleObject")),
        "link itself": link("node1", "db"),
        "replace its links": modify(NODE1, ("set", LINK, service_dn("db"))),
        "swap its link": modify(NODE1, ("delete", LINK, service_dn("web")), ("add", LINK, service_dn("db"))),
        "link another": link("stranger", "web"),
        "link its cluster": modify(cluster_dn("pair"), ("add", LINK, service_dn("db"))),
        "unlink the holder while it is no candidate": unlink("node3", "news"),
        "unlink the previous holder while it is no holder": unlink("node3", "files"),
        "unlink a name made for sets": unlink("stranger", A_SET),
        "become active where members may not": activate("pair", NODE1),
        "make another active": activate("auto", NODE3),
        "say that members may": modify(cluster_dn("pair"), ("set", "relocFailover", "automatic")),
        "fence another": modify(NODE2, ("add", "relocFenced", "TRUE")),
        "write its fence": modify(NODE1, ("set", "relocFenced", "FALSE")),
        "change an address": modify(service_dn("web"), ADDRESS),
        "add a secret": modify(service_dn("web"), ("add", "relocSecret", "a=b")),
        "delete a service": delete(service_dn("web")),
        "change its password": modify(NODE1, PASSED),
        "add a class to itself": modify(NODE1, ("add", "objectClass", "extensibleObject")),
    },
    "node2": {
        "delete its status": delete(status_dn("node2")),
        "add a class to its status": modify(
            status_dn("node2"), ("add", "objectClass", WITH_PASSWORD), ("add", "userPassword", "x")
        ),
        "join a cluster": modify(NODE2, ("add", "relocClusterLink", cluster_dn("pair"))),
        "unlink a bystander as holder": unlink("node1", "files"),
        "unlink a bystander as candidate": unlink("node1", "news"),
        "delete all links of another": modify(NODE3, ("delete", LINK)),
        "take a service as candidate without a link": swap("db", "node1", "node2"),
    },
    "node3": {"unlink the holder as previous": unlink("node2", "files")},
    "stranger": {
        "create a state": create(state_dn("new"), STATE),
        "take a service": take("web", "stranger"),
        "take a service from another": swap("mail", "node2", "stranger"),
        "become a candidate": modify(state_dn("web"), ("add", "relocCandidate", STRANGER)),
        "write a generation": modify(state_dn("web"), ("add", "relocGeneration", "9")),
        "become active": activate("auto", STRANGER),
    },
    "heartbeat": {
        "change an address": modify(service_dn("web"), ADDRESS),
        "add a parameter": modify(service_dn("web"), ("add", "relocParameter", "a=b")),
        "let a server join a cluster": modify(NODE2, ("add", "relocClusterLink", cluster_dn("pair"))),
        "say who makes a member active": modify(cluster_dn("pair"), ("set", "relocFailover", "automatic")),
        "take a service": take("web", "node1"),
        "write a status": modify(status_dn("node2"), AT_NOON),
        "create a server": create(server_dn("x"), "device", "relocServer"),
        "set a password": modify(NODE1, PASSED),
    },
    "reader": {"link a server": link("node1", "db"), "take a service": take("web", "node1")},
    "outsider": {
        "take the service it says it is linked to": take("web", "node1"),
        "become active in the cluster it says it is in": activate("auto", OUTSIDER),
        "create a state": create(state_dn("new"), STATE),
    },
}


def table(rows):
    return [pytest.param(who, act, id=f"{who}: {what}") for who, acts in rows.items() for what, act in acts.items()]


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize(("who", "act"), table(PERMITTED))
def test_permitted(slapd, who, act):
    with bound(slapd, who) as connection:
        act(connection)


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize(("who", "act"), table(REFUSED))
def test_refused(slapd, who, act):
    with bound(slapd, who) as connection, pytest.raises(ldap.INSUFFICIENT_ACCESS):
        act(connection)


def test_nobody_writes_without_a_name(slapd):
    with bound(slapd, "anonymous") as connection, pytest.raises(ldap.STRONG_AUTH_REQUIRED):
        link("node1", "db")(connection)


def test_nobody_reads_without_a_name(slapd):
    with bound(slapd, "anonymous") as connection:
        for dn in (SUFFIX, service_dn("web"), NODE1, state_dn("web"), status_dn("node2")):
            with pytest.raises(ldap.NO_SUCH_OBJECT):
                connection.search_s(dn, ldap.SCOPE_SUBTREE)


@pytest.mark.parametrize(
    ("who", "services"),
    [
        ("node1", {"web", "new", "files", "news", "mail"}),
        ("node2", {"files", "news", "mail"}),
        ("node3", {"files", "news"}),
        ("stranger", set()),
        ("outsider", set()),
        ("heartbeat", set()),
        ("reader", set()),
        ("anna", ALL_SERVICES),
    ],
)
class TestSecrets:
    def test_they_are_read_by_linked_servers(self, slapd, who, services):
        with bound(slapd, who) as connection:
            shown = {service: connection.search_s(service_dn(service), ldap.SCOPE_BASE) for service in ALL_SERVICES}
        assert {service for service, [(_, values)] in shown.items() if "relocSecret" in values} == services

    def test_they_are_not_found_by_guessing(self, slapd, who, services):
        with bound(slapd, who) as connection:
            found = [
                service
                for service in ALL_SERVICES
                if connection.search_s(SUFFIX, ldap.SCOPE_SUBTREE, f"(relocSecret=password={service})", ["1.1"])
            ]
        assert set(found) == services

    def test_they_are_not_compared_by_others(self, slapd, who, services):
        with bound(slapd, who) as connection:
            for service in ALL_SERVICES - services:
                with pytest.raises(ldap.INSUFFICIENT_ACCESS):
                    connection.compare_s(service_dn(service), "relocSecret", b"password=x")


@pytest.mark.parametrize("who", ["node1", "stranger", "heartbeat", "reader", "outsider"])
def test_passwords_are_read_by_nobody(slapd, who):
    with bound(slapd, who) as connection:
        for dn in (NODE1, IDENTITIES["reader"]):
            assert "userPassword" not in connection.search_s(dn, ldap.SCOPE_BASE)[0][1]
            with pytest.raises(ldap.INSUFFICIENT_ACCESS):
                connection.compare_s(dn, "userPassword", PASSWORD.encode())


def test_a_server_reads_everything_else(slapd):
    hidden = {"relocSecret", "userPassword"}
    with bound(slapd, "root") as root, bound(slapd, "stranger") as server:
        for dn, values in everything(root, "*", "entryUUID", "entryCSN", "contextCSN").items():
            [(_, shown)] = server.search_s(dn, ldap.SCOPE_BASE, attrlist=["*", "entryUUID", "entryCSN", "contextCSN"])
            assert shown == {name: value for name, value in values.items() if name not in hidden}


def as_server(slapd, tmp_path, name):
    """The settings of the agent on that server."""
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    return settings_for(slapd.uri, bind="simple", bind_dn=server_dn(name), password_file=str(password))


@pytest.mark.usefixtures("restored")
async def test_an_agent_follows_the_directory_and_its_secrets(slapd, tmp_path):
    """What is linked later shows its secret in a direct read at once, in the persistent search when it changes next."""
    settings = as_server(slapd, tmp_path, "node1")

    def last(name):
        found = [event.entry for event in followed.of(Upsert) if event.entry.dn == DN.parse(service_dn(name))]
        return found[-1]

    async with following(settings, "(objectClass=*)") as followed, LdapReader(settings, lambda: None) as reader:
        await followed.refreshed()
        assert len(followed.of(Upsert)) > SIZE_LIMIT
        assert last("web").attributes["relocsecret"] == (b"password=web",)
        assert last("web").csn
        assert "relocsecret" not in last("db").attributes
        with bound(slapd, "heartbeat") as trigger, bound(slapd, "anna") as administrator:
            await asyncio.to_thread(link("node1", "db"), trigger)
            read = await reader.by_uuid(last("db").uuid)
            assert read.attributes["relocsecret"] == (b"password=db",)
            before = last("db")
            await asyncio.to_thread(modify(service_dn("db"), ADDRESS), administrator)
            await followed.until(lambda: last("db") != before)
        assert last("db").attributes["relocsecret"] == (b"password=db",)


def test_a_certificate_in_its_name_makes_a_server(slapd):
    """SASL EXTERNAL: the subject of the client certificate is the name of the entry."""
    certificate, key = map(str, slapd.certificates.client)
    files = {"ca_file": str(slapd.certificates.ca), "cert_file": certificate, "key_file": key}
    with connect(slapd.ldaps_uri, settings_for(slapd.ldaps_uri, bind="external", **files)) as connection:
        assert "relocSecret" in connection.search(service_dn("web"), ldap.SCOPE_BASE, "(objectClass=*)", ["*"])[0][1]


def test_an_agent_reads_without_a_limit(slapd):
    with bound(slapd, "node1") as connection:
        assert len(everything(connection)) > SIZE_LIMIT


def test_others_read_within_the_limit_of_the_database(slapd):
    with bound(slapd, "outsider") as connection, pytest.raises(ldap.SIZELIMIT_EXCEEDED):
        everything(connection)


ODD = r"ou=Süd\, \"a\" \\ b\+c,ou=relocd,dc=example,dc=org"


@pytest.mark.parametrize("form", ["schema", "ldif"])
def test_any_suffix_will_do(form):
    """Special characters reach slapd as they are meant, in both forms, also over a restart."""
    rules = text(form, Access(ODD, f"cn=admin\\,s,{ODD}"))
    lines = rules.splitlines() if form == "schema" else []
    with Slapd(schema="include" if form == "schema" else "config", database_lines=lines) as slapd:
        if form == "ldif":
            slapd.modify(rules)
            slapd.stop()
            slapd.start()
        slapd.add(record(ODD, {"objectClass": "organizationalUnit"}))
        slapd.add(record(f"cn=s,{ODD}", {"objectClass": "relocService", "relocSecret": "a=b"}))
        for name, links in (("linked", [f"cn=s,{ODD}"]), ("other", [])):
            classes = ("device", WITH_PASSWORD, "relocServer")
            slapd.add(record(f"cn={name},{ODD}", {"objectClass": classes, "userPassword": PASSWORD, LINK: links}))
        assert "relocSecret" in shown_to(slapd, f"cn=linked,{ODD}", f"cn=s,{ODD}")
        assert "relocSecret" not in shown_to(slapd, f"cn=other,{ODD}", f"cn=s,{ODD}")


def shown_to(slapd, who, dn):
    connection = ldap.initialize(slapd.uri)
    try:
        connection.simple_bind_s(who, PASSWORD)
        return connection.search_s(dn, ldap.SCOPE_BASE)[0][1]
    finally:
        connection.unbind_ext_s()
