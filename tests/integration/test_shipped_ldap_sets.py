"""The template sets for OpenLDAP and its clients, against slapd, relocd-openldap and libldap."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from relocd.adapters.units.commands import ProcessCommands
from relocd.errors import Invalid
from relocd.openldap.role import wanted_role
from relocd.reconcile.spec import expanded
from relocd.reconcile.template_context import TemplateContext
from relocd.shipped import shipped_template_sets
from tests.integration.shipped_lab import PATIENCE_S, context, installed, refused, shipped, verified_unit
from tests.lab.hosts.base_server import DATA, READER, BaseServer, data_ldif
from tests.lab.hosts.folders import with_folders
from tests.support.contexts import template_context

PASSWORD = "geheim"
PARAMETERS = {"suffix": DATA, "bind_dn": READER}


@pytest.fixture(scope="module")
def slapd():
    with BaseServer(content=data_ldif(), durable=False) as slapd:
        yield slapd


@pytest.fixture
def install(renderer, slapd, tmp_path):
    """Render a set and install its files in a temporary folder; for the checks /run/slapd is that of our slapd."""

    async def install(name: str, values: TemplateContext) -> dict[str, str]:
        wrapped = lambda check: with_folders(check, {"/run/slapd": slapd.folder})  # noqa: E731
        return await installed(renderer, name, values, tmp_path, wrapped)

    return install


def ldap_context(role: str = "active", password: str = PASSWORD, **parameters: str) -> TemplateContext:
    return context("ldapPrimary", role=role, secrets={"password": password}, **PARAMETERS | parameters)


@pytest.mark.asyncio(loop_scope="module")
class TestOpenldap:
    @pytest.mark.parametrize(
        ("role", "parameters", "expected"),
        [
            pytest.param("active", {}, ("provider", "ldap://192.0.2.80", True), id="primary"),
            pytest.param("standby", {}, ("consumer", "ldap://192.0.2.80", True), id="its standby"),
            pytest.param(
                "active", {"primary": "ldaps://a.example"}, ("provider", "ldaps://a.example", False), id="TLS"
            ),
        ],
    )
    async def test_the_program_accepts_it(self, install, tmp_path, role, parameters, expected):
        await install("openldap", ldap_context(role, **parameters))
        found = wanted_role(tmp_path / "ldapPrimary.toml")
        assert (found.role, found.primary, found.starttls) == expected
        assert (found.active, found.password, found.suffix) == (role == "active", PASSWORD, DATA)

    @pytest.mark.parametrize("role", ["active", "standby"])
    async def test_a_secondary_always_follows(self, install, tmp_path, role):
        values = ldap_context(role, primary="ldap://[2001:db8::1]", tls="none")
        await install("openldap-secondary", values)
        found = wanted_role(tmp_path / "ldapPrimary.toml")
        assert (found.role, found.primary, found.starttls) == ("consumer", "ldap://[2001:db8::1]", False)
        assert (found.active, found.password, found.suffix) == (role == "active", PASSWORD, DATA)

    async def test_a_secondary_does_not_take_its_own_address_for_the_primarys(self, install):
        with pytest.raises(Invalid, match="primary"):
            await install("openldap-secondary", ldap_context())

    async def test_a_suffix_that_slapd_does_not_have_is_refused_before_anything_moves(self, install, tmp_path):
        with refused("no database of this slapd has the suffix"):
            await install("openldap", ldap_context(suffix="dc=example,dc=com"))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"suffix": 'dc=org"\nrole = "provider'}, "parameters.suffix"),
            ({"bind_dn": "cn=a\\"}, "parameters.bind_dn"),
            ({"primary": "ldap://a credentials=x"}, "parameters.primary"),
            ({"tls": "no"}, "parameters.tls"),
            ({"rid": "0"}, "parameters.rid"),
            ({"bind_dn": "replicator"}, "parameters.bind_dn"),
            ({"primary": "ldap://a:0"}, "parameters.primary"),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("name", ["openldap", "openldap-secondary"])
    async def test_no_parameter_becomes_a_directive(self, install, name, change, why):
        with refused(why):
            await install(name, ldap_context(**{"primary": "ldap://a", **change}))

    @pytest.mark.parametrize("password", ['ge"heim', "ge\\heim", "ge\nheim", ""])
    async def test_a_password_that_slapd_could_not_take_is_refused_and_not_shown(self, install, password):
        with pytest.raises(Invalid) as refused:
            await install("openldap", ldap_context(password=password))
        assert "heim" not in str(refused.value)


async def test_the_program_is_found_wherever_relocd_is_installed():
    """By the path that the agent gives to programs, which has nothing of this shell's."""
    await ProcessCommands().run(["relocd-openldap", "--help"], PATIENCE_S)


def test_the_primary_is_given_up_by_stopping_units_writes_before_the_address_goes_and_the_role_after():
    units = expanded(shipped("openldap"), "ldapPrimary").units
    assert [(unit.name, unit.early) for unit in units] == [
        ("relocd-openldap@ldapPrimary.service", True),
        ("relocd-openldap-writes@ldapPrimary.service", False),
    ]
    assert {(unit.active, unit.standby, unit.removed) for unit in units} == {("start", "stop", "stop")}


@pytest.mark.parametrize("name", ["relocd-openldap", "relocd-openldap-writes"])
def test_systemd_accepts_the_units(tmp_path, name):
    program = str(Path(sys.executable).with_name("relocd-openldap"))
    assert verified_unit(tmp_path, "openldap", name, program) == (0, "")
    unit = (shipped_template_sets() / "openldap" / f"{name}@.service").read_text()
    assert "ExecStart=relocd-openldap " in unit  # the package has it in another folder than the other way to install


def client_context(**parameters: str) -> TemplateContext:
    services = [{"name": "web", "parameters": {}}, {"name": "ldapClient", "parameters": parameters}]
    return template_context(service=None, services=services)


def searched(conf: Path) -> str:
    """What a client that is told no server and no base finds."""
    search = ["ldapsearch", "-x", "-LLL", "-s", "base", "1.1"]
    environment = os.environ | {"LDAPCONF": str(conf)}
    return subprocess.run(
        search, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=True
    ).stdout


@pytest.mark.asyncio(loop_scope="module")
class TestLdapClient:
    async def test_libldap_asks_the_servers_in_that_order(self, install, slapd, tmp_path):
        """The first one is dead, the second answers; the base is the default of a search."""
        await install("ldap-client", client_context(ldap_uris=f"ldap://127.0.0.1:1 {slapd.uri}", ldap_base=DATA))
        assert searched(tmp_path / "ldap.conf") == f"dn: {DATA}\n\n"

    @pytest.mark.parametrize(
        "parameters",
        [
            {"ldap_uris": "ldap://a\nTLS_REQCERT never"},
            {"ldap_uris": "ldapi://x"},
            {"ldap_uris": ""},
            {"ldap_uris": "ldap://a", "ldap_base": "dc=a\nURI ldap://b"},
            {"ldap_uris": "ldap://a", "ldap_base": "dc=" + "a" * 2040 + "TLS_REQCERT never"},
        ],
        ids=lambda parameters: str(parameters)[:60],
    )
    async def test_no_parameter_becomes_a_directive(self, install, parameters):
        with refused(f"service 'ldapClient': parameters.{next(reversed(parameters))} is "):
            await install("ldap-client", client_context(**parameters))

    async def test_without_a_service_that_names_servers_it_says_so(self, install):
        with refused("link this server to a service with the parameter ldap_uris"):
            await install("ldap-client", client_context())
