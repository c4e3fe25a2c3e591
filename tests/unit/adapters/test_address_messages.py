"""The messages about addresses, against those of pyroute2."""

from __future__ import annotations

import struct
from ipaddress import ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST
from pyroute2.netlink.rtnl import RTM_DELADDR, RTM_NEWADDR
from pyroute2.netlink.rtnl.ifaddrmsg import IFA_F_NODAD, IFA_F_NOPREFIXROUTE, ifaddrmsg

from relocd.adapters.net.address_messages import AddressTerms, assigned, assignment, extension, removal
from relocd.adapters.net.address_table import Assigned, Link
from relocd.adapters.net.rtnetlink_messages import read

ETH0 = Link(3, "eth0", b"", up=True, promotes=False)
FOREVER = 2**32 - 1
ADDRESSES = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.integers(0, 32)), st.tuples(st.ip_addresses(v=6), st.integers(0, 128))
).map(ip_interface)
TERMS = st.builds(AddressTerms, st.integers(0, 255), st.none() | st.integers(1, FOREVER - 1), st.booleans())


def by_pyroute2(kind, flags, address, *more):
    message = ifaddrmsg()
    message["family"] = 2 if address.version == 4 else 10
    message["prefixlen"] = address.network.prefixlen
    message["index"] = ETH0.index
    names = ("IFA_LOCAL", "IFA_ADDRESS") if address.version == 4 else ("IFA_ADDRESS",)
    message["attrs"] = [*((name, str(address.ip)) for name in names), *more]
    message["header"]["type"] = kind
    message["header"]["flags"] = NLM_F_REQUEST | NLM_F_ACK | flags
    message.encode()
    return bytes(message.data)


def attributes(address, terms):
    valid_s = FOREVER if terms.lifetime_s is None else terms.lifetime_s
    flags = IFA_F_NODAD | (IFA_F_NOPREFIXROUTE if terms.routed else 0)
    return (
        ("IFA_PROTO", terms.protocol),
        ("IFA_FLAGS", flags if address.version == 6 else 0),
        ("IFA_CACHEINFO", {"ifa_preferred": 0 if address.version == 6 else valid_s, "ifa_valid": valid_s}),
    )


@given(ADDRESSES, TERMS)
def test_the_requests_are_those_of_pyroute2(address, terms):
    more = attributes(address, terms)
    new = NLM_F_CREATE | NLM_F_EXCL
    assert assignment(ETH0, address, terms) == by_pyroute2(RTM_NEWADDR, new, address, *more)
    assert extension(ETH0, address, terms) == by_pyroute2(RTM_NEWADDR, NLM_F_REPLACE, address, *more)
    assert removal(ETH0, address) == by_pyroute2(RTM_DELADDR, 0, address)


@given(ADDRESSES, TERMS)
def test_a_message_is_read_as_it_was_written(address, terms):
    (change,) = read(assignment(ETH0, address, terms))
    assert (change.fact, change.gone) == (Assigned(3, address, terms.protocol, secondary=False), False)
    (change,) = read(removal(ETH0, address))
    assert (change.fact, change.gone) == (Assigned(3, address, None, secondary=False), True)


@pytest.mark.parametrize(
    ("family", "attribute", "secondary"),
    [pytest.param(2, bytes([192, 0, 2, 10]), True, id="ipv4"), pytest.param(10, bytes(15) + b"\1", False, id="ipv6")],
)
def test_the_bit_of_a_secondary_ipv4_address_means_temporary_for_ipv6(family, attribute, secondary):
    body = struct.pack("=BBBBIHH", family, 24, 1, 0, 3, 4 + len(attribute), 1) + attribute
    assert assigned(body).secondary is secondary


def test_of_an_address_with_a_far_end_this_hosts_counts():
    ends = struct.pack("=HH4BHH4B", 8, 1, 192, 0, 2, 99, 8, 2, 192, 0, 2, 1)
    assert assigned(struct.pack("=BBBBI", 2, 32, 0, 0, 3) + ends).address == ip_interface("192.0.2.1/32")


@pytest.mark.parametrize(
    "attribute",
    [
        pytest.param(b"", id="none"),
        pytest.param(struct.pack("=HH", 3, 2), id="of an impossible length"),
        pytest.param(struct.pack("=HH", 6, 2) + b"\1\2", id="too short for an address"),
    ],
)
def test_a_message_without_a_whole_address_is_refused(attribute):
    with pytest.raises(ValueError, match=r"address|attribute"):
        assigned(struct.pack("=BBBBI", 2, 24, 0, 0, 3) + attribute)
