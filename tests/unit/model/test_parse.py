"""Entries to values, or to problems that say which entry, which attribute, which value, and what to do."""

from __future__ import annotations

from ipaddress import ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relocd.model.dn import DN
from relocd.model.entries import Failover, Isolation, LastChange, Secret
from relocd.model.parse import kinds, parsed
from tests.support.entries import cluster, csn, dn, entry, server, service, understood, uuid_of


def problem_of(found):
    """The only problem of an entry that has no value."""
    value, problems = parsed(found)
    assert value is None
    (problem,) = problems
    assert problem.subject == str(found.dn)
    return problem.message


def test_a_server():
    found = understood(
        server(
            "me", services=["web", "ntp"], clusters=["pair"], relocFenced="TRUE", description="rack 7", ipHostNumber="x"
        )
    )
    assert (found.uuid, found.dn, found.name) == (uuid_of("me"), DN.parse(dn("me")), "me")
    assert found.service_links == {DN.parse(dn("web")), DN.parse(dn("ntp"))}
    assert found.cluster_links == {DN.parse(dn("pair"))}
    assert found.fenced
    assert found.attributes["description"] == (b"rack 7",)
    assert found.attributes["iphostnumber"] == (b"x",)


def test_a_bare_server_is_linked_to_nothing_and_not_fenced():
    found = understood(server("me"))
    assert (found.service_links, found.cluster_links, found.fenced) == (frozenset(), frozenset(), False)


def test_a_cluster():
    found = understood(
        cluster(
            "pair",
            services=["web"],
            active="me",
            relocFailover="External",
            relocPreferred=[dn("me"), dn("twin")],
            relocFailback="600",
        )
    )
    assert found.name == "pair"
    assert found.service_links == {DN.parse(dn("web"))}
    assert found.active == DN.parse(dn("me"))
    assert found.failover is Failover.EXTERNAL
    assert (found.preferred, found.failback_s) == ({DN.parse(dn("me")), DN.parse(dn("twin"))}, 600)


def test_a_bare_cluster_has_no_active_server_no_preference_and_is_moved_by_hand():
    found = understood(cluster("pair"))
    assert (found.active, found.failover, found.service_links) == (None, Failover.MANUAL, frozenset())
    assert (found.preferred, found.failback_s) == (frozenset(), None)


def test_a_failback_at_once_is_not_a_failback_never():
    assert understood(cluster("pair", relocFailback="0")).failback_s == 0


def test_a_service():
    found = understood(
        service(
            "web",
            relocAddress=["2001:db8::10/64", "192.0.2.20/24", "192.0.2.3/24"],
            relocInterface="eth0",
            relocTemplateSet=["nginx", "dns_2"],
            relocParameter=["workers=4", "greeting=a = b", " port = 80"],
            relocSecret="token=s3cret",
            relocIsolation="Release",
            relocDisplaces=dn("web2"),
        )
    )
    assert [str(address) for address in found.addresses] == ["192.0.2.3/24", "192.0.2.20/24", "2001:db8::10/64"]
    assert found.interface == "eth0"
    assert found.template_sets == ("dns_2", "nginx")
    assert found.parameters == {"workers": "4", "greeting": "a = b", "port": " 80"}
    assert found.secrets == {"token": Secret("s3cret")}
    assert found.exclusive
    assert found.isolation is Isolation.RELEASE
    assert found.displaces == {DN.parse(dn("web2"))}


def test_a_bare_service_is_shared_and_keeps_serving():
    found = understood(service("web"))
    assert (found.addresses, found.template_sets, found.parameters, found.secrets) == ((), (), {}, {})
    assert (found.interface, found.exclusive, found.isolation) == (None, False, Isolation.KEEP)


@pytest.mark.parametrize(
    ("attributes", "exclusive"),
    [
        pytest.param({}, False, id="without an address"),
        pytest.param({"relocAddress": "192.0.2.10/24"}, True, id="with an address"),
        pytest.param({"relocAddress": "192.0.2.10/24", "relocExclusive": "FALSE"}, False, id="said to be shared"),
        pytest.param({"relocExclusive": "true"}, True, id="said to be exclusive"),
    ],
)
def test_any_service_with_an_address_is_exclusive_unless_it_says_otherwise(attributes, exclusive):
    assert understood(service("web", **attributes)).exclusive is exclusive


