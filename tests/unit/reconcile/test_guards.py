"""The guards: what the directory or a template set asks for in vain."""

from __future__ import annotations

from ipaddress import ip_interface

import pytest

from relocd.errors import Invalid
from relocd.model.settings import GuardSettings
from relocd.reconcile.guards import guards
from tests.support.plans import interface

ALLOWED = guards(
    GuardSettings(
        networks=("192.0.2.0/24", "2001:db8:1::/48", "198.51.100.128/25"),
        units=("nginx.service", "app@*.service"),
        folders=("/etc/relocd", "/srv/web"),
    )
)
NOTHING = guards(GuardSettings())


@pytest.mark.parametrize("address", ["192.0.2.10/24", "192.0.2.10/32", "2001:db8:1:2::10/64", "198.51.100.200/24"])
def test_allowed_addresses(address):
    ALLOWED.check_address(ip_interface(address))


@pytest.mark.parametrize(
    "address",
    ["192.0.3.10/24", "10.0.0.1/8", "198.51.100.1/24", "2001:db8:2::10/64", "::ffff:192.0.2.10/128"],
)
def test_refused_addresses(address):
    with pytest.raises(Invalid, match=r"none of the allowed networks \(192.0.2.0/24, .*\[guards\] networks"):
        ALLOWED.check_address(ip_interface(address))


@pytest.mark.parametrize(
    "address", ["192.0.2.10/24", "192.0.2.10/28", "192.0.2.10/32", "203.0.113.5/24", "2001:db8:1::10/48"]
)
def test_routes_into_an_allowed_network_or_into_one_that_is_there(address):
    ALLOWED.check_route(ip_interface(address), interface(addresses=("203.0.113.1/24",)))


@pytest.mark.parametrize("address", ["192.0.2.10/23", "192.0.2.10/0", "203.0.113.5/16", "2001:db8:1::10/32"])
def test_a_short_prefix_does_not_take_the_route_to_the_rest_of_the_world(address):
    with pytest.raises(Invalid, match=r"would take the route to all of .*prefix length of eth0's network"):
        ALLOWED.check_route(ip_interface(address), interface(addresses=("203.0.113.1/24",)))


@pytest.mark.parametrize("name", ["nginx.service", "app@web.service"])
def test_allowed_units(name):
    ALLOWED.check_unit(name)


@pytest.mark.parametrize("name", ["sshd.service", "nginx.service.d", "xnginx.service", "App@web.service", "nginx"])
def test_refused_units(name):
    with pytest.raises(Invalid, match=rf"unit {name} matches none of the allowed patterns .*\[guards\] units"):
        ALLOWED.check_unit(name)


@pytest.mark.parametrize(
    "target", ["/etc/relocd/a", "/etc/relocd/a/b.conf", "/srv/web/.x", "/etc/relocd/..a", "/etc//relocd/a"]
)
def test_allowed_targets(target):
    ALLOWED.check_target(target)


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("/etc/passwd", id="elsewhere"),
        pytest.param("/etc/relocd-evil/a", id="a folder whose name only begins the same"),
        pytest.param("/etc/relocdx", id="a file whose name only begins the same"),
        pytest.param("/etc/relocd", id="the folder itself"),
        pytest.param("/etc/relocd/", id="the folder itself with a slash"),
        pytest.param("/etc/relocd/.", id="the folder itself with a dot"),
        pytest.param("/etc/relocd/../passwd", id="out by dots"),
        pytest.param("/etc/relocd/a/../../../etc/shadow", id="out by more dots"),
        pytest.param("/etc/relocd/a/../b", id="dots that come back in"),
        pytest.param("etc/relocd/a", id="relative"),
        pytest.param("//etc/relocd/a", id="two slashes, which mean what the system says"),
        pytest.param("", id="empty"),
    ],
)
def test_refused_targets(target):
    with pytest.raises(
        Invalid, match=r"below none of the allowed folders \(/etc/relocd, /srv/web\); \[guards\] folders"
    ):
        ALLOWED.check_target(target)


def test_nothing_is_allowed_by_default():
    for check, value in (
        (NOTHING.check_address, ip_interface("192.0.2.10/24")),
        (NOTHING.check_unit, "nginx.service"),
        (NOTHING.check_target, "/etc/relocd/a"),
    ):
        with pytest.raises(Invalid, match=r"\(none\)"):
            check(value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (GuardSettings(networks=("192.0.2.1/24",)), "has host bits set; write a network, for example"),
        (GuardSettings(networks=("lan",)), "write a network, for example"),
        (GuardSettings(folders=("etc",)), "etc is not an absolute path"),
        (GuardSettings(folders=("/etc/../srv",)), "is not an absolute path without '..'"),
    ],
)
def test_wrong_guards_are_refused(settings, message):
    with pytest.raises(Invalid, match=message):
        guards(settings)
