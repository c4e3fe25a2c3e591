"""What is known of another server: its heartbeat and the wire, two independent witnesses, and what each says alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relocd.agent.liveness import failure_detector as detector_module
from relocd.agent.liveness import heartbeat as heartbeat_module
from relocd.election.observation import Life
from relocd.errors import Unavailable
from tests.support.clock import Clock
from tests.support.entries import server, service, status
from tests.support.plans import interface
from tests.unit.agent.liveness.court import ADDRESS, RELEASED, Court
from tests.unit.agent.liveness.heartbeats import SETTINGS


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    clock.set_in(monkeypatch, heartbeat_module, detector_module)
    return clock


@pytest.fixture
async def court(clock):
    court = Court(clock)
    await court.confirm()
    court.beats()
    return court


def answers(court):
    court.server.wire.answering["192.0.2.10"] = "02:00:00:00:00:02"


def is_fenced(court):
    court.others["twin"] = server("twin", services=["web"], relocFenced="TRUE")


def has_no_address(court):
    court.entries[1] = service("web", relocExclusive="TRUE")


def is_not_probed(court):
    court.server.host = replace(court.server.host, probing=False)


def has_its_interface_down(court):
    court.server.addresses.links = [interface(up=False)]


def has_no_interface_of_that_name(court):
    court.entries[1] = service("web", **ADDRESS, relocInterface="eth7")


def cannot_be_read(court):
    court.heart.directory.reader.refusal = Unavailable("no server answers")


def as_it_is(court):
    pass


@pytest.mark.parametrize(
    ("later_s", "seen_at_s", "life"),
    [
        pytest.param(0, 0, Life.ALIVE, id="at once"),
        pytest.param(SETTINGS.beat_s + 0.1, 0, Life.SUSPECT, id="after the next heartbeat is due"),
        pytest.param(0, 0.1, Life.SUSPECT, id="after the state has changed"),
    ],
)
async def test_a_heartbeat_that_was_read_early_counts_while_no_newer_one_is_needed(court, later_s, seen_at_s, life):
    await court.looked_early()
    cannot_be_read(court)
    seen_at = court.clock.now + seen_at_s
    court.clock.now += later_s
    assert await court.life(seen_at=seen_at) is life


SAYS_NOTHING = "twin is silent in the directory and on the wire"


@pytest.mark.parametrize(
    ("age_s", "what", "life", "words"),
    [
        pytest.param(0, as_it_is, Life.ALIVE, "", id="alive"),
        pytest.param(9.9, as_it_is, Life.ALIVE, "", id="alive, to the end of the lease"),
        pytest.param(10.1, as_it_is, Life.DEAD, SAYS_NOTHING, id="silent on both"),
        pytest.param(
            10.1,
            answers,
            Life.SUSPECT,
            "twin is silent in the directory but 192.0.2.10 is answered by 02:00:00:00:00:02; waiting",
            id="silent in the directory, and answers",
        ),
        pytest.param(0, is_fenced, Life.DEAD, "twin is fenced", id="fenced, however alive"),
        pytest.param(
            10.1,
            has_no_address,
            Life.SUSPECT,
            "twin is silent in the directory, and the service has no address, so it cannot be probed: "
            "fence it when it is off",
            id="a service without an address has no second witness",
        ),
        pytest.param(
            10.1,
            is_not_probed,
            Life.SUSPECT,
            "twin is silent in the directory, and [wire] probes is 0, so it cannot be probed: fence it when it is off",
            id="nor has one where the wire is not asked",
        ),
        pytest.param(
            10.1,
            has_its_interface_down,
            Life.SUSPECT,
            "twin is silent, and its addresses cannot be probed: 192.0.2.10/24: interface eth0, in whose network it is",
            id="a wire that cannot be asked is none",
        ),
        pytest.param(
            10.1,
            has_no_interface_of_that_name,
            Life.SUSPECT,
            "twin is silent, and its addresses cannot be probed: 192.0.2.10/24: there is no interface eth7",
            id="an interface that is not here",
        ),
        pytest.param(0, cannot_be_read, Life.SUSPECT, "twin: its status cannot be read now", id="unreadable"),
        pytest.param(20, cannot_be_read, Life.SUSPECT, "twin: its status cannot be read now", id="unreadable for long"),
    ],
)
async def test_a_holder_is(court, age_s, what, life, words):
    what(court)
    await court.passes(age_s)
    found, said, again_s = await court.asked()
    assert found is life
    assert "; ".join(said).startswith(words)
    assert bool(said) is bool(words)
    assert (again_s is None) is (life is Life.DEAD), "what may change by time alone is asked again"


class TestWhoIsAsked:
    async def test_the_wire_says_nothing_of_a_server_that_does_not_hold_the_address(self, court):
        court.beats("third")
        court.clock.now += 11
        assert await court.asked("third") == (Life.SUSPECT, ("third is silent in the directory",), 0.5)

    async def test_without_need_the_wire_is_not_asked(self, court):
        court.clock.now += 11
        assert await court.life(wire=False) is Life.SUSPECT

    async def test_a_server_that_never_had_a_heartbeat_is_silent(self, court):
        assert await court.life("third") is Life.SUSPECT
        del court.heart.directory.model.entries[status("twin").uuid]
        await court.passes(9)
        assert await court.life() is Life.SUSPECT, "its entry may just have been deleted"
        await court.passes(4)
        assert await court.life() is Life.DEAD

    async def test_one_without_an_entry_is_asked_about_by_its_name(self, court):
        assert await court.life("gone") is Life.SUSPECT

    async def test_while_my_own_heartbeat_never_came_back_ages_cannot_be_compared(self, clock):
        court = Court(clock)
        court.beats()
        assert await court.life(wire=False) is Life.SUSPECT


class TestHowLong:
    @pytest.mark.parametrize(
        ("declared", "age_s", "life"),
        [
            pytest.param("30", 20, Life.ALIVE, id="within its own, longer lease"),
            pytest.param("30", 31, Life.DEAD, id="after it"),
            pytest.param("2", 9, Life.ALIVE, id="a shorter one than mine is not believed"),
            pytest.param("soon", 9, Life.ALIVE, id="no number"),
            pytest.param("soon", 11, Life.DEAD, id="no number, and silent"),
            pytest.param("1e999", 11, Life.DEAD, id="endless, and silent"),
            pytest.param("nan", 9, Life.ALIVE, id="not a number"),
            pytest.param("nan", 11, Life.DEAD, id="not a number, and silent"),
        ],
    )
    async def test_the_longer_lease_of_the_two_counts(self, court, declared, age_s, life):
        court.beats(relocLease=declared)
        await court.passes(age_s)
        assert await court.life() is life

    async def test_a_heartbeat_from_a_provider_whose_clock_is_ahead_is_young(self, court):
        court.clock.now += 60
        court.beats()
        court.clock.now -= 60
        assert await court.life() is Life.ALIVE


class TestWhenItIsRead:
    async def test_a_sign_serves_all_services_for_the_time_between_two_heartbeats(self, court):
        assert await court.life() is Life.ALIVE
        cannot_be_read(court)
        court.clock.now += SETTINGS.beat_s
        assert await court.life() is Life.ALIVE
        court.clock.now += 0.1
        assert await court.life() is Life.SUSPECT

    async def test_what_was_known_before_a_change_does_not_count(self, court):
        assert await court.life() is Life.ALIVE
        cannot_be_read(court)
        court.clock.now += 0.1
        assert await court.life(seen_at=court.clock.now) is Life.SUSPECT

    async def test_nobody_is_silent_by_an_old_read(self, court):
        court.clock.now += 9
        assert await court.life() is Life.ALIVE
        court.clock.now += 2
        court.beats()
        assert await court.life() is Life.ALIVE

    async def test_it_is_asked_again_when_the_lease_ends_or_the_next_heartbeat_is_due(self, court):
        assert (await court.asked())[2] == SETTINGS.beat_s
        court.clock.now += 9
        assert (await court.asked())[2] == pytest.approx(1.01)


class TestReleased:
    """A cut-off holder that releases has let go when its heartbeat has stood still while I watched."""

    @pytest.fixture
    async def court(self, clock):
        court = Court(clock, **RELEASED)
        answers(court)  # which says nothing: it may be another one's by then
        await court.confirm()
        court.beats()
        court.clock.now += 11
        return court

    async def test_it_is_silent_for_a_lease_of_my_own_clock_and_then_dead(self, court):
        assert await court.asked() == (Life.SUSPECT, ("twin is silent; it releases the service within 10.0 s",), 0.5)
        court.clock.now += 6
        assert (await court.asked())[1] == ("twin is silent; it releases the service within 4.0 s",)
        court.clock.now += 4
        life, words, _ = await court.asked()
        assert (life, words) == (Life.DEAD, ("twin has been silent for its lease and has released the service",))

    async def test_a_sign_of_life_in_between_begins_it_anew(self, court):
        assert await court.life() is Life.SUSPECT
        court.clock.now += 6
        court.beats()
        assert await court.life() is Life.ALIVE
        court.clock.now += 9
        assert await court.life() is Life.ALIVE
        court.clock.now += 1
        assert await court.life() is Life.DEAD

    async def test_reads_a_lease_apart_prove_nothing_of_the_time_between(self, court):
        """This server may have hung."""
        assert await court.life() is Life.SUSPECT
        court.clock.now += 10
        assert await court.life() is Life.SUSPECT
        court.clock.now += 9
        assert await court.life() is Life.SUSPECT
        court.clock.now += 1
        assert await court.life() is Life.DEAD

    async def test_while_it_cannot_be_read_nobody_watches(self, court):
        assert await court.life() is Life.SUSPECT
        cannot_be_read(court)
        for _ in range(3):
            court.clock.now += 5
            assert await court.life() is Life.SUSPECT
        court.heart.directory.reader.refusal = None
        assert await court.life() is Life.SUSPECT

    async def test_a_server_that_declares_a_longer_lease_has_that(self, court):
        court.beats(relocLease="20")
        court.clock.now += 21
        for _ in range(3):
            assert await court.life() is Life.SUSPECT
            court.clock.now += 9
        assert await court.life() is Life.DEAD

    async def test_fenced_it_is_dead_at_once(self, court):
        is_fenced(court)
        assert await court.life() is Life.DEAD


class TestClocks:
    """The clocks of two providers differ, or one jumps: what this server sees itself outweighs what they stamp."""

    @pytest.mark.parametrize("ahead_s", [-7200, -11, 11, 7200])
    async def test_a_heartbeat_that_moves_is_alive_whatever_it_is_stamped(self, court, clock, ahead_s):
        court.beats(ahead_s=ahead_s)
        await court.life()
        for _ in range(12):
            clock.now += 2.5
            court.beats(ahead_s=ahead_s)
            assert await court.life() is Life.ALIVE

    @pytest.mark.parametrize("ahead_s", [11, 7200])
    async def test_one_that_stands_still_for_a_lease_is_silent_whatever_it_is_stamped(self, court, clock, ahead_s):
        court.beats(ahead_s=ahead_s)
        lives = []
        for _ in range(4):
            lives.append(await court.life())
            clock.now += 2.5
        assert set(lives) == {Life.ALIVE}
        assert await court.life() is Life.DEAD

    async def test_a_clock_alone_takes_nobody_for_dead(self, court):
        court.beats(ahead_s=-7200)
        answers(court)
        assert await court.life() is Life.SUSPECT

    async def test_one_that_begins_to_move_is_alive(self, court, clock):
        """Somebody asked to hand over to a candidate that is stamped by a clock that is behind does it."""
        court.beats("third", ahead_s=-7200)
        assert await court.life("third") is Life.SUSPECT
        clock.now += 2.5
        court.beats("third", ahead_s=-7200)
        assert await court.life("third") is Life.ALIVE