@pytest.mark.parametrize(
    "address",
    [
        "192.0.2.10/24",
        "192.0.2.10/255.255.255.0",
        "192.0.2.10/32",
        "192.0.2.0/31",
        "10.0.0.0/32",
        "2001:DB8:0::10/64",
        "fd00::1/128",
    ],
)
def test_addresses_that_clients_can_reach(address):
    assert understood(service("web", relocAddress=address)).addresses == (ip_interface(address),)


@pytest.mark.parametrize("name", ["eth0", "enp0s31f6.4094", "a" * 127], ids=len)
def test_an_interface_has_a_name_or_an_altname_which_is_longer(name):
    assert understood(service("web", relocInterface=name)).interface == name


def test_one_address_in_two_spellings_is_one_address():
    found = understood(service("web", relocAddress=["2001:db8::10/64", "2001:DB8:0::10/64"]))
    assert found.addresses == (ip_interface("2001:db8::10/64"),)


@pytest.mark.parametrize(
    ("attribute", "value", "advice"),
    [
        pytest.param("relocAddress", "192.0.2.10", "write it with its prefix length", id="no prefix"),
        pytest.param("relocAddress", "192.0.2.300/24", "192.0.2.300", id="no address"),
        pytest.param("relocAddress", "192.0.2.10/33", "192.0.2.10/33", id="prefix too long"),
        pytest.param("relocAddress", "web.example.org/24", "web.example.org", id="a host name"),
        pytest.param("relocAddress", "2001:db8::1%eth0/64", "write it with its prefix length", id="scoped"),
        pytest.param("relocAddress", "224.0.0.1/24", "unicast address that clients can reach", id="multicast"),
        pytest.param("relocAddress", "127.0.0.1/8", "unicast address that clients can reach", id="loopback"),
        pytest.param("relocAddress", "::/64", "unicast address that clients can reach", id="unspecified"),
        pytest.param("relocAddress", "fe80::1/64", "unicast address that clients can reach", id="link-local"),
        pytest.param("relocAddress", "192.0.2.0/24", "network or the broadcast address", id="network"),
        pytest.param("relocAddress", "192.0.2.255/24", "network or the broadcast address", id="broadcast"),
        pytest.param("relocInterface", "eth 0", "1 to 127 characters", id="interface with a space"),
        pytest.param("relocInterface", "../eth0", "without spaces or slashes", id="interface as a path"),
        pytest.param("relocInterface", "a" * 128, "1 to 127 characters", id="interface too long"),
        pytest.param("relocTemplateSet", "../nginx", "never by a path", id="set as a path"),
        pytest.param("relocTemplateSet", "/etc/nginx", "never by a path", id="set as an absolute path"),
        pytest.param("relocTemplateSet", "Nginx", "named with a-z", id="set in upper case"),
        pytest.param("relocParameter", "workers", "write it as key=value", id="no key"),
        pytest.param("relocParameter", "=4", "write it as key=value", id="empty key"),
        pytest.param("relocParameter", "my key=4", "write it as key=value", id="key with a space"),
        pytest.param("relocExclusive", "maybe", "write TRUE or FALSE", id="no boolean"),
        pytest.param("relocIsolation", "drop", "write one of keep, release", id="isolation"),
        pytest.param("relocDisplaces", "web2", "not a distinguished name", id="displaces no name"),
    ],
)
def test_a_bad_value_makes_the_service_a_problem_and_not_half_a_value(attribute, value, advice):
    message = problem_of(service("web", **{"relocParameter": "fine=1", "relocTemplateSet": "nginx", attribute: value}))
    assert message.startswith(f"{attribute} {value!r} cannot be used: ")
    assert advice in message


