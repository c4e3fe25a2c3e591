"""The template sets that come with relocd, each against the program that reads its files."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields, replace
from http.client import HTTPConnection
from pathlib import Path

import pytest

from relocd.adapters.templates.health_tables import HealthTable
from relocd.adapters.templates.manifest import DeclaredTable
from relocd.adapters.templates.template_sets import FolderTemplateSets
from relocd.adapters.units.commands import ProcessCommands
from relocd.adapters.units.script_units import ScriptUnits
from relocd.errors import Invalid
from relocd.model.host import UnitState
from relocd.model.settings import ScriptUnit, UnitSettings
from relocd.model.template_set import Command, FileSpec, Role, UnitSpec
from relocd.reconcile.spec import expanded
from relocd.reconcile.template_context import TemplateContext
from relocd.shipped import shipped_template_sets
from tests.integration.shipped_lab import PATIENCE_S, context, installed, on_node, refused, shipped, verified_unit
from tests.lab.deadline import until
from tests.lab.hosts.hosts import entered

ADDRESSES = ("192.0.2.80/24", "2001:db8::80/64")


@pytest.fixture
def raised(node):
    """The service's addresses on the host."""
    for address in ADDRESSES:
        node.run(["ip", "address", "add", address, "dev", node.interface, *(["nodad"] if ":" in address else [])])
    yield
    for address in ADDRESSES:
        node.run(["ip", "address", "delete", address, "dev", node.interface])


@pytest.fixture
def install(renderer, node, tmp_path):
    """Render a set and install its files in a temporary folder; the checks run on the host, with a /run of its own."""

    async def install(name: str, values: TemplateContext) -> dict[str, str]:
        return await installed(renderer, name, values, tmp_path, lambda check: on_node(node, check))

    return install


def fetched(node, address: str) -> str:
    """What a web server on the host says."""
    with entered(node):
        connection = HTTPConnection(address, 80, timeout=PATIENCE_S)
        try:
            connection.request("GET", "/")
            return connection.getresponse().read().decode()
        finally:
            connection.close()


def listens(text: str) -> list[str]:
    return re.findall(r"listen (\S+);", text)


@pytest.mark.asyncio(loop_scope="module")
class TestNginx:
    @pytest.mark.parametrize(
        ("parameters", "part"),
        [
            pytest.param({}, 'return 200 "web on node1\\n";', id="page"),
            pytest.param({"content": "folder"}, "root /srv/relocd/web;", id="folder"),
            pytest.param(
                {"content": "proxy", "upstream": "http://127.0.0.1:8080"},
                "proxy_pass http://127.0.0.1:8080;",
                id="proxy",
            ),
            pytest.param(
                {"content": "proxy", "upstream": "https://[2001:db8::1]:8443"}, "https://[2001:db8::1]:8443;", id="TLS"
            ),
            pytest.param({"workers": "2"}, "worker_processes 2;", id="workers"),
        ],
    )
    async def test_nginx_accepts_it_while_the_addresses_are_not_there(self, install, parameters, part):
        found = await install("nginx", context(**parameters))
        assert part in found["web.conf"]
        assert part in found["web.check.conf"]

    @pytest.mark.parametrize(
        ("parameters", "addresses"),
        [
            ({}, ["192.0.2.80:80", "[2001:db8::80]:80"]),
            ({"port": "8080"}, ["192.0.2.80:8080", "[2001:db8::80]:8080"]),
            ({"listen": "* [::]"}, ["*:80", "[::]:80"]),
        ],
    )
    async def test_it_listens_on_the_services_addresses(self, install, parameters, addresses):
        found = await install("nginx", context(**parameters))
        assert listens(found["web.conf"]) == addresses
        assert [each for each in listens(found["web.check.conf"]) if each in addresses] == addresses

    @pytest.mark.parametrize(
        ("listen", "checked"),
        [
            ("127.0.0.1", ["*:80", "127.0.0.1:80"]),
            ("[::1]", ["[::]:80", "[::1]:80"]),
            ("* 127.0.0.1", ["*:80", "127.0.0.1:80"]),
            ("[::] 127.0.0.1", ["*:80", "[::]:80", "127.0.0.1:80"]),
        ],
    )
    async def test_what_is_checked_has_every_address_and_their_wildcards(self, install, listen, checked):
        found = await install("nginx", context(listen=listen))
        assert listens(found["web.check.conf"]) == checked

    async def test_a_service_without_addresses_listens_on_all(self, install):
        values = context(addresses=())
        assert listens((await install("nginx", values))["web.conf"]) == ["*:80", "[::]:80"]

    async def test_what_runs_could_not_be_checked_before_the_address_is_there(self, install, node, tmp_path):
        """The reason for the second file."""
        await install("nginx", context())
        check = on_node(node, ["nginx", "-t", "-q", "-e", "stderr", "-p", str(tmp_path), "-c", f"{tmp_path}/web.conf"])
        with refused("bind() to 192.0.2.80:80 failed"):
            await ProcessCommands().run(check, PATIENCE_S)

    async def test_what_nginx_refuses_replaces_nothing(self, install, tmp_path):
        (tmp_path / "web.conf").write_text("old")
        with refused("duplicate listen"):
            await install("nginx", context(listen="192.0.2.80 192.0.2.80"))
        assert [path.name for path in sorted(tmp_path.iterdir())] == ["web.conf"]

    @pytest.mark.parametrize(
        "parameters",
        [
            {"port": "80; include /etc/passwd"},
            {"port": "0"},
            {"port": ""},
            {"workers": "2; user root"},
            {"content": "page\n"},
            {"content": "lua"},
            {"content": "proxy", "upstream": "http://a; } location /x { root /etc"},
            {"content": "proxy", "upstream": "http://unix:/run/x.sock"},
            {"content": "proxy", "upstream": "$host"},
            {"listen": "192.0.2.80:80; include /etc/passwd; #"},
            {"listen": "unix:/run/x.sock"},
            {"listen": "aaaa"},
            {"listen": "::1"},
            {"listen": "192.0.2.256"},
            {"listen": ""},
            {"port": "65536"},
        ],
        ids=str,
    )
    async def test_no_parameter_becomes_a_directive(self, install, parameters):
        with pytest.raises(Invalid, match=f"template set nginx: parameters.{next(reversed(parameters))} is "):
            await install("nginx", context(**parameters))

    async def test_a_proxy_without_an_upstream_says_so(self, install):
        with pytest.raises(Invalid, match=r"parameters\.upstream is undefined"):
            await install("nginx", context(content="proxy"))

    @pytest.mark.parametrize("name", ['node1"; }', "a b", "$host", "a\nb"])
    async def test_no_name_becomes_a_directive(self, install, name):
        values = context(server=name)
        with pytest.raises(Invalid, match=r"nginx\.conf\.j2 line \d+: (the server's name|server\.name) is"):
            await install("nginx", values)

    @pytest.mark.usefixtures("raised")
    async def test_two_services_on_one_port_by_the_commands_of_the_readme(self, install, node, tmp_path):
        """Started, asked over IPv4 and IPv6, reloaded with another text, stopped: as the README says it is done."""
        await install("nginx", context())
        await install("nginx", context("mail", listen="127.0.0.1 [::1]"))
        async with ScriptUnits(as_in_readme(node, tmp_path, ["web", "mail"]), tmp_path / "units") as units:
            try:
                await units.start("web")
                await units.start("mail")
                assert fetched(node, "192.0.2.80") == "web on node1\n"
                assert fetched(node, "2001:db8::80") == "web on node1\n"
                assert fetched(node, "127.0.0.1") == "mail on node1\n"
                moved = context(server="node2")
                await install("nginx", moved)
                await units.reload("web")
                until(lambda: fetched(node, "192.0.2.80") == "web on node2\n")
                await units.stop("web")
                assert await units.state("web") is UnitState.INACTIVE
                assert fetched(node, "::1") == "mail on node1\n"
            finally:
                await units.stop("web")
                await units.stop("mail")


