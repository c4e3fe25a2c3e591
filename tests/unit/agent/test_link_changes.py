"""What is new on the link layer between two looks."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from relocd.agent.address_conflicts import LinkChanges
from tests.support.plans import ETH0

DOWN = replace(ETH0, up=False)
FLAPPED = replace(ETH0, carrier_ups=ETH0.carrier_ups + 1)
OTHER_MAC = replace(ETH0, mac=b"\x02\0\0\0\0\x99")


@pytest.mark.parametrize(
    ("looks", "returned", "new_mac"),
    [
        pytest.param([ETH0], {}, set(), id="met for the first time"),
        pytest.param([ETH0, ETH0], {}, set(), id="as it was"),
        pytest.param([ETH0, DOWN], {}, set(), id="lost its carrier"),
        pytest.param([ETH0, DOWN, ETH0], {"eth0": 10.0}, set(), id="has it again"),
        pytest.param([ETH0, DOWN, DOWN, FLAPPED], {"eth0": 20.0}, set(), id="away since the first look without"),
        pytest.param([ETH0, FLAPPED], {"eth0": 0.0}, set(), id="had lost it for a moment that nobody saw"),
        pytest.param([DOWN, ETH0], {"eth0": inf}, set(), id="away for nobody knows how long"),
        pytest.param([ETH0, OTHER_MAC], {}, {"eth0"}, id="another MAC"),
        pytest.param([ETH0, replace(OTHER_MAC, up=False)], {}, set(), id="another MAC and nobody to tell"),
        pytest.param([ETH0, replace(ETH0, name="lan0")], {}, set(), id="another name"),
        pytest.param([ETH0, replace(FLAPPED, index=9)], {}, set(), id="another interface of that name"),
    ],
)
def test_news(looks, returned, new_mac):
    changes = LinkChanges()
    found = [changes.news([look], at * 10.0) for at, look in enumerate(looks)]
    assert (found[-1].returned, found[-1].new_mac) == (returned, new_mac)
    assert found[-1].interfaces == set(returned) | new_mac


def test_what_was_told_once_is_no_news_again():
    changes = LinkChanges()
    for look in (ETH0, DOWN, OTHER_MAC):
        changes.news([look], 0.0)
    assert not changes.news([OTHER_MAC], 1.0).interfaces
