"""A real slapd with the shipped access rules: each write that is needed is permitted, each beyond it is refused."""

import ldap
import pytest

from relocd.schema.definitions import CLASSES, FORMS
from tests.integration.acl_lab import (
    A_SET,
    ACCOUNTS,
    ADDRESS,
    HISTORY,
    LINK,
    NODE1,
    NODE2,
    NODE3,
    OUTSIDER,
    STATE,
    STATUS,
    STRANGER,
    WITH_PASSWORD,
    bound,
    guarded,
    history_dn,
    modify,
    restored,
    state_dn,
    status_dn,
)
from tests.lab.slapd.slapd import cluster_dn, server_dn, service_dn


@pytest.fixture(scope="module", params=FORMS)
def slapd(request, tmp_path_factory):
    with guarded(request.param, tmp_path_factory.mktemp("people")) as slapd:
        yield slapd


def create(dn, *classes, **attributes):
    named = [(name, [value.encode()]) for name, value in attributes.items()]
    return lambda connection: connection.add_s(dn, [("objectClass", [each.encode() for each in classes]), *named])


def delete(dn):
    return lambda connection: connection.delete_s(dn)


def rename(dn, rdn):
    return lambda connection: connection.rename_s(dn, rdn)


def link(server, service):
    return modify(server_dn(server), ("add", LINK, service_dn(service)))


def unlink(server, service):
    return modify(server_dn(server), ("delete", LINK, service_dn(service)))


def take(service, server):
    return modify(state_dn(service), ("add", "relocHolder", server_dn(server)), ("grow", "relocGeneration", "1"))


def swap(service, old, new):
    return modify(
        state_dn(service),
        ("delete", "relocHolder", server_dn(old)),
        ("add", "relocHolder", server_dn(new)),
        ("set", "relocPrevious", server_dn(old)),
        ("set", "relocCandidate"),
        ("grow", "relocGeneration", "1"),
    )


def activate(cluster, new):
    return modify(cluster_dn(cluster), ("delete", "relocActive", server_dn("node2")), ("add", "relocActive", new))


def activate_first(cluster, new):
    return modify(cluster_dn(cluster), ("add", "relocActive", new))


def relink(server, service):
    """Add a link that is there already, which is no different to the rules."""
    value = service_dn(service)
    return modify(server_dn(server), ("delete", LINK, value), ("add", LINK, value))


def write_all(dn, object_class):
    """Set every attribute that the class allows."""
    texts = {"relocHeartbeat": NOON, "relocGeneration": "9", "relocActedOn": "x=1"}
    names = [name for each in CLASSES if each.name == object_class for name in each.may]
    return modify(dn, *(("set", name, texts.get(name, NODE1)) for name in names))


def in_order(*acts):
    """One act after the other, on one connection."""

    def act(connection):
        for each in acts:
            each(connection)

    return act


def release(service, server):
    return modify(state_dn(service), ("delete", "relocHolder", server_dn(server)), ("grow", "relocGeneration", "1"))


def note(service):
    """Add a record, and drop the oldest one."""
    values = ("add", "relocHistoryRecord", "second"), ("delete", "relocHistoryRecord", "first")
    return modify(history_dn(service), *values, ("set", "relocLastChange", "second"))


NOON = "20260101120000Z"
HEARTBEAT = ("set", "relocHeartbeat", NOON)
PASSED = ("set", "userPassword", "other")

