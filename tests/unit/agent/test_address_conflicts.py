"""A holder that may have been cut off asks the wire about its own addresses, and lets go of what is another's."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from math import inf

import pytest

from relocd.agent.address_conflicts import LinkChanges
from relocd.errors import Unavailable
from relocd.model.dn import DN
from relocd.model.settings import HandoverSettings
from tests.support.entries import ME, csn, server, state
from tests.support.fake_directory import FakeDirectory
from tests.support.fakes import until
from tests.support.plans import ETH0, interface
from tests.support.virtual_time import run, stamped
from tests.unit.agent.lab import HELD, SETTINGS, Lab, web

DOWN = replace(ETH0, up=False)
FLAPPED = replace(ETH0, carrier_ups=ETH0.carrier_ups + 1)
OTHER_MAC = replace(ETH0, mac=b"\x02\0\0\0\0\x99")
MAC = "02:00:00:00:00:99"
DROP, RAISE, STOP, ANNOUNCE = f"drop {HELD}", f"raise {HELD}", "stop web", f"announce {HELD}"
PATIENT = replace(SETTINGS, handover=HandoverSettings(lease_s=20))
QUICK = replace(SETTINGS, handover=HandoverSettings(lease_s=0.8))
UNASKED = replace(PATIENT, wire=replace(SETTINGS.wire, probes=0))


class Bench(Lab):
    """The server `me`, which serves `web`, and its cable."""

    def cut(self):
        self.server.addresses.links = [interface(up=False)]
        self.server.addresses.tell()

    def heal(self, link=ETH0):
        self.server.addresses.links = [link]
        self.server.addresses.tell()

    def answers(self, mac=MAC):
        self.server.wire.answering["192.0.2.10"] = mac

    def falls_silent(self):
        self.server.wire.answering.clear()

    def is_succeeded(self):
        """The directory has another holder, and the search has yet to say so."""
        self.directory.model.put(state("web", holder="twin", generation=2))

    async def back(self):
        """The cable is out and in again; what happened then."""
        self.server.take_effects()
        self.cut()
        await asyncio.sleep(0)
        self.heal()

    async def effects(self, last):
        """What happens until something does."""
        await until(lambda: last in self.server.world.effects)
        return self.server.take_effects()

    async def beats(self, number):
        """Its heartbeat is written that often."""
        before = len(self.directory.writer.written)
        await until(lambda: len(self.directory.writer.written) >= before + number)

    @property
    def published(self):
        """The problems that the directory has of it."""
        return self.directory.model.named(DN.parse(f"cn=status,{ME}")).attributes.get("relocproblem", ())

    @property
    def conflict(self):
        return [problem for problem in self.problems() if MAC in problem]


@pytest.fixture
async def lab():
    async with serving(PATIENT) as lab:
        yield lab


class TestCarrierReturns:
    async def test_nobody_answers_so_it_serves_on_and_announces_again(self, lab):
        before = lab.server.wire.asked
        await lab.back()
        assert await lab.effects(ANNOUNCE) == [ANNOUNCE]
        assert lab.server.wire.asked == before + 1
        assert lab.problems() == []

    async def test_another_holder_answers_so_the_address_goes_first_and_then_the_unit(self, lab):
        lab.answers()
        lab.is_succeeded()
        await lab.back()
        effects = await lab.effects(STOP)
        assert effects.index(DROP) < effects.index(STOP)
        assert ANNOUNCE not in effects
        await until(lambda: lab.conflict)

    async def test_the_directory_does_not_answer_so_it_lets_go(self, lab):
        lab.answers()
        lab.directory.reader.refusal = Unavailable("no server answers")
        await lab.back()
        assert DROP in await lab.effects(STOP)

    async def test_the_directory_hangs_so_it_lets_go_all_the_same(self, lab):
        lab.answers()
        lab.directory.reader.open.clear()
        await lab.back()
        assert DROP in await lab.effects(STOP)
        lab.directory.reader.open.set()

    async def test_the_address_goes_also_while_a_unit_hangs(self, lab):
        lab.server.units.slow.clear()
        lab.server.units.dies("web")
        await until(lambda: lab.server.units.states["web"].name == "ACTIVATING")
        lab.answers()
        lab.is_succeeded()
        await lab.back()
        await until(lambda: DROP in lab.server.world.effects)
        lab.server.units.slow.set()

    async def test_the_address_goes_also_while_something_else_of_the_service_hangs(self, lab, monkeypatch):
        async def hangs(*_):
            await asyncio.Event().wait()

        monkeypatch.setattr(lab.server.renderer, "render", hangs)
        lab.directory.put(web(description="to be rendered again"))
        lab.answers()
        lab.is_succeeded()
        await lab.back()
        await lab.effects(DROP)

    async def test_a_stranger_answers_and_the_rightful_holder_serves_on_and_names_it(self, lab):
        lab.answers()
        await lab.back()
        await until(lambda: lab.conflict)
        assert lab.server.addresses.ours == {HELD}
        assert DROP not in lab.server.world.effects
        await until(lambda: any(MAC.encode() in value for value in lab.published))
        lab.falls_silent()
        lab.heal(replace(ETH0, carrier_ups=7))
        await until(lambda: not lab.conflict)

    async def test_a_stranger_is_named_no_more_once_the_service_has_left(self, lab):
        lab.answers()
        await lab.back()
        await until(lambda: lab.conflict)
        lab.directory.put(server("me"))
        await until(lambda: lab.state_of("web") is None)
        await until(lambda: not lab.conflict)

    async def test_what_was_dropped_comes_back_once_the_wire_is_silent_and_the_directory_has_its_word(self, lab):
        lab.answers()
        lab.directory.reader.refusal = Unavailable("no server answers")
        await lab.back()
        await lab.effects(STOP)
        lab.directory.reader.refusal = None
        await lab.says("waiting until it is silent")
        assert lab.server.addresses.ours == set()
        lab.falls_silent()
        await lab.effects(ANNOUNCE)
        await until(lambda: lab.state_of("web") == "active" and lab.problems() == [])


class TestSeveralProviders:
    """The nearest one may not know yet what another was told."""

    async def test_after_a_cut_long_enough_for_a_takeover_its_word_does_not_count(self):
        async with serving(QUICK, stamp=of_several) as lab:
            lab.cut()
            await lab.beats(4)
            lab.answers()
            lab.heal()
            assert DROP in await lab.effects(STOP)

    async def test_what_is_to_be_released_is_asked_about_for_its_own_provider_has_gone_on_hearing_it(self):
        async with serving(PATIENT, web(relocIsolation="release"), stamp=of_several) as lab:
            lab.answers()
            lab.is_succeeded()
            await lab.back()
            assert DROP in await lab.effects(STOP)

    async def test_after_a_short_one_it_does(self):
        async with serving(PATIENT, stamp=of_several) as lab:
            lab.answers()
            await lab.back()
            await until(lambda: lab.conflict)
            assert lab.server.addresses.ours == {HELD}


def of_several(number):
    return csn(number).replace("#000#", "#002#")


@asynccontextmanager
async def serving(settings, service=None, stamp=csn):
    """A bench that serves already."""
    directory = FakeDirectory(server("me", services=["web"]), server("twin"), service or web(), stamp=stamp)
    lab = Bench(directory=directory)
    lab.server.host = replace(lab.server.host, probing=settings.wire.probes > 0)
    async with lab.agent(settings):
        lab.directory.refresh()
        await lab.serving()
        yield lab


async def test_after_a_lease_without_heartbeats_it_asks_again_and_again():
    async with serving(QUICK) as lab:
        lab.directory.writer.refusal = Unavailable("no server answers")
        asked = lab.server.wire.asked
        await until(lambda: lab.server.wire.asked > asked + 1)
        lab.answers()
        lab.directory.reader.refusal = Unavailable("no server answers")
        assert DROP in await lab.effects(STOP)


def test_it_asks_at_once_when_its_heartbeats_come_back_and_its_own_cable_was_never_out():
    """A switch further away was: others have taken over, and can be heard again now."""

    async def play():
        async with serving(SETTINGS, stamp=stamped) as lab:
            lab.directory.writer.refusal = Unavailable("no server answers")
            await asyncio.sleep(100)
            asked = lab.server.wire.asked
            await until(lambda: lab.server.wire.asked > asked, 60)  # so the next look by itself is ten seconds away
            lab.answers()
            lab.is_succeeded()
            lab.directory.feed.on_time.clear()
            lab.directory.writer.refusal = None
            await asyncio.sleep(4)
            assert DROP not in lab.server.take_effects()
            lab.directory.feed.on_time.set()
            await asyncio.sleep(0.1)
            assert DROP in lab.server.take_effects()

    run(play)


def test_a_directory_that_hangs_is_waited_for_by_much_less_than_two_may_answer():
    """A cut that was long enough for a takeover; another host answers, and the direct read brings nothing."""

    async def play():
        async with serving(SETTINGS, stamp=stamped) as lab:
            await asyncio.sleep(60)
            lab.cut()
            await asyncio.sleep(20)
            lab.directory.reader.open.clear()
            lab.answers()
            lab.heal()
            await asyncio.sleep(0.09)
            assert DROP in lab.server.take_effects()
            lab.directory.reader.open.set()

    run(play)


async def test_who_hears_of_its_heartbeats_does_not_ask():
    async with serving(QUICK) as lab:
        await lab.beats(8)
        asked = lab.server.wire.asked
        await lab.beats(8)
        assert lab.server.wire.asked == asked


@pytest.mark.parametrize(
    ("service", "settings"),
    [
        pytest.param(web(relocExclusive="FALSE"), PATIENT, id="shared"),
        pytest.param(web(relocIsolation="release"), PATIENT, id="released"),
        pytest.param(web(), UNASKED, id="the wire is never asked"),
    ],
)
async def test_what_is_not_asked_about_is_announced_at_once(service, settings):
    async with serving(settings, service) as lab:
        asked = lab.server.wire.asked
        await lab.back()
        await lab.effects(ANNOUNCE)
        assert lab.server.wire.asked == asked


async def test_another_mac_is_announced_at_once(lab):
    lab.server.take_effects()
    lab.heal(replace(ETH0, mac=b"\x02\0\0\0\0\x77"))
    assert await lab.effects(ANNOUNCE) == [ANNOUNCE]


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
def test_what_is_new_on_the_link_layer_between_two_looks(looks, returned, new_mac):
    changes = LinkChanges()
    found = [changes.news([look], at * 10.0) for at, look in enumerate(looks)]
    assert (found[-1].returned, found[-1].new_mac) == (returned, new_mac)
    assert found[-1].interfaces == set(returned) | new_mac


def test_what_was_told_once_is_no_news_again():
    changes = LinkChanges()
    for look in (ETH0, DOWN, OTHER_MAC):
        changes.news([look], 0.0)
    assert not changes.news([OTHER_MAC], 1.0).interfaces
