"""A real slapd loads both forms of the schema, takes what they allow and refuses what breaks them."""

import ldap.schema
import pytest

from relocd.schema.definitions import ATTRIBUTES, CLASSES
from tests.lab.slapd.slapd import SUFFIX, Slapd, cluster_ldif, server_dn, server_ldif, service_dn, service_ldif

STATE = f"cn=state,{service_dn('web')}"
STATUS = f"cn=status,{server_dn('node1')}"


@pytest.fixture(scope="module", params=["include", "config"])
def slapd(request):
    with Slapd(schema=request.param) as slapd:
        slapd.add(service_ldif("web", addresses=["192.0.2.10/24", "2001:db8::10/64"]))
        slapd.add(server_ldif("node1"))
        slapd.add(cluster_ldif("pair"))
        slapd.add(f"dn: {STATE}\nobjectClass: relocServiceState\n")
        slapd.add(f"dn: {STATUS}\nobjectClass: relocServerStatus\n")
        yield slapd


def modify(slapd, dn, change, *values):
    """Apply one change, as in `modify(slapd, dn, "replace: relocFenced", "TRUE")`."""
    name = change.split()[1]
    slapd.modify(f"dn: {dn}\nchangetype: modify\n{change}\n" + "".join(f"{name}: {value}\n" for value in values))


def published(slapd):
    """The definitions of relocd as the server itself publishes them, by name."""
    connection = ldap.initialize(slapd.ldapi_uri)
    try:
        entry = connection.read_subschemasubentry_s(connection.search_subschemasubentry_s(SUFFIX))
    finally:
        connection.unbind_ext_s()
    subschema = ldap.schema.SubSchema(entry, 0)
    kinds = {ldap.schema.AttributeType: ATTRIBUTES, ldap.schema.ObjectClass: CLASSES}
    return {each.name: str(subschema.get_obj(kind, each.oid)) for kind, all_ in kinds.items() for each in all_}


def test_the_server_publishes_every_definition(slapd):
    for name, definition in published(slapd).items():
        assert f"NAME '{name}'" in definition


def test_both_forms_are_published_alike(slapd):
    with Slapd(schema="include") as included:
        assert published(slapd) == published(included)


@pytest.mark.parametrize(
    ("dn", "name", "values"),
    [
        (server_dn("node1"), "relocServiceLink", [service_dn("web"), service_dn("ntp")]),
        (server_dn("node1"), "relocFenced", ["TRUE"]),
        (service_dn("web"), "relocParameter", ["port=80", "PORT=81"]),
        (service_dn("web"), "relocIsolation", ["release"]),
        (service_dn("web"), "description", ["Straße 1"]),
        (STATE, "relocGeneration", ["18446744073709551616"]),
        (STATUS, "relocHeartbeat", ["20260101120000.123456Z"]),
        (STATUS, "relocProblem", ["web: eth0 is down", "Web: eth0 is down"]),
        (STATUS, "relocActedOn", ["2f7ea5a2-5f5c-103f-8a3b-f3e9d9d1c9a1=7"]),
    ],
    ids=lambda value: value if isinstance(value, str) and "," not in value else "",
)
def test_what_the_model_needs_is_allowed(slapd, dn, name, values):
    modify(slapd, dn, f"replace: {name}", *values)


@pytest.mark.parametrize(
    ("dn", "name", "values", "why"),
    [
        ("cn=pair,ou=clusters," + SUFFIX, "relocActive", [server_dn("a"), server_dn("b")], "multiple values"),
        (server_dn("node1"), "relocServiceLink", ["web"], "invalid per syntax"),
        (server_dn("node1"), "relocServiceLink", [service_dn("web"), service_dn(" WEB ")], "more than once"),
        (server_dn("node1"), "relocFenced", ["maybe"], "invalid per syntax"),
        (service_dn("web"), "relocInterface", ["eth0", "eth1"], "multiple values"),
        (service_dn("web"), "relocAddress", ["192.0.2.10/24 ü"], "invalid per syntax"),
        (STATE, "relocGeneration", ["seven"], "invalid per syntax"),
        (STATE, "relocHolder", [server_dn("a"), server_dn("b")], "multiple values"),
        (STATUS, "relocHeartbeat", ["yesterday"], "invalid per syntax"),
        (STATE, "relocServiceLink", [service_dn("web")], "not allowed"),
    ],
    ids=lambda value: value if isinstance(value, str) and "," not in value else "",
)
def test_what_breaks_the_schema_is_refused(slapd, dn, name, values, why):
    with pytest.raises(RuntimeError, match=why):
        modify(slapd, dn, f"replace: {name}", *values)


def test_a_holder_is_swapped_only_by_who_knows_the_last_one(slapd):
    """Deleting the old value and adding the new one in one modify fails when somebody was faster."""
    swap = "dn: {}\nchangetype: modify\ndelete: relocHolder\nrelocHolder: {}\n-\nadd: relocHolder\nrelocHolder: {}\n"
    modify(slapd, STATE, "replace: relocHolder", server_dn("node1"))
    slapd.modify(swap.format(STATE, server_dn("NODE1"), server_dn("node2")))
    with pytest.raises(RuntimeError, match="No such attribute"):
        slapd.modify(swap.format(STATE, server_dn("node1"), server_dn("node3")))


def test_generations_are_compared_as_numbers(slapd):
    modify(slapd, STATE, "replace: relocGeneration", "10")
    connection = ldap.initialize(slapd.ldapi_uri)
    try:
        found = connection.search_s(SUFFIX, ldap.SCOPE_SUBTREE, "(relocGeneration>=9)", ["1.1"])
    finally:
        connection.unbind_ext_s()
    assert [dn for dn, _ in found] == [STATE]
