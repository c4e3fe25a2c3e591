"""What the tests of the access rules share: a directory in which everybody is somebody, and acts to try there."""

from contextlib import contextmanager
from dataclasses import replace

import ldap
import ldap.modlist

from relocd.schema.acl import EXAMPLE, FILES, text
from tests.lab.slapd.ldif import record
from tests.lab.slapd.slapd import (
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
PEOPLE = "ou=people,dc=example,dc=org"
LINK = "relocServiceLink"
STATUS, STATE, HISTORY = "relocServerStatus", "relocServiceState", "relocServiceHistory"
WITH_PASSWORD = "simpleSecurityObject"
A_SET = "a] | user | this | [b"  # a name that would end a literal within a set


def state_dn(service):
    return f"cn=state,{service_dn(service)}"


def history_dn(service):
    return f"cn=history,{service_dn(service)}"


def status_dn(server):
    return f"cn=status,{server_dn(server)}"


def account_dn(name):
    return f"cn={name},{SUFFIX}"


ALL_SERVICES = {"web", "new", "mail", "fax", "db", "files", "news", "lent", "lost"}
SERVERS = {
    "node1": {
        LINK: ["web", "NEW", "files", "news"],
        "relocClusterLink": ["pair", "auto", "idle"],
        "relocFenced": "TRUE",
    },
    "node2": {LINK: ["files", "news"], "relocClusterLink": ["auto"]},
    "node3": {LINK: ["files", "news", "lent", "lost"]},
    "stranger": {LINK: [A_SET]},
}
NODE1, NODE2, NODE3, STRANGER = (server_dn(name) for name in SERVERS)
CLUSTERS = {
    "pair": {"relocFailover": "manual", "relocActive": server_dn("node2")},
    "auto": {"relocFailover": "automatic", "relocActive": server_dn("node2")},
    "idle": {"relocFailover": "automatic"},
}
# Somebody with links in their own entry, which is in another database, under other rules.
OUTSIDER = f"cn=outsider,{PEOPLE}"
STATES = {
    "web": {},
    "mail": {"relocHolder": server_dn("node2")},
    # Both have lost their links.
    "db": {"relocHolder": server_dn("node1"), "relocCandidate": server_dn("node2")},
    # node2 has taken over from node3 and cleans up; node3 is dead, and node2 takes over.
    "files": {"relocHolder": server_dn("node2"), "relocPrevious": server_dn("node3")},
    "news": {"relocHolder": server_dn("node3"), "relocCandidate": server_dn("node2")},
    # Somebody has written nonsense.
    "lent": {"relocHolder": OUTSIDER, "relocPrevious": server_dn("node3")},
    "lost": {"relocHolder": server_dn("node3"), "relocCandidate": OUTSIDER},
}
ACCOUNTS = {"admins": f"cn=anna,{PEOPLE}", "triggers": account_dn("heartbeat"), "readers": account_dn("reader")}
IDENTITIES = {
    **{name: server_dn(name) for name in SERVERS},
    "anna": ACCOUNTS["admins"],
    "heartbeat": ACCOUNTS["triggers"],
    "reader": ACCOUNTS["readers"],
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
        record(state_dn(service), {"objectClass": STATE, "relocGeneration": "7", **who})
        for service, who in STATES.items()
    ]
    histories = [
        record(history_dn(service), {"objectClass": HISTORY, "relocHistoryRecord": "first"})
        for service in ("web", "mail", "db", "files")
    ]
    links = {LINK: [service_dn("mail"), service_dn("fax")]}
    clusters = [
        record(cluster_dn(name), {"objectClass": "relocCluster", **attributes, **links})
        for name, attributes in CLUSTERS.items()
    ]
    servers = [server_ldif(server_dn(name), **attributes) for name, attributes in SERVERS.items()]
    status = record(status_dn("node2"), {"objectClass": STATUS})
    groups = [
        record(account_dn(group), {"objectClass": "groupOfNames", "member": who}) for group, who in ACCOUNTS.items()
    ]
    accounts = [account_ldif(ACCOUNTS[group]) for group in ("triggers", "readers")]
    return "".join([base_ldif(), *services, *states, *histories, *clusters, *servers, status, *groups, *accounts])


def server_ldif(dn, **attributes):
    """A server that can bind, as the README shows it; its links are given by their short names."""
    links = {
        LINK: map(service_dn, attributes.pop(LINK, ())),
        "relocClusterLink": map(cluster_dn, attributes.pop("relocClusterLink", ())),
    }
    classes = ("device", WITH_PASSWORD, "relocServer")
    return record(dn, {"objectClass": classes, "userPassword": PASSWORD, **attributes, **links})


def account_ldif(dn):
    return record(dn, {"objectClass": ("organizationalRole", WITH_PASSWORD), "userPassword": PASSWORD})


def people_ldif():
    """The other database: the administrator, and somebody who has written links into their own entry."""
    people = record(PEOPLE, {"objectClass": "organizationalUnit"})
    links = {LINK: ["web"], "relocClusterLink": ["auto", "idle"]}
    return people + account_ldif(ACCOUNTS["admins"]) + server_ldif(OUTSIDER, **links)


@contextmanager
def guarded(form, folder):
    """A slapd with the shipped rules, in front of a wide open rule and a small size limit of the database's own.

    So whatever is refused is refused by our rules, and whatever is complete is so by our limits. The other database,
    that of the people, is kept in `folder`; it comes first in slapd.conf, so that ours has the number 2.
    """
    people = ["database ldif", f'suffix "{PEOPLE}"', f'rootdn "{ROOT_DN}"', f"directory {folder}"]
    rules = [f"include {SCHEMA / FILES['schema']}"] if form == "schema" else []
    own = [f"sizelimit {SIZE_LIMIT}", *rules, "access to * by * write"]
    schema = "include" if rules else "config"
    with Slapd(schema=schema, tls=True, content=content(), database_lines=own, global_lines=people) as slapd:
        slapd.add(people_ldif())
        if not rules:
            slapd.modify(text("ldif", replace(EXAMPLE, database="olcDatabase={2}mdb,cn=config")))
        yield slapd


@contextmanager
def bound(slapd, who):
    """A connection of that identity, one of the table or a DN."""
    name = IDENTITIES.get(who, who)
    connection = ldap.initialize(slapd.uri)
    try:
        connection.simple_bind_s(name, PASSWORD if name else "")
        yield connection
    finally:
        connection.unbind_ext_s()


def everything(connection, *attributes):
    return dict(connection.search_s(SUFFIX, ldap.SCOPE_SUBTREE, attrlist=attributes or None))


@contextmanager
def restored(slapd):
    """Put back at the end what was changed within."""
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


_KINDS = {"add": ldap.MOD_ADD, "delete": ldap.MOD_DELETE, "set": ldap.MOD_REPLACE, "grow": ldap.MOD_INCREMENT}


def modify(dn, *changes):
    """One modify of several changes, such as `("add", "relocFenced", "TRUE")` or, of all values, `("delete", LINK)`."""
    listed = [(_KINDS[kind], name, [each.encode() for each in values] or None) for kind, name, *values in changes]
    return lambda connection: connection.modify_s(dn, listed)


ADDRESS = ("set", "relocAddress", "192.0.2.11/24")
