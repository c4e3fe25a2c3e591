"""What is made of the facts of a host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_interface
from pathlib import Path

import pytest

from relocd.doctor.finding import DoctorKind, Level
from relocd.doctor.host.checks import host_findings
from relocd.doctor.host.facts import CAPABILITIES, Equipment, HostFacts, Manager, Network
from relocd.model.entries import Isolation
from relocd.model.host import Interface
from relocd.model.settings import DirectorySettings, GuardSettings, ServerCheck, ServerSettings, Settings
from tests.support.entries import service, understood

WEB = understood(service("web", relocAddress=["192.0.2.10/24", "2001:db8::10/64"]))
ETH0 = Interface(2, "eth0", b"\2" * 6, True, (ip_interface("192.0.2.1/24"), ip_interface("2001:db8::1/64")))
STATUS = {"version": "1", "mode": "normal", "directory": {"state": "current"}, "problems": [], "services": []}
SETTINGS = Settings(
    ServerSettings("cn=me,dc=x"),
    DirectorySettings(("ldapi:///",), "dc=x"),
    GuardSettings(networks=("192.0.2.0/24", "2001:db8::/64")),
)
FILE = "/etc/systemd/network/10.network"
WELL = HostFacts(
    version="1",
    settings=SETTINGS,
    status=STATUS,
    runs=True,
    process="the agent",
    capabilities=frozenset(CAPABILITIES),
    unit=("a", "a"),
    booted=True,
    network=Network({"eth0": Manager("systemd-networkd", FILE, "static")}, False, frozenset()),
    equipment=Equipment((), (ETH0,), ""),
    services=(WEB,),
)


def checked(*checks: ServerCheck, missing: Mapping[str, tuple[str, ...]] | None = None) -> HostFacts:
    """A host with these checks in `relocd.toml`, where programs of checks are missing by template set."""
    equipment = replace(WELL.equipment, missing=missing or {})
    return replace(WELL, settings=replace(SETTINGS, health=checks), equipment=equipment)


def network(**more: object) -> Network:
    return replace(WELL.network, **more)


def kept(how: str) -> Network:
    return network(managers={"eth0": Manager("systemd-networkd", FILE, how)})


def without(*capabilities: str) -> HostFacts:
    return replace(WELL, capabilities=WELL.capabilities - set(capabilities))


def test_a_host_on_which_all_is_well_has_nothing_else_to_say():
    assert {each.level for each in host_findings(WELL)} == {Level.OK}


@pytest.mark.parametrize(
    ("facts", "kind", "level", "advised"),
    [
        (replace(WELL, runs=False), DoctorKind.NO_AGENT, Level.WARNING, "systemctl start relocd"),
        (replace(WELL, version="2"), DoctorKind.OTHER_VERSION, Level.WARNING, ""),
        (replace(WELL, status=STATUS | {"mode": "drained"}), DoctorKind.AGENT_MODE, Level.WARNING, "relocd resume"),
        (replace(WELL, status=STATUS | {"problems": [{}]}), DoctorKind.AGENT_PROBLEMS, Level.WARNING, "relocd show"),
        (replace(WELL, unit=("a", "b")), DoctorKind.UNIT_DIFFERS, Level.WARNING, "relocd install systemd"),
        (without("CAP_NET_RAW"), DoctorKind.CAPABILITY_MISSING, Level.ERROR, "relocd install systemd"),
        (without("CAP_CHOWN"), DoctorKind.CAPABILITY_MISSING, Level.WARNING, "relocd install systemd"),
        (without("CAP_SYS_NICE"), DoctorKind.CAPABILITY_MISSING, Level.WARNING, "relocd install systemd"),
        (replace(WELL, process=""), DoctorKind.NO_PROCESS, Level.NOT_CHECKED, "root"),
        (replace(WELL, booted=False), DoctorKind.NO_SYSTEMD, Level.ERROR, 'manager = "script"'),
        (
            replace(WELL, equipment=replace(WELL.equipment, systemd="silent")),
            DoctorKind.SYSTEMD_SILENT,
            Level.ERROR,
            "D-Bus",
        ),
        (replace(WELL, services=None), DoctorKind.SERVICES_UNKNOWN, Level.NOT_CHECKED, ""),
        (
            replace(WELL, network=network(without_ipv6=frozenset({"eth0"}))),
            DoctorKind.IPV6_OFF,
            Level.ERROR,
            "net.ipv6.conf.eth0.disable_ipv6=0",
        ),
        (
            replace(WELL, equipment=replace(WELL.equipment, interfaces=())),
            DoctorKind.ADDRESS_MISPLACED,
            Level.ERROR,
            "",
        ),
        (replace(WELL, folders=(Path("/srv/x"),)), DoctorKind.FOLDER_MISSING, Level.WARNING, "mkdir -p /srv/x"),
        (replace(WELL, network=kept("")), DoctorKind.NETWORKD, Level.WARNING, "KeepConfiguration=static"),
        (replace(WELL, network=kept("")), DoctorKind.NETWORKD, Level.WARNING, FILE),
        (replace(WELL, network=kept("dhcp")), DoctorKind.NETWORKD, Level.WARNING, "KeepConfiguration=static"),
        (replace(WELL, network=network(dhcpcd=True)), DoctorKind.DHCPCD, Level.WARNING, "denyinterfaces"),
        (
            replace(WELL, network=network(managers={"eth0": Manager("NetworkManager")})),
            DoctorKind.NETWORK_MANAGER,
            Level.WARNING,
            "nmcli device set eth0 managed no",
        ),
        (
            replace(WELL, services=(replace(WEB, isolation=Isolation.RELEASE),)),
            DoctorKind.NETWORKD,
            Level.WARNING,
            "KeepConfiguration=yes",
        ),
    ],
)
def test_each_thing_that_is_not_well_is_one_kind_of_finding_with_advice(facts, kind, level, advised):
    found = [each for each in host_findings(facts) if each.level is not Level.OK]
    assert {(each.kind, each.level) for each in found} == {(kind, level)}
    assert all(advised in each.advice for each in found)


def test_a_manager_of_an_interface_that_carries_no_service_is_nobodys_business():
    facts = replace(WELL, network=network(managers={"wlan0": Manager("NetworkManager")}))
    assert {each.level for each in host_findings(facts)} == {Level.OK}


def test_each_capability_that_is_missing_has_its_own_reason():
    found = list(host_findings(without("CAP_SYS_NICE", "CAP_CHOWN", "CAP_FOWNER")))
    names = [each.names for each in found if each.kind is DoctorKind.CAPABILITY_MISSING]
    assert sorted(names) == [("CAP_CHOWN", "CAP_FOWNER"), ("CAP_SYS_NICE",)]


WITH_SET = understood(service("ldap", relocTemplateSet=["openldap"]))


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        pytest.param(checked(), [], id="no checks"),
        pytest.param(
            checked(ServerCheck(interface="eth0"), ServerCheck(ping="192.0.2.254"), ServerCheck(ping="2001:db8::9")),
            [(DoctorKind.OK, (), "")],
            id="all can be made",
        ),
        pytest.param(
            checked(ServerCheck(ping="198.51.100.1")),
            [(DoctorKind.PING_OFF_LINK, ("198.51.100.1",), "")],
            id="ping beyond a router",
        ),
        pytest.param(
            checked(ServerCheck(interface="eth7")),
            [(DoctorKind.INTERFACE_MISSING, ("eth7",), "")],
            id="no such interface",
        ),
        pytest.param(
            checked(ServerCheck(command=("/gone", "x")), missing={"": ("/gone",)}),
            [(DoctorKind.PROGRAM_MISSING, ("/gone",), "")],
            id="no such program",
        ),
        pytest.param(
            replace(checked(missing={"openldap": ("ldapsearch",), "unused": ("other",)}), services=(WEB, WITH_SET)),
            [(DoctorKind.PROGRAM_MISSING, ("ldapsearch", "openldap"), "ldap")],
            id="no program of a set that a service uses",
        ),
        pytest.param(
            replace(checked(missing={"openldap": ("ldapsearch",)}), services=None),
            [],
            id="services unknown",
        ),
    ],
)
def test_a_health_check_that_cannot_be_made_or_cannot_succeed_is_an_error(facts, found):
    health = [each for each in host_findings(facts) if each.check == "health"]
    assert [(each.kind, each.names, each.service) for each in health] == found
    assert all((each.level is Level.OK) == (each.kind is DoctorKind.OK) for each in health)
    assert all(bool(each.advice) == (each.level is Level.ERROR) for each in health)
