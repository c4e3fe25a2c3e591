"""The template sets for time, names and addresses, against chronyd and dnsmasq."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import tomllib
from contextlib import contextmanager
from pathlib import Path

import pytest

from relocd.adapters.units.script_units import ScriptUnits
from relocd.errors import Invalid
from relocd.model.settings import ScriptUnit, UnitSettings
from relocd.reconcile.template_context import TemplateContext
from relocd.shipped import shipped_template_sets
from tests.integration.shipped_lab import (
    PATIENCE_S,
    context,
    installed,
    on_node,
    raised,
    refused,
    resolved,
    verified_unit,
)
from tests.lab.deadline import until
from tests.lab.hosts.hosts import Lan, entered

SYNCHRONISED_S = 40.0


@pytest.fixture(scope="module")
def lan():
    with Lan(["node1", "node2", "client"]) as lan:
        yield lan


@pytest.fixture
def install(renderer, lan, tmp_path):
    async def install(name: str, values: TemplateContext, folder: Path = tmp_path) -> dict[str, str]:
        return await installed(renderer, name, values, folder, lambda check: on_node(lan["node1"], check))

    return install


@pytest.fixture
def folders(tmp_path):
    """One for each of two servers."""
    found = tmp_path / "primary", tmp_path / "secondary"
    for folder in found:
        folder.mkdir()
    return found


@contextmanager
def chronyd(host, folder: Path):
    """A chronyd that has the rendered files and leaves the machine's clock alone; yields how to ask it."""
    command_socket = folder / "chronyd.sock"
    own = f"confdir {folder}\nbindcmdaddress {command_socket}\ncmdport 0\npidfile {folder}/pid\n"
    (folder / "main").write_text(own)
    folder.chmod(0o770)
    process = host.start(["chronyd", "-x", "-d", "-u", "root", "-f", str(folder / "main")], stderr=subprocess.DEVNULL)
    until(command_socket.exists)
    try:
        yield lambda *words: host.run(["chronyc", "-c", "-h", str(command_socket), *words]).stdout
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@pytest.mark.asyncio(loop_scope="module")
class TestChrony:
    @pytest.mark.parametrize(
        ("role", "parameters", "lines"),
        [
            pytest.param(
                "active",
                {"servers": "a.example b.example", "peers": "c.example"},
                ["server a.example iburst", "server b.example iburst", "peer c.example", "local stratum 10"],
                id="primary",
            ),
            pytest.param("active", {"stratum": "3"}, ["local stratum 3"], id="by its own clock"),
            pytest.param(
                "standby",
                {"servers": "a.example"},
                [
                    "server 192.0.2.80 iburst maxpoll 6",
                    "server 2001:db8::80 iburst maxpoll 6",
                    "local stratum 11",
                ],
                id="standby",
            ),
            pytest.param(
                "active",
                {"kind": "secondary", "primary": "192.0.2.10"},
                ["server 192.0.2.10 iburst maxpoll 6", "local stratum 11"],
                id="secondary",
            ),
        ],
    )
    async def test_chronyd_accepts_it(self, install, role, parameters, lines):
        (text,) = (await install("chrony", context("ntp", role=role, **parameters))).values()
        found = [line for line in text.splitlines() if not line.startswith("#")]
        assert found == [*lines, "allow 192.0.2.80/24", "allow 2001:db8::80/64"]

    async def test_a_secondary_in_standby_says_nothing(self, install):
        """The primary that displaces it may be on the same server, which must not ask itself."""
        values = context("ntp", role="standby", kind="secondary", primary="192.0.2.10")
        (text,) = (await install("chrony", values)).values()
        assert [line for line in text.splitlines() if not line.startswith("#")] == []

    async def test_who_may_ask_and_where(self, install):
        values = context("ntp", allow="198.51.100.0/24 2001:db8:1::/48", listen="service")
        (text,) = (await install("chrony", values)).values()
        assert text.splitlines()[-6:] == [
            "allow 198.51.100.0/24",
            "allow 2001:db8:1::/48",
            "allow 192.0.2.80/32",
            "allow 2001:db8::80/128",
            "bindaddress 192.0.2.80",
            "bindaddress 2001:db8::80",
        ]

    @pytest.mark.parametrize(
        ("parameters", "why"),
        [
            ({"servers": "a\nallow all"}, "parameters.servers"),
            ({"servers": "a;b"}, "parameters.servers"),
            ({"servers": "-x"}, "parameters.servers"),
            ({"servers": "192.0.2.256"}, "parameters.servers"),
            ({"allow": "999.0.2.0/24"}, "parameters.allow"),
            ({"allow": "192.0.2.0/33"}, "parameters.allow"),
            ({"peers": ""}, "parameters.peers"),
            ({"allow": "all"}, "parameters.allow"),
            ({"stratum": "15"}, "parameters.stratum"),
            ({"kind": "third"}, "parameters.kind"),
            ({"listen": "none"}, "parameters.listen"),
            ({"kind": "secondary"}, "set parameters.primary"),
        ],
        ids=str,
    )
    async def test_no_parameter_becomes_a_directive(self, install, parameters, why):
        with pytest.raises(Invalid) as refused:
            await install("chrony", context("ntp", **parameters))
        assert why in str(refused.value)

    async def test_the_secondary_follows_the_primary_and_goes_on_without_it(self, install, lan, folders):
        """Two real chronyd: stratum 10 by its own clock, stratum 11 behind it, and the client is answered by both."""
        primary, secondary = folders
        await install("chrony", context("ntp"), primary)
        await install("chrony", context("ntp2", kind="secondary", primary="192.0.2.80"), secondary)
        with raised(lan["node1"], "192.0.2.80/24"), chronyd(lan["node2"], secondary) as ask_second:
            with chronyd(lan["node1"], primary) as ask_first:
                until(lambda: source(ask_second) == ("^*", "192.0.2.80", "10"), SYNCHRONISED_S)
                assert stratum(ask_first) == 10
                until(lambda: stratum(ask_second) == 11)
                assert answered(lan["client"], "192.0.2.80") == 10
                assert answered(lan["client"], lan["node2"].ipv4) == 11
            assert answered(lan["client"], "192.0.2.80") is None
            assert answered(lan["client"], lan["node2"].ipv4) == 11