def as_in_readme(node, folder: Path, names: list[str]) -> UnitSettings:
    """The commands that the README of the set gives for a unit, on the host and with all files in one folder."""
    readme = (shipped_template_sets() / "nginx" / "README.md").read_text()
    block = next(block for block in re.findall(r"```toml\n(.*?)```", readme, re.DOTALL) if "units.script" in block)
    script = {}
    for name in names:
        moved = block.replace("/run/relocd-nginx/web", f"{folder}/run-{name}")
        moved = moved.replace("/etc/relocd/nginx/web", f"{folder}/{name}")
        (commands,) = tomllib.loads(moved)["units"]["script"].values()
        script[name] = ScriptUnit(**{word: tuple(node.command(argv)) for word, argv in commands.items()})
    return UnitSettings("script", timeout_s=PATIENCE_S, script=script)


def test_nginx_is_configured_in_both_roles_and_runs_in_one():
    template_set = expanded(shipped("nginx"), "web")
    assert all(file.roles == frozenset(Role) for file in template_set.files)
    (unit,) = template_set.units
    assert (unit.name, unit.active, unit.standby, unit.removed) == ("relocd-nginx@web.service", "start", "stop", "stop")


def test_systemd_accepts_the_unit_of_nginx(tmp_path):
    assert verified_unit(tmp_path, "nginx", "relocd-nginx") == (0, "")


@pytest.mark.asyncio(loop_scope="module")
async def test_script_echo_names_service_and_server(install):
    found = await install("script-echo", context())
    assert tomllib.loads(re.sub(r"= (.*)", r'= "\1"', found["web.conf"].replace("address", "address_4", 1))) == {
        "service": "web",
        "server": "node1",
        "address_4": "192.0.2.80/24",
        "address": "2001:db8::80/64",
    }


def test_every_shipped_set_can_be_used_and_says_what_it_is():
    sets = FolderTemplateSets([], shipped_template_sets())
    readme = (shipped_template_sets() / "README.md").read_text()
    assert set(sets.names()) == set(re.findall(r"^\| \[?`([\w-]+)`(?:\]\(.*\))? \|[^|]*\|$", readme, re.MULTILINE))
    for name in sets.names():
        assert sets.get(name).description


def test_the_readme_names_every_key_of_the_manifest():
    readme = (shipped_template_sets() / "README.md").read_text()
    keys = {field.name for kind in (FileSpec, UnitSpec, Command, HealthTable) for field in fields(kind)}
    keys |= {field.name for field in fields(DeclaredTable)} | {"description", "scope", "first", "check_timeout_s"}
    assert keys == set(re.findall(r"^\| `(\w+)` \|[^|]*\|[^|]*\|[^|]*\|$", readme, re.MULTILINE))


def test_the_example_of_the_readme_is_a_manifest(tmp_path):
    readme = (shipped_template_sets() / "README.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", readme, re.DOTALL)
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "manifest.toml").write_text(example)
    (tmp_path / "web" / "web.conf.j2").write_text("")
    found = FolderTemplateSets([], tmp_path).get("web")
    assert replace(found.units[0], name="x") == UnitSpec("x", change=found.units[0].change)
