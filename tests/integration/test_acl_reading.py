"""A real slapd with the shipped access rules: who reads what, how much of it, and that an agent can follow it."""

import asyncio

import ldap
import pytest

from relocd.adapters.ldap.connection import connect
from relocd.adapters.ldap.reader import LdapReader
from relocd.model.dn import DN
from relocd.schema.acl import Roles, text
from relocd.schema.definitions import FORMS
from relocd.sync.session import Upsert
from tests.adapters.ldap.lab import following, settings_for
from tests.integration.acl_lab import (
    ADDRESS,
    ALL_SERVICES,
    IDENTITIES,
    LINK,
    NODE1,
    SIZE_LIMIT,
    WITH_PASSWORD,
    bound,
    everything,
    guarded,
    modify,
    restored,
    state_dn,
    status_dn,
)
from tests.lab.slapd.ldif import record
from tests.lab.slapd.slapd import PASSWORD, SUFFIX, Slapd, server_dn, service_dn


@pytest.fixture(scope="module", params=FORMS)
def slapd(request, tmp_path_factory):
    with guarded(request.param, tmp_path_factory.mktemp("people")) as slapd:
        yield slapd


def test_nobody_reads_without_a_name(slapd):
    with bound(slapd, "anonymous") as connection:
        for dn in (SUFFIX, service_dn("web"), NODE1, state_dn("web"), status_dn("node2")):
            with pytest.raises(ldap.NO_SUCH_OBJECT):
                connection.search_s(dn, ldap.SCOPE_SUBTREE)


@pytest.mark.parametrize(
    ("who", "services"),
    [
        ("node1", {"web", "new", "files", "news", "mail", "fax"}),
        ("node2", {"files", "news", "mail", "fax"}),
        ("node3", {"files", "news", "lent", "lost"}),
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
        with restored(slapd), bound(slapd, "heartbeat") as trigger, bound(slapd, "anna") as administrator:
            await asyncio.to_thread(modify(NODE1, ("add", LINK, service_dn("db"))), trigger)
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


@pytest.mark.parametrize("who", ["node1", "anna"])
def test_agents_and_administrators_read_without_a_limit(slapd, who):
    with bound(slapd, who) as connection:
        assert len(everything(connection)) > SIZE_LIMIT


def test_others_read_within_the_limit_of_the_database(slapd):
    with bound(slapd, "outsider") as connection, pytest.raises(ldap.SIZELIMIT_EXCEEDED):
        everything(connection)


ODD = r"ou=Süd\, \"a\" \\ b\+c,ou=relocd,dc=example,dc=org"


@pytest.fixture(params=FORMS)
def odd(request):
    """A directory whose rules are for a suffix full of special characters, and for single entries instead of groups."""
    rules = text(request.param, Roles(ODD, administrators=f"cn=root,{ODD}", triggers=f"cn=a\\,b,{ODD}"))
    lines = rules.splitlines() if request.param == "schema" else []
    with Slapd(schema="include" if lines else "config", database_lines=lines) as slapd:
        if not lines:
            slapd.modify(rules)
            slapd.stop()
            slapd.start()
        slapd.add(record(ODD, {"objectClass": "organizationalUnit"}))
        slapd.add(record(f"cn=web,{ODD}", {"objectClass": "relocService", "relocSecret": "a=b"}))
        for name, links in {"linked": [f"cn=web,{ODD}"], "other": [], "root": [], "a\\,b": []}.items():
            attributes = {"objectClass": ("device", WITH_PASSWORD, "relocServer"), "userPassword": PASSWORD}
            slapd.add(record(f"cn={name},{ODD}", {**attributes, LINK: links}))
        yield slapd


def test_any_suffix_will_do(odd):
    """Special characters reach slapd as they are meant, in both forms, also when it starts again."""
    web = f"cn=web,{ODD}"
    with bound(odd, f"cn=linked,{ODD}") as linked, bound(odd, f"cn=other,{ODD}") as other:
        assert "relocSecret" in linked.search_s(web, ldap.SCOPE_BASE)[0][1]
        assert "relocSecret" not in other.search_s(web, ldap.SCOPE_BASE)[0][1]


def test_an_entry_may_be_the_administrator_or_the_trigger(odd):
    add_link = modify(f"cn=other,{ODD}", ("add", LINK, f"cn=web,{ODD}"))
    change_address = modify(f"cn=web,{ODD}", ADDRESS)
    with bound(odd, f"cn=root,{ODD}") as administrator, bound(odd, f"cn=a\\,b,{ODD}") as trigger:
        add_link(trigger)
        with pytest.raises(ldap.INSUFFICIENT_ACCESS):
            change_address(trigger)
        change_address(administrator)