PERMITTED = {
    "node1": {
        "create its status": create(status_dn("node1"), STATUS, cn="status", relocHeartbeat=NOON),
        "create the state of a linked service": create(state_dn("new"), STATE, cn="state", relocHolder=NODE1),
        "take a linked service": take("web", "node1"),
        "create the state of a service of its cluster": create(state_dn("fax"), STATE),
        "write the state of a linked service": write_all(state_dn("web"), STATE),
        "take a service of its cluster": swap("mail", "node2", "node1"),
        "hand over without a link": swap("db", "node1", "node2"),
        "clear the candidate": modify(state_dn("db"), ("delete", "relocCandidate", NODE2)),
        "create the history of a linked service": create(history_dn("new"), HISTORY, relocHistoryRecord="first"),
        "create the history of a service of its cluster": create(history_dn("fax"), HISTORY, cn="history"),
        "write the history of a linked service": write_all(history_dn("web"), HISTORY),
        "note in the history of a service of its cluster": note("mail"),
        "note as a holder without a link": note("db"),
        "note that it has released a service without a link": in_order(release("db", "node1"), note("db")),
        "note that it has handed over a service without a link": in_order(swap("db", "node1", "node2"), note("db")),
        "delete its link": unlink("node1", "web"),
        "delete its links": modify(NODE1, ("delete", LINK)),
        "clear its fence": modify(NODE1, ("delete", "relocFenced", "TRUE")),
        "become active where members may": activate("auto", NODE1),
        "become active where nobody is": activate_first("idle", NODE1),
    },
    "node2": {
        "write its status": write_all(status_dn("node2"), STATUS),
        "withdraw without a link": modify(state_dn("db"), ("delete", "relocCandidate", NODE2)),
        "unlink the previous holder": unlink("node3", "files"),
        "unlink the dead holder": unlink("node3", "news"),
        "hand the cluster to another member": activate("auto", NODE1),
        "resign as the active member": modify(cluster_dn("auto"), ("delete", "relocActive", NODE2)),
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
        "write the status of another": modify(status_dn("node2"), HEARTBEAT),
        "create the status of another": create(status_dn("stranger"), STATUS),
        "create a status below a service": create(f"cn=status,{service_dn('web')}", STATUS),
        "create a status of another name": create(f"cn=more,{NODE1}", STATUS),
        "create a status of two names": create(f"cn=more,{NODE1}", STATUS, cn="status"),
        "create a status with a password": create(status_dn("node1"), STATUS, WITH_PASSWORD, userPassword="x"),
        "create a status of two classes": create(status_dn("node1"), STATUS, "extensibleObject"),
        "create a status with links": create(status_dn("node1"), STATUS, "relocServer", relocServiceLink=NODE1),
        "create a state below itself": create(f"cn=state,{NODE1}", STATE),
        "create a state below another": create(f"cn=state,{NODE2}", STATE),
        "create a service below itself": create(f"cn=x,{NODE1}", "relocService"),
        "create a state of another name": create(f"cn=more,{service_dn('web')}", STATE),
        "create a state of two classes": create(state_dn("new"), STATE, "extensibleObject"),
        "create a state with a password": create(state_dn("new"), STATE, WITH_PASSWORD, userPassword="x"),
        "create a device below a service": create(f"cn=x,{service_dn('web')}", "device"),
        "create a history of another name": create(f"cn=more,{service_dn('web')}", HISTORY),
        "create a history below itself": create(f"cn=history,{NODE1}", HISTORY),
        "create a history of a service that is not linked": create(history_dn("lent"), HISTORY),
        "create a history of two classes": create(history_dn("new"), HISTORY, "extensibleObject"),
        "create a history with a password": create(history_dn("new"), HISTORY, WITH_PASSWORD, userPassword="x"),
        "delete a history": delete(history_dn("web")),
        "add a class to a history": modify(history_dn("web"), ("add", "objectClass", "extensibleObject")),
        "delete a state": delete(state_dn("web")),
        "rename a state": rename(state_dn("web"), "cn=more"),
        "add a name to a state": modify(state_dn("web"), ("add", "cn", "more")),
        "add a name to a service": modify(service_dn("web"), ("add", "cn", "status")),
        "add another name to a service": modify(service_dn("web"), ("add", "cn", "state")),
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
        "make a name made for sets active": activate("auto", server_dn("a] | user | [b")),
        "say that members may": modify(cluster_dn("pair"), ("set", "relocFailover", "automatic")),
        "fence another": modify(NODE2, ("add", "relocFenced", "TRUE")),
        "write its fence": modify(NODE1, ("set", "relocFenced", "FALSE")),
        "change an address": modify(service_dn("web"), ADDRESS),
        "add a parameter": modify(service_dn("web"), ("add", "relocParameter", "a=b")),
        "add a secret": modify(service_dn("web"), ("add", "relocSecret", "a=b")),
        "delete a service": delete(service_dn("web")),
        "change its password": modify(NODE1, PASSED),
        "add a class to itself": modify(NODE1, ("add", "objectClass", STATUS)),
        "add another class to itself": modify(NODE1, ("add", "objectClass", STATE)),
    },
    "node2": {
        "note as a candidate without a link": note("db"),
        "delete its status": delete(status_dn("node2")),
        "add a class to its status": modify(
            status_dn("node2"), ("add", "objectClass", WITH_PASSWORD), ("add", "userPassword", "x")
        ),
        "add a name to its status": modify(status_dn("node2"), ("add", "cn", "more")),
        "hand the cluster to a stranger": activate("auto", NODE3),
        "join a cluster": modify(NODE2, ("add", "relocClusterLink", cluster_dn("pair"))),
        "unlink a bystander as holder": unlink("node1", "files"),
        "unlink a bystander as candidate": unlink("node1", "news"),
        "link the previous holder": relink("node3", "files"),
        "link the dead holder": relink("node3", "news"),
        "delete all links of another": modify(NODE3, ("delete", LINK)),
        "take a service as candidate without a link": swap("db", "node1", "node2"),
        "clear the holder as candidate without a link": modify(state_dn("db"), ("delete", "relocHolder", NODE1)),
        "make another candidate without a link": modify(
            state_dn("db"), ("delete", "relocCandidate", NODE2), ("add", "relocCandidate", NODE3)
        ),
    },
    "node3": {"unlink the holder as previous": unlink("node2", "files")},
    "stranger": {
        "create a history": create(history_dn("new"), HISTORY),
        "note in a history": note("web"),
        "create a state": create(state_dn("new"), STATE),
        "take a service": take("web", "stranger"),
        "take a service from another": swap("mail", "node2", "stranger"),
        "become a candidate": modify(state_dn("web"), ("add", "relocCandidate", STRANGER)),
        "count a generation": modify(state_dn("web"), ("grow", "relocGeneration", "1")),
        "become active": activate("auto", STRANGER),
        "clear the active member": modify(cluster_dn("auto"), ("delete", "relocActive", NODE2)),
    },
    "heartbeat": {
        "change an address": modify(service_dn("web"), ADDRESS),
        "add a parameter": modify(service_dn("web"), ("add", "relocParameter", "a=b")),
        "let a server join a cluster": modify(NODE2, ("add", "relocClusterLink", cluster_dn("pair"))),
        "say who makes a member active": modify(cluster_dn("pair"), ("set", "relocFailover", "automatic")),
        "take a service": take("web", "node1"),
        "write a status": modify(status_dn("node2"), HEARTBEAT),
        "create a server": create(server_dn("x"), "device", "relocServer"),
        "set a password": modify(NODE1, PASSED),
        "note in a history": note("web"),
    },
    "reader": {
        "link a server": link("node1", "db"),
        "take a service": take("web", "node1"),
        "create a status below itself": create(f"cn=status,{ACCOUNTS['readers']}", STATUS),
    },
    "outsider": {
        "take the service it says it is linked to": take("web", "node1"),
        "become active in the cluster it says it is in": activate_first("idle", OUTSIDER),
        "clear the active member there": modify(cluster_dn("auto"), ("delete", "relocActive", NODE2)),
        "create a state": create(state_dn("new"), STATE),
        "note in the history of the service it says it is linked to": note("web"),
        "hand over as holder": modify(state_dn("lent"), ("delete", "relocHolder", OUTSIDER)),
        "withdraw as candidate": modify(state_dn("lost"), ("delete", "relocCandidate", OUTSIDER)),
        "unlink the previous holder": unlink("node3", "lent"),
        "unlink the dead holder": unlink("node3", "lost"),
    },
}


def table(rows):
    return [pytest.param(who, act, id=f"{who}: {what}") for who, acts in rows.items() for what, act in acts.items()]


@pytest.mark.parametrize(("who", "act"), table(PERMITTED))
def test_permitted(slapd, who, act):
    with restored(slapd), bound(slapd, who) as connection:
        act(connection)


@pytest.mark.parametrize(("who", "act"), table(REFUSED))
def test_refused(slapd, who, act):
    with restored(slapd), bound(slapd, who) as connection, pytest.raises(ldap.INSUFFICIENT_ACCESS):
        act(connection)


def test_nobody_writes_without_a_name(slapd):
    with bound(slapd, "anonymous") as connection, pytest.raises(ldap.STRONG_AUTH_REQUIRED):
        link("node1", "db")(connection)
