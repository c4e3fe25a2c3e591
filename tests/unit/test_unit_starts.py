"""Starts of units that end by themselves: how often, and what is said."""

from __future__ import annotations

import pytest

from relocd.adapters import unit_starts
from relocd.adapters.unit_starts import UnitStarts
from relocd.errors import Failed
from tests.clock import Clock


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    clock.set_in(monkeypatch, unit_starts)
    return clock


def starts_within(clock, seconds, lives_s, starts=None):
    """How often a unit is started that ends so many seconds after each start, by one who looks all the time."""
    starts, number, end, runs_until = starts or UnitStarts(), 0, clock.now + seconds, 0.0
    while clock.now < end:
        clock.now += 0.1
        if clock.now < runs_until:
            continue
        try:
            starts.check("web")
        except Failed:
            continue
        starts.started("web")
        number, runs_until = number + 1, clock.now + lives_s
    return number


@pytest.mark.parametrize(("lives_s", "most"), [(0.0, 120), (5.0, 120), (20.0, 120), (59.0, 62)])
def test_an_hour_of_a_unit_that_ends_again_and_again(clock, lives_s, most):
    """The pause between two starts grows to half a minute; one that lives longer is started as soon as it ends."""
    assert most / 2 < starts_within(clock, 3600, lives_s) <= most


def test_two_starts_are_free_and_no_trouble(clock):
    starts = UnitStarts()
    for _ in range(2):
        starts.check("web")
        starts.started("web")
    assert starts.trouble("web") == ""
    with pytest.raises(Failed):
        starts.check("web")
    clock.now += 1.1
    starts.started("web")
    assert "web" in starts.trouble("web")
    assert starts.trouble("other") == ""


@pytest.mark.parametrize("forgiven", ["stopped", "a minute"])
def test_what_ends_the_trouble(clock, forgiven):
    starts = UnitStarts()
    for _ in range(3):
        starts.started("web")
    if forgiven == "stopped":
        starts.stopped("web")
    else:
        clock.now += 63
    assert starts.trouble("web") == ""
    starts.check("web")
