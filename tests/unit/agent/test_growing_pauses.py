"""Whatever fails is tried again with growing pauses: an hour of each failure, with its tries, log lines and frames.

The pauses are those of the shipped settings: from 1 s, doubling up to 60 s. A pause that is 60 s from the seventh on
leaves 66 tries for an hour.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace

import pytest

from relocd.errors import Failed, Unavailable
from relocd.model.settings import AgentSettings, WireSettings
from relocd.model.status import Mode
from relocd.model.template_set import Command, Moment
from relocd.model.writes import Conflict, Lost, Unknown
from tests.support.entries import cluster, server
from tests.support.fake_directory import FakeDirectory
from tests.support.plans import placed, template_set
from tests.support.virtual_time import run, stamped
from tests.unit.agent.lab import SETTINGS, Lab, web

HOUR_S = 3600
TRIES = 70
"""By growing pauses from 1 s to 60 s, with a few looks more at the beginning."""
ASKED = 760
"""By those for an address that another host has, and for a write that is not answered: at last 5 s."""
LINES = 8 * TRIES
USUAL = AgentSettings()


class Hour:
    """A server alone with one exclusive service: how often each thing was tried, from the failure on."""

    def __init__(self, *entries):
        entries = entries or (server("me", services=["web"]), web())
        self.lab = Lab(directory=FakeDirectory(*entries, stamp=stamped))
        self.settings = replace(SETTINGS, agent=USUAL, wire=WireSettings())
        self.lines = []
        self._calls = {}

    async def play(self, fails, *, serving):
        handler = logging.Handler(logging.INFO)
        handler.emit = self.lines.append
        log = logging.getLogger("relocd")
        level = log.level
        async with self.lab.agent(self.settings):
            if not serving:
                fails(self)
            self.lab.directory.refresh()
            await asyncio.sleep(5)
            if serving:
                assert self.lab.state_of("web") == "active"
                fails(self)
            log.setLevel(logging.INFO)
            log.addHandler(handler)
            self._count()
            try:
                await asyncio.sleep(HOUR_S)
            finally:
                log.removeHandler(handler)
                log.setLevel(level)

    def _count(self):
        here = self.lab.server
        ports = {here.renderer: ["render"], here.files: ["prepare", "install", "remove"], here.commands: ["run"]}
        ports |= {here.units: ["start", "stop"], here.addresses: ["add", "drop"], here.wire: ["probe", "announce"]}
        ports |= {here.ledger: ["save", "forget"]}
        for port, names in ports.items():
            for name in names:
                self._watch(port, name)

    def _watch(self, port, name):
        method, calls = getattr(port, name), self._calls.setdefault(name, [])

        def counted(*arguments, **more):
            calls.append(time.monotonic())
            return method(*arguments, **more)

        setattr(port, name, counted)

    def tries(self, name):
        return len(self._calls[name])


def breaks_template(hour):
    hour.lab.server.renderer.templates["web", "conf.j2"] = "{undefined}"


def fails_its_check(hour):
    hour.lab.server.renderer.templates["web", "conf.j2"] = "BAD"


def is_read_only(hour):
    hour.lab.server.files.refusal = "read-only"


def does_not_start(hour):
    hour.lab.server.units.broken = {"web"}


def dies_and_does_not_start(hour):
    does_not_start(hour)
    hour.lab.server.units.dies("web")


def ends_as_soon_as_it_has_started(hour):
    units = hour.lab.server.units
    started = units.start

    async def start(name):
        await started(name)
        asyncio.get_running_loop().call_later(0.01, units.dies, name)

    units.start = start
    units.dies("web")


def does_not_stop(hour):
    hour.lab.server.units.stuck = {"web"}
    hour.lab.orders.word = Mode.DRAINED


def is_not_raised(hour):
    hour.lab.server.addresses.refused = {placed()}


def is_not_dropped(hour):
    is_not_raised(hour)
    hour.lab.orders.word = Mode.DRAINED


def fails_its_command(hour):
    hour.lab.server.sets.sets["web"] = template_set("web", commands=(Command(Moment.ACTIVATE, ("promote",)),))
    hour.lab.server.commands.failing = {"promote"}


def is_answered(hour):
    hour.lab.server.wire.answering["192.0.2.10"] = "02:00:00:00:00:99"


def cannot_probe(hour):
    async def refuse(_interface, _addresses):
        raise Failed("no such device")

    hour.lab.server.wire.probe = refuse


def has_no_room_for_its_ledger(hour):
    hour.lab.server.ledger.refusal = "no space left"


def cannot_be_read(hour):
    hour.lab.directory.reader.refusal = Unavailable("no server answers")


def writes(hour, answer, name="cn=state"):
    """Writes of the state, or of an entry of another name, are answered like that; heartbeats go on."""
    writer = hour.lab.directory.writer
    calls = hour._calls.setdefault("write", [])

    def answered(method):
        async def write(*arguments):
            if not str(getattr(arguments[0], "dn", arguments[0])).startswith(name):
                return await method(*arguments)
            calls.append(time.monotonic())
            return answer()

        return write

    writer.apply, writer.create = answered(writer.apply), answered(writer.create)


def refused():
    raise Failed("insufficient access")


def is_refused(hour):
    writes(hour, refused)


def is_lost(hour):
    writes(hour, lambda: Lost(Conflict.ASSERTION_FAILED, "another value"))


def is_not_answered(hour):
    writes(hour, lambda: Unknown("no answer"))


def cannot_write_that_it_steps_down(hour):
    is_refused(hour)
    hour.lab.orders.word = Mode.DRAINED


@pytest.mark.parametrize(
    ("fails", "tried", "most"),
    [
        pytest.param(breaks_template, "render", TRIES, id="render"),
        pytest.param(fails_its_check, "prepare", TRIES, id="check"),
        pytest.param(is_read_only, "prepare", TRIES, id="file"),
        pytest.param(does_not_start, "start", TRIES, id="unit start"),
        pytest.param(is_not_raised, "add", TRIES, id="address add"),
        pytest.param(fails_its_command, "run", TRIES, id="command"),
        pytest.param(is_answered, "probe", ASKED, id="an address that another host has"),
        pytest.param(cannot_probe, "probe", TRIES, id="probe"),
        pytest.param(has_no_room_for_its_ledger, "save", TRIES, id="ledger"),
        pytest.param(is_refused, "write", TRIES, id="write refused"),
        pytest.param(is_lost, "write", TRIES, id="write lost"),
        pytest.param(is_not_answered, "write", ASKED, id="write unanswered"),
    ],
)
def test_an_hour_of_a_first_activation_that_fails(fails, tried, most):
    """Nobody else is linked, so nothing of it ends by itself."""
    hour = Hour()
    run(lambda: hour.play(fails, serving=False))
    check(hour, tried, most)


@pytest.mark.parametrize(
    ("fails", "tried"),
    [
        pytest.param(dies_and_does_not_start, "start", id="unit start"),
        pytest.param(ends_as_soon_as_it_has_started, "start", id="unit that ends at once"),
        pytest.param(does_not_stop, "stop", id="unit stop"),
        pytest.param(is_not_dropped, "drop", id="address drop"),
        pytest.param(cannot_write_that_it_steps_down, "drop", id="write of a release"),
    ],
)
def test_an_hour_of_a_failure_while_it_serves(fails, tried):
    hour = Hour()
    run(lambda: hour.play(fails, serving=True))
    check(hour, tried, TRIES)


@pytest.mark.parametrize("exclusive", ["TRUE", "FALSE"])
def test_what_waits_for_its_next_start_is_not_called_active(exclusive):
    hour, found = Hour(server("me", services=["web"]), web(relocExclusive=exclusive)), set()

    async def play():
        async with hour.lab.agent(hour.settings):
            hour.lab.directory.refresh()
            await asyncio.sleep(5)
            ends_as_soon_as_it_has_started(hour)
            await asyncio.sleep(60)
            for _ in range(60):
                await asyncio.sleep(1)
                found.add((hour.lab.state_of("web"), any("did not last" in each for each in hour.lab.problems())))

    run(play)
    assert found == {("failed", True)}


def test_a_unit_that_a_person_starts_ends_the_pause_of_the_activation():
    hour = Hour()

    async def play():
        async with hour.lab.agent(hour.settings):
            does_not_start(hour)
            hour.lab.directory.refresh()
            await asyncio.sleep(200)
            assert hour.lab.state_of("web") == "failed"
            hour.lab.server.units.broken = set()
            await hour.lab.server.units.start("web")
            await asyncio.sleep(1)
            assert hour.lab.state_of("web") == "active"

    run(play)


@pytest.mark.parametrize("answer", [refused, lambda: Lost(Conflict.ASSERTION_FAILED, "another value")])
@pytest.mark.parametrize(
    ("mine", "name"),
    [
        pytest.param({"clusters": ["front"]}, "cn=front", id="active member of a cluster"),
        pytest.param({"relocFenced": "TRUE"}, "cn=me", id="own fence"),
    ],
)
def test_an_hour_of_a_write_of_something_else_that_fails(mine, name, answer):
    automatic = cluster("front", services=["web"], relocFailover="automatic")
    hour = Hour(server("me", **mine), automatic, web())
    run(lambda: hour.play(lambda hour: writes(hour, answer, name), serving=False))
    assert 0 < hour.tries("write") <= TRIES
    assert len(hour.lines) <= LINES


def test_a_cluster_that_needs_nothing_any_more_begins_anew_when_it_does():
    """What was refused for some minutes is no reason to wait a minute the next time."""
    hour = Hour(server("me", clusters=["front"]), cluster("front", services=["web"], relocFailover="automatic"), web())
    directory = hour.lab.directory

    def active(name):
        directory.put(cluster("front", services=["web"], active=name, relocFailover="automatic"))

    async def play():
        write = directory.writer.apply
        writes(hour, refused, "cn=front")
        async with hour.lab.agent(hour.settings):
            directory.refresh()
            await asyncio.sleep(560)  # between two tries that are a minute apart
            directory.writer.apply = write
            active("me")
            await asyncio.sleep(1)
            active(None)
            await asyncio.sleep(3)
            assert directory.model.named("front").attributes.get("relocactive")

    run(play)


def check(hour, tried, most):
    assert 0 < hour.tries(tried) <= most
    assert hour.tries("probe") <= max(most, TRIES)
    assert hour.tries("announce") <= 5 * hour.tries("add") + 2 * TRIES
    assert len(hour.lines) <= LINES
