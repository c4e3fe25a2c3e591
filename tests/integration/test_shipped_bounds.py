"""An attacker who may write the parameters of a service: the longest and the oddest values, read by the real programs.

What is allowed comes out as what was meant, in no other directive and uncut; all else reaches no program.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import ldap
import pytest

from relocd.adapters.units.commands import ended
from relocd.errors import Invalid
from relocd.model.template_set import refusal
from relocd.openldap.role import wanted_role
from relocd.openldap.syncrepl import words
from relocd.reconcile.template_context import TemplateContext
from relocd.shipped import shipped_template_sets
from tests.integration.openldap_lab import Program, wanted
from tests.integration.shipped_lab import PATIENCE_S, context, installed, on_node, raised, refused, resolved, shipped
from tests.lab.deadline import until
from tests.lab.hosts.base_server import BaseServer, data_ldif
from tests.support.contexts import rendered, template_context
from tests.support.shipped_values import IPV6, LONGEST, NAME, SHORT, longest

NAMES = sorted(path.parent.name for path in shipped_template_sets().glob("*/manifest.toml"))
DECLARED = [(name, declared) for name in NAMES for declared in shipped(name).parameters]
ODD = ["\n", "\r", "\0", "\t", "\x0b", "\x85", "\u2028", "\u2029", '"', "\\", "#", ";", "{", "}", "%", "$", "'", "`"]


@pytest.fixture
def install(renderer, node, tmp_path):
    """Render a set and install its files in a temporary folder, checked on the host by what the set names."""

    async def install(name: str, values: TemplateContext) -> dict[str, str]:
        return await installed(renderer, name, values, tmp_path, lambda check: on_node(node, check))

    return install


def largest(name: str, *parameters: str) -> dict[str, str]:
    """The longest allowed values of these parameters, or of all."""
    found = {each.name: longest(each, LONGEST[name][each.name]) for each in shipped(name).parameters}
    return {key: found[key] for key in parameters or found}


def client_context(**parameters: str) -> TemplateContext:
    return template_context(service=None, services=[{"name": "ldapClient", "parameters": parameters}])


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_set_declares_all_that_its_templates_read(name):
    """And says of each file how long a line may be, where a parameter stands in it."""
    found = shipped(name)
    text = "".join(path.read_text() for path in found.folder.glob("*.j2"))
    read = set(
        re.findall(r"(?<![.\w])parameters\.(\w+)", text.replace('"parameters.', "").replace("set parameters.", ""))
    )
    assert found.closed
    assert read == {each.name for each in found.parameters}
    assert not read or all(file.max_line for file in found.files)


@pytest.mark.parametrize(
    ("name", "whole"), [("chrony", 2046), ("dnsmasq", 1024), ("ldap-client", 2047), ("nginx", 4096)]
)
def test_no_line_may_have_more_bytes_than_its_program_reads_as_one(name, whole):
    """Whatever the bounds of a parameter become: what is beyond them dnsmasq and libldap take for another line."""
    assert all(file.max_line and file.max_line <= whole for file in shipped(name).files)


EACH = pytest.mark.parametrize(
    ("name", "declared"), DECLARED, ids=lambda each: each if isinstance(each, str) else each.name
)


@EACH
def test_the_values_of_this_page_are_the_longest_that_are_allowed(name, declared):
    value = longest(declared, LONGEST[name][declared.name])
    assert refusal(value, declared) == ""
    room = declared.max_length - len(value)
    assert room <= len(LONGEST[name][declared.name]) if declared.several else room < 50
    assert refusal(f"{value} {value}", declared)


@pytest.mark.parametrize("odd", ODD, ids=ascii)
@EACH
def test_no_odd_character_is_allowed_that_means_something_to_the_program(name, declared, odd):
    """A DN may have all but control characters and quotes; in quotes it may have no backslash either."""
    item = LONGEST[name][declared.name].format(0)
    harmless = {"ldap_base": "#;{}%$'`\\", "suffix": "#;{}%$'`", "bind_dn": "#;{}%$'`"}.get(declared.name, "")
    assert refusal(odd + item[1:], declared)
    for value in (item[:5] + odd + item[6:], item[:-1] + odd):
        assert (refusal(value, declared) == "") is (odd in harmless)


@EACH
def test_no_value_becomes_an_option_of_a_program(name, declared):
    assert refusal("-" + LONGEST[name][declared.name].format(0)[1:], declared)


@EACH
def test_no_pattern_takes_long(name, declared):
    """What does not match is found out in a time that grows as the value does."""
    item = LONGEST[name][declared.name].format(0)
    began = time.process_time()
    for text in (item, "a", "1.", "a-", "1:", ":", "a,", "a=", "[", "f:f:", "1.1.1.1 ", "a "):
        refusal((text * 20000)[: declared.max_length - 1] + "!", declared)
    assert time.process_time() - began < 1.0


@pytest.mark.asyncio(loop_scope="module")
class TestDnsmasq:
    async def test_no_line_of_the_longest_values_is_cut(self, install):
        """The rest of a cut line would be a bad option to `dnsmasq --test`."""
        parameters = largest("dnsmasq", "upstream", "hosts", "dhcp_range", "dhcp_hosts", "dhcp_router", "port")
        found = await install("dnsmasq", context("names", **parameters, domain="example.org"))
        assert max(map(len, found["names.conf"].splitlines())) > 300

    async def test_a_running_dnsmasq_knows_the_last_one_and_serves_no_file(self, install, node, tmp_path):
        """What it does, not what it says: names are answered, and nothing else listens (TFTP has port 69)."""
        parameters = largest("dnsmasq", "hosts", "dhcp_hosts")
        parameters["hosts"] = parameters["hosts"].replace(IPV6, "192.0.2.7")
        await install("dnsmasq", context("names", **parameters))
        tmp_path.chmod(0o755)
        command = ["dnsmasq", "--keep-in-foreground", f"--conf-file={tmp_path}/names.conf", "--pid-file"]
        with raised(node, "192.0.2.80/24", "2001:db8::80/64"), node.start(command) as process:
            try:
                last = parameters["hosts"].split()[-1].partition("=")[0]
                until(lambda: resolved(node, "192.0.2.80", last) == "192.0.2.7")
                listening = node.run(["ss", "-Hlnu"]).stdout
                assert {line.split()[3].rpartition(":")[2] for line in listening.splitlines()} == {"53"}
            finally:
                process.terminate()

    async def test_the_longest_domain(self, install):
        found = await install("dnsmasq", context("names", domain=NAME, hosts=f"{SHORT}=192.0.2.7"))
        assert f"local=/{NAME}/" in found["names.conf"].splitlines()

    async def test_a_line_that_dnsmasq_would_cut_is_never_written(self, install, tmp_path):
        """Addresses of the service in one line: a hundred of them are too many."""
        addresses = [f"192.0.2.{each}/24" for each in range(1, 101)]
        values = context("names", addresses=addresses, dhcp_range="192.0.2.100,192.0.2.200")
        with refused("bytes, and the program that reads it takes 1000"):
            await install("dnsmasq", values)
        assert list(tmp_path.iterdir()) == []

    async def test_the_reported_attack_serves_no_file(self, install):
        """1,024 bytes, and then `enable-tftp`."""
        padded = ("02:00:00:00:00:01" + ",192.0.2.7" * 200)[: 1024 - len("dhcp-host=")] + ",enable-tftp"
        with refused("parameters.dhcp_hosts is "):
            await install("dnsmasq", context("names", dhcp_range="192.0.2.100,192.0.2.200", dhcp_hosts=padded))

    async def test_a_long_name_of_the_service_becomes_no_directive_either(self, renderer):
        with pytest.raises(Invalid):
            await rendered(renderer, shipped("dnsmasq"), "dnsmasq.conf.j2", context("a" * 1024 + "enable-tftp"))


@pytest.mark.asyncio(loop_scope="module")
class TestChrony:
    @pytest.mark.parametrize("kind", ["primary", "secondary"])
    async def test_chronyd_reports_the_lines_that_were_meant(self, install, node, tmp_path, kind):
        found = await install("chrony", context("ntp", **largest("chrony") | {"kind": kind}))
        (name, text), *_ = found.items()
        said = node.run(["chronyd", "-p", "-f", str(tmp_path / name)]).stdout
        meant = [line for line in text.splitlines() if not line.startswith("#")]
        assert said.splitlines() == meant
        assert {line.split()[0] for line in meant} <= {"server", "peer", "local", "allow", "bindaddress"}


@pytest.mark.asyncio(loop_scope="module")
class TestNginx:
    @pytest.mark.parametrize("content", ["page", "folder"])
    async def test_nginx_reads_what_was_meant(self, install, node, tmp_path, content):
        """It accepts the longest values, and says that it has read them."""
        await install("nginx", context(**largest("nginx", "port", "listen", "workers"), content=content))
        dump = ["nginx", "-T", "-q", "-e", "stderr", "-c", str(tmp_path / "web.check.conf")]
        said = (await ended(on_node(node, dump), PATIENCE_S)).output
        listens = largest("nginx")["listen"].split()
        assert [line.split()[1] for line in said.splitlines() if line.strip().startswith("listen ")] == [
            f"{address}:65535;" for address in ["[::]", *listens]
        ]

    async def test_the_longest_upstream_is_looked_up_as_one_name(self, install):
        """nginx says which name it does not find: the whole of it."""
        with refused(f'host not found in upstream "{NAME}"'):
            await install("nginx", context(content="proxy", **largest("nginx", "upstream")))


@pytest.mark.asyncio(loop_scope="module")
class TestLibldap:
    READ = (
        "import ldap; get = ldap.get_option; "
        "print(get(ldap.OPT_URI), get(ldap.OPT_DEFBASE), get(ldap.OPT_X_TLS_REQUIRE_CERT), sep='\\n')"
    )

    def read(self, conf: Path) -> list[str]:
        """What libldap has read: servers, base, and whether it asks for a certificate."""
        environment = os.environ | {"LDAPCONF": str(conf), "HOME": str(conf.parent)}
        done = subprocess.run(
            [sys.executable, "-c", self.READ], env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout.splitlines()

    @pytest.mark.parametrize("tail", ["TLS_REQCERT never", "\\", "'", "#", "%", "ä", "\u3000x"])
    async def test_libldap_reads_what_was_meant(self, install, tmp_path, tail):
        parameters = largest("ldap-client")
        parameters["ldap_base"] = parameters["ldap_base"][: 1024 - len(tail.encode())] + tail
        await install("ldap-client", client_context(**parameters))
        uris, base, demand = self.read(tmp_path / "ldap.conf")
        assert (uris.split(), base) == (parameters["ldap_uris"].split(), parameters["ldap_base"])
        assert demand == str(ldap.OPT_X_TLS_DEMAND)

    async def test_the_reported_attack_leaves_certificates_checked(self, install):
        padded = "dc=" + "a" * (2047 - len("BASE dc=")) + "TLS_REQCERT never"
        with refused("parameters.ldap_base is "):
            await install("ldap-client", client_context(ldap_uris="ldap://a", ldap_base=padded))


SECRET = "p w#;{}%$'=ä" * 39 + "12345"
"""A password of 512 bytes, with all that is allowed in one."""


@pytest.mark.parametrize("name", ["openldap", "openldap-secondary"])
@pytest.mark.asyncio(loop_scope="module")
async def test_the_program_of_the_set_reads_what_was_meant(renderer, tmp_path, name):
    meant = largest(name)
    values = context("ldap", role="standby", secrets={"password": SECRET}, **meant)
    text = (await rendered(renderer, shipped(name), "role.toml.j2", values)).text
    (tmp_path / "role.toml").write_text(text)
    found = wanted_role(tmp_path / "role.toml")
    assert (found.suffix, found.bind_dn) == (meant["suffix"], meant["bind_dn"])
    assert (found.primary, found.password, found.rid) == (meant["primary"], SECRET, 999)
    assert tomllib.loads(text).keys() == set(found.__slots__)


def test_slapd_writes_down_what_was_meant_and_reads_it_again(tmp_path):
    """The directive of the longest values in a real slapd's cn=config, and after a restart."""
    bind_dn = largest("openldap")["bind_dn"]
    role = wanted("consumer", "ldap://127.0.0.1:1", bind_dn=bind_dn, password=SECRET, rid=999)
    with BaseServer(content=data_ldif(), durable=False) as slapd:
        Program(slapd, tmp_path).refused("apply", role)  # only because that primary cannot be asked
        for _ in range(2):
            (value,) = [each["olcSyncrepl"] for each in slapd.config().values() if "olcSyncrepl" in each]
            assert words(role.consumer.value).items() <= words(value[0]).items()
            slapd.kill()
            slapd.start()