def source(ask) -> tuple[str, str, str]:
    """Mode and state, address and stratum of the only source, from chronyc's values between commas."""
    mode, state, address, its_stratum, *_ = ask("sources").strip().split(",")
    return mode + state, address, its_stratum


def stratum(ask) -> int:
    return int(ask("tracking").split(",")[2])


def answered(host, address: str) -> int | None:
    """The stratum that an NTP server (RFC 5905) calls its own to a client, None for no answer."""
    with entered(host), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1.0)
        client.sendto(bytes([0b00_100_011]) + bytes(47), (address, 123))
        try:
            return client.recv(512)[1]
        except OSError:
            return None


@pytest.mark.asyncio(loop_scope="module")
class TestDnsmasq:
    @pytest.mark.parametrize(
        ("parameters", "lines"),
        [
            pytest.param(
                {}, ["port=53", "listen-address=192.0.2.80", "listen-address=2001:db8::80"], id="nothing known"
            ),
            pytest.param(
                {"upstream": "192.0.2.1 2001:db8::1", "domain": "example.org", "hosts": "a=192.0.2.7 a=2001:db8::7"},
                ["server=2001:db8::1", "local=/example.org/", "host-record=a.example.org,a,2001:db8::7"],
                id="names",
            ),
            pytest.param(
                {
                    "dhcp_range": "192.0.2.100,192.0.2.200,255.255.255.0,12h",
                    "dhcp_router": "192.0.2.1",
                    "dhcp_hosts": "02:00:00:00:00:01,192.0.2.7,anna",
                },
                [
                    "dhcp-option=option:router,192.0.2.1",
                    "dhcp-option=option:dns-server,192.0.2.80",
                    "dhcp-authoritative",
                ],
                id="addresses",
            ),
        ],
    )
    async def test_dnsmasq_accepts_it(self, install, parameters, lines):
        found = await install("dnsmasq", context("names", **parameters))
        assert set(lines) <= set(found["names.conf"].splitlines())

    async def test_what_dnsmasq_refuses_replaces_nothing(self, install, tmp_path):
        with refused("bad dhcp-range"):
            await install("dnsmasq", context("names", dhcp_range="12h,12h"))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        "parameters",
        [
            {"upstream": "192.0.2.1\nconf-file=/etc/shadow"},
            {"upstream": "/example.org/192.0.2.1"},
            {"domain": "example.org\nenable-tftp"},
            {"hosts": "a=192.0.2.7 b"},
            {"hosts": "a=192.0.2.7\nenable-tftp"},
            {"port": "-1"},
            {"dhcp_range": "192.0.2.100\ndhcp-script=/bin/sh"},
            {"dhcp_range": "192.0.2.100,192.0.2.200", "dhcp_router": "192.0.2.1 "},
            {"dhcp_range": "192.0.2.100,192.0.2.200", "dhcp_hosts": "x"},
            {"dhcp_hosts": "02:00:00:00:00:01" + ",192.0.2.7" * 100 + ",enable-tftp"},
            {"port": "65536"},
        ],
        ids=str,
    )
    async def test_no_parameter_becomes_a_directive(self, install, parameters):
        with refused(f"template set dnsmasq: parameters.{next(reversed(parameters))} is "):
            await install("dnsmasq", context("names", **parameters))

    async def test_a_service_without_an_address_says_so(self, install):
        values = context("names", addresses=())
        with pytest.raises(Invalid, match="give the service an address"):
            await install("dnsmasq", values)

    async def test_it_answers_on_the_services_address_by_the_commands_of_the_readme(self, install, lan, tmp_path):
        node = lan["node1"]
        await install("dnsmasq", context("names", domain="example.org", hosts="a=192.0.2.7 b.example.org=192.0.2.8"))
        tmp_path.chmod(0o755)
        units = ScriptUnits(as_in_readme(node, tmp_path), tmp_path / "units")
        with raised(node, "192.0.2.80/24", "2001:db8::80/64"):
            async with units:
                try:
                    await units.start("names")
                    for name in ("a", "a.example.org"):
                        assert resolved(lan["client"], "192.0.2.80", name) == "192.0.2.7"
                    assert resolved(lan["client"], "192.0.2.80", "b.example.org") == "192.0.2.8"
                    assert resolved(lan["client"], node.ipv4, "a.example.org") is None
                finally:
                    await units.stop("names")
            assert resolved(lan["client"], "192.0.2.80", "a.example.org") is None


def as_in_readme(node, folder: Path) -> UnitSettings:
    """The commands that the README of the set gives for a unit, on the host and with all files in one folder."""
    readme = (shipped_template_sets() / "dnsmasq" / "README.md").read_text()
    block = next(block for block in re.findall(r"```toml\n(.*?)```", readme, re.DOTALL) if "units.script" in block)
    block = block.replace("/etc/relocd/dnsmasq", str(folder)).replace("/run/relocd-dnsmasq", f"{folder}/run")
    (commands,) = tomllib.loads(block)["units"]["script"].values()
    script = {"names": ScriptUnit(**{word: tuple(node.command(argv)) for word, argv in commands.items()})}
    return UnitSettings("script", timeout_s=PATIENCE_S, script=script)


def test_systemd_accepts_the_unit_of_dnsmasq(tmp_path):
    assert shutil.which("dnsmasq")
    assert verified_unit(tmp_path, "dnsmasq", "relocd-dnsmasq") == (0, "")
