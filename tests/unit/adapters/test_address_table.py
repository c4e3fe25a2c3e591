"""The picture follows what the kernel tells, and says what is news."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface

import pytest

from relocd.adapters.net.address_table import AddressTable, Assigned, InterfaceChange, Link

LINK = Link(2, "eth0", bytes(6), up=True, promotes=False)
OTHER = Link(3, "eth1", bytes(6), up=True, promotes=False)


def assigned(text: str, index: int = 2, *, protocol: int | None = None, secondary: bool = False) -> Assigned:
    return Assigned(index, ip_interface(text), protocol, secondary)


def picture(*facts: Link | Assigned) -> AddressTable:
    made = AddressTable()
    for fact in facts:
        made.apply(InterfaceChange(fact, gone=False))
    return made


@pytest.mark.parametrize("fact", [LINK, assigned("192.0.2.1/24")], ids=["link", "address"])
def test_only_what_differs_is_news(fact):
    made = AddressTable()
    told = [InterfaceChange(fact, gone=gone) for gone in (False, False, True, True)]
    assert [made.apply(change) for change in told] == [True, False, True, False]


def test_its_revision_counts_the_news():
    made, revisions = AddressTable(), []
    for gone in (False, False, True):
        made.apply(InterfaceChange(LINK, gone=gone))
        revisions.append(made.revision)
    assert revisions == [1, 1, 2]


def test_a_link_takes_its_addresses_with_it():
    made = picture(LINK, OTHER, assigned("192.0.2.1/24"), assigned("198.51.100.1/24", 3))
    made.apply(InterfaceChange(LINK, gone=True))
    assert [len(made.on(link)) for link in (LINK, OTHER)] == [0, 1]
    assert made.link("eth0") is None


def test_a_link_that_is_renamed_keeps_its_addresses():
    made = picture(LINK, assigned("192.0.2.1/24"), renamed := replace(LINK, name="lan0"))
    assert made.link("eth0") is None
    assert made.link("lan0") == renamed
    assert made.find(renamed, ip_interface("192.0.2.1/24")) is not None


def test_a_link_is_found_by_its_altnames():
    made = picture(OTHER, named := replace(LINK, altnames=("enp19s0", "lan")))
    assert [made.link(name) for name in ("eth0", "enp19s0", "lan", "enp20s0")] == [named, named, named, None]


def test_prefix_lengths_make_two_addresses_of_one():
    made = picture(LINK, assigned("192.0.2.1/24"))
    assert made.find(LINK, ip_interface("192.0.2.1/25")) is None


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        pytest.param(assigned("192.0.2.1/24"), ["192.0.2.2/24"], id="first of its network"),
        pytest.param(assigned("192.0.2.2/24", secondary=True), [], id="secondary"),
        pytest.param(assigned("192.0.2.4/25"), [], id="first of another prefix length"),
    ],
)
def test_dependants_are_the_secondaries_of_the_same_network(first, expected):
    made = picture(
        LINK,
        assigned("192.0.2.1/24"),
        assigned("192.0.2.2/24", secondary=True),
        assigned("198.51.100.2/24", secondary=True),
        assigned("192.0.2.4/25"),
        OTHER,
        assigned("192.0.2.3/24", 3, secondary=True),
    )
    assert [str(each.address) for each in made.dependants(LINK, first)] == expected


def test_a_kernel_that_has_told_one_protocol_tells_all():
    made = picture(LINK, assigned("192.0.2.1/24"))
    assert not made.shows_protocols
    made.apply(InterfaceChange(assigned("127.0.0.1/8", 1, protocol=1), gone=False))
    made.apply(InterfaceChange(assigned("127.0.0.1/8", 1, protocol=1), gone=True))
    assert made.shows_protocols
