"""What is made of the facts of a host."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface

import pytest

from relocd.doctor.finding import Level
from relocd.doctor.host.checks import host_findings
from relocd.doctor.host.facts import CAPABILITIES, Equipment, HostFacts, Manager, Network
from relocd.model.entries import Isolation
from relocd.model.host import Interface
from relocd.model.settings import DirectorySettings, GuardSettings, ServerSettings, Settings
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


def network(**more: object) -> Network:
    return replace(WELL.network, **more)


def kept(how: str) -> Network:
    return network(managers={"eth0": Manager("systemd-networkd", FILE, how)})


def test_a_host_on_which_all_is_well_has_nothing_else_to_say():
    assert {each.level for each in host_findings(WELL)} == {Level.OK}


@pytest.mark.parametrize(
    ("facts", "check", "level", "said"),
    [
        (replace(WELL, runs=False), "agent", Level.WARNING, "systemctl start relocd"),
        (replace(WELL, version="2"), "agent", Level.WARNING, "restart it"),
        (replace(WELL, status=STATUS | {"mode": "drained"}), "agent", Level.WARNING, "relocd resume"),
        (replace(WELL, status=STATUS | {"problems": [{}]}), "agent", Level.WARNING, "relocd show"),
        (replace(WELL, unit=("a", "b")), "unit", Level.WARNING, "relocd install systemd"),
        (replace(WELL, capabilities=WELL.capabilities - {"CAP_NET_RAW"}), "capabilities", Level.ERROR, "as root"),
        (replace(WELL, capabilities=WELL.capabilities - {"CAP_CHOWN"}), "capabilities", Level.WARNING, "the unit"),
        (replace(WELL, capabilities=WELL.capabilities - {"CAP_SYS_NICE"}), "capabilities", Level.WARNING, "the unit"),
        (replace(WELL, process=""), "capabilities", Level.NOT_CHECKED, "run this as root"),
        (replace(WELL, booted=False), "systemd", Level.ERROR, 'manager = "script"'),
        (replace(WELL, equipment=replace(WELL.equipment, systemd="silent")), "systemd", Level.ERROR, "D-Bus"),
        (replace(WELL, services=None), "addresses", Level.NOT_CHECKED, ""),
        (replace(WELL, network=network(without_ipv6=frozenset({"eth0"}))), "addresses", Level.ERROR, "disable_ipv6=0"),
        (replace(WELL, network=kept("")), "network", Level.WARNING, f"KeepConfiguration=static in [Network] of {FILE}"),
        (replace(WELL, network=kept("dhcp")), "network", Level.WARNING, "KeepConfiguration=static"),
        (replace(WELL, network=network(dhcpcd=True)), "network", Level.WARNING, "denyinterfaces"),
        (
            replace(WELL, network=network(managers={"eth0": Manager("NetworkManager")})),
            "network",
            Level.WARNING,
            "nmcli device set eth0 managed no",
        ),
        (
            replace(WELL, services=(replace(WEB, isolation=Isolation.RELEASE),)),
            "network",
            Level.WARNING,
            "KeepConfiguration=yes",
        ),
    ],
)
def test_each_thing_that_is_not_well_is_exactly_one_finding(facts, check, level, said):
    (found,) = [each for each in host_findings(facts) if each.level is not Level.OK]
    assert (found.check, found.level) == (check, level)
    assert said in found.advice


def test_a_manager_of_an_interface_that_carries_no_service_is_nobodys_business():
    facts = replace(WELL, network=network(managers={"wlan0": Manager("NetworkManager")}))
    assert {each.level for each in host_findings(facts)} == {Level.OK}


def test_each_capability_that_is_missing_has_its_own_reason():
    found = list(host_findings(replace(WELL, capabilities=WELL.capabilities - {"CAP_SYS_NICE", "CAP_CHOWN"})))
    told = {
        each.what.partition(": ")[0].rpartition(" ")[2]: each.what for each in found if each.check == "capabilities"
    }
    assert told.keys() == {"CAP_SYS_NICE", "CAP_CHOWN"}
    assert "priority" in told["CAP_SYS_NICE"]
    assert "write files" in told["CAP_CHOWN"]