@pytest.mark.parametrize(
    ("found", "start"),
    [
        pytest.param(
            server("me", relocServiceLink="web"), "relocServiceLink 'web' cannot be used: ", id="service link"
        ),
        pytest.param(server("me", relocClusterLink="=x"), "relocClusterLink '=x' cannot be used: ", id="cluster link"),
        pytest.param(server("me", relocFenced="yes"), "relocFenced 'yes' cannot be used: write TRUE", id="fenced"),
        pytest.param(cluster("pair", relocActive="me"), "relocActive 'me' cannot be used: ", id="active"),
        pytest.param(
            cluster("pair", relocFailover="auto"),
            "relocFailover 'auto' cannot be used: write one of manual, automatic, external",
            id="failover",
        ),
        pytest.param(cluster("pair", relocPreferred="me"), "relocPreferred 'me' cannot be used: ", id="preferred"),
        pytest.param(
            cluster("pair", relocFailback="-1"), "relocFailback '-1' cannot be used: write whole seconds", id="failback"
        ),
        pytest.param(
            cluster("pair", relocActive=[dn("a"), dn("b")]), "relocActive has 2 values; leave one", id="two active"
        ),
        pytest.param(
            service("web", relocInterface=["eth0", "eth1"]),
            "relocInterface has 2 values; leave one",
            id="two interfaces",
        ),
        pytest.param(
            service("web", relocParameter=["a=1", "a=2"]), "relocParameter gives 'a' twice; leave one", id="key twice"
        ),
        pytest.param(
            service("web", relocTemplateSet=b"\xff"),
            "relocTemplateSet '\ufffd' cannot be used: it is not UTF-8",
            id="bytes",
        ),
        pytest.param(entry("x", "device"), "has the classes none of reloccluster", id="no class of ours"),
        pytest.param(
            entry("x", "relocServer", objectClass=["relocServer", "relocService"]),
            "has the classes relocserver and relocservice; give it exactly one",
            id="two classes",
        ),
    ],
)
def test_problems_say_what_is_wrong_and_what_to_do(found, start):
    assert problem_of(found).startswith(start)


def test_every_problem_of_an_entry_is_named_at_once():
    value, problems = parsed(service("web", relocAddress=["1", "2"], relocExclusive="x"))
    assert value is None
    assert [problem.message.split()[0] for problem in problems] == ["relocAddress", "relocAddress", "relocExclusive"]


@pytest.mark.parametrize("value", ["s3cret", "my s3cret=1", b"s3cret\xff", ["a=s3cret", "a=s3crets"]])
def test_a_secret_never_appears_in_a_problem(value):
    message = problem_of(service("web", relocSecret=value))
    assert "s3cret" not in message
    assert "leave one" in message or "write it as key=value" in message or "UTF-8" in message


def test_a_secret_never_appears_in_a_representation_or_among_the_attributes():
    found = service("web", relocSecret="token=s3cret", **{"relocSecret;lang-de": "token=s3cret"})
    value = understood(found)
    assert "s3cret" not in repr(found)
    assert "s3cret" not in f"{value} {value!r}"
    assert value.secrets["token"].reveal() == "s3cret"


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (["RELOCSERVER", "device"], {"relocserver"}),
        (["device", b"\xff"], set()),
        ([], set()),
    ],
)
def test_kinds(classes, expected):
    assert kinds(entry("x", "x", objectClass=classes).attributes) == expected


_ATTRIBUTES = [
    "relocAddress",
    "relocInterface",
    "relocTemplateSet",
    "relocParameter",
    "relocSecret",
    "relocExclusive",
    "relocIsolation",
    "relocDisplaces",
]


@given(
    st.dictionaries(st.sampled_from(_ATTRIBUTES), st.lists(st.text(max_size=12) | st.binary(max_size=6), max_size=3))
)
def test_any_service_is_either_a_value_or_has_problems(attributes):
    value, problems = parsed(service("web", **attributes))
    assert (value is None) is bool(problems)


def test_whoever_changed_an_entry_last_is_known_and_makes_no_other_value():
    """It is no fact about a service: templates do not see it, and a server with it is the same server as without."""
    entry = server("a", services=["web"], modifiersName="cn=anna,dc=example,dc=org", at=7)
    value, problems = parsed(entry)
    assert problems == ()
    assert value.changed == LastChange("cn=anna,dc=example,dc=org", csn(7))
    assert "modifiersname" not in value.attributes
    assert value == parsed(server("a", services=["web"]))[0]
