"""Letting go of a service: no address stays where another server raises it, and what cannot be let go serves on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relocd.agent.convergence.converge import converge, leave, release, stage
from relocd.errors import Failed, Unavailable
from relocd.model.host import UnitState
from relocd.model.status import Mode
from relocd.model.template_set import First, Role, UnitSpec
from relocd.reconcile.desired import Footprint
from relocd.reconcile.diff import DropAddress, UseUnit
from tests.support.entries import cluster, server, state
from tests.support.fakes import FakeServer, until
from tests.support.plans import ETH0, goal, interface, placed, template_set
from tests.unit.agent.cluster.cluster import SOON_S, a_while, running_cluster
from tests.unit.agent.lab import web

ADDRESS = "192.0.2.10/24"
V4 = placed(ADDRESS)
ACTIVE, STANDBY = goal("one", Role.ACTIVE, ADDRESS), goal("one", Role.STANDBY, ADDRESS)
BOTH = (server("me", services=["web"]), server("twin"), web())
FOREIGN = [
    pytest.param(placed("192.0.2.10/24", "eth1"), id="on another interface"),
    pytest.param(placed("192.0.2.10/32"), id="with another prefix"),
    pytest.param(placed("192.0.2.10/32", "lo"), id="on the loopback interface"),
]


@pytest.fixture
def host():
    return FakeServer(interfaces=(ETH0, interface("eth1"), interface("lo")))


@pytest.fixture
async def serving(host):
    """A server that runs the service, and its footprint."""
    report = await converge(host.host, ACTIVE, Footprint("one"))
    host.take_effects()
    return host, report.footprint


async def reached():
    """The directory answers."""


async def cut_off():
    raise Unavailable("no server answers")


class TestCopies:
    @pytest.mark.parametrize("copy", FOREIGN)
    async def test_one_that_relocd_has_not_raised_keeps_the_service_here_untouched(self, serving, copy):
        found, footprint = serving
        found.addresses.there[copy] = False
        report = await release(found.host, STANDBY, footprint, reached, reached)
        assert (found.take_effects(), report.footprint) == ([], footprint)
        assert f"ip address del {copy.address} dev {copy.interface}" in report.problems[0]

    async def test_ours_all_leave_wherever_they_are(self, serving):
        """The service was on another interface or had another prefix once, and the agent was ended in between."""
        found, footprint = serving
        other = placed("192.0.2.10/32", "eth1")
        found.addresses.there[other] = True
        report = await leave(found.host, ACTIVE.id, footprint, "no longer linked")
        assert (report.problems, found.addresses.there) == ((), {})

    async def test_one_that_appears_while_units_stop_is_seen_in_the_end(self, serving):
        found, footprint = serving

        async def another_is_added():
            if found.units.states["web"] is UnitState.INACTIVE:
                found.addresses.there[placed("192.0.2.10/32", "lo")] = False

        report = await release(found.host, STANDBY, footprint, another_is_added, another_is_added)
        assert "192.0.2.10/32 on lo is there" in report.problems[0]

    @pytest.mark.parametrize("copy", FOREIGN)
    async def test_a_server_with_one_is_not_ready(self, host, copy):
        host.addresses.there[copy] = False
        with pytest.raises(Failed, match=f"ip address del {copy.address} dev {copy.interface}"):
            await stage(host.host, ACTIVE, Footprint("one"))


class TestReadiness:
    async def test_without_room_for_the_record_of_an_address_it_is_not_ready(self, host):
        host.addresses.unrecorded = True
        with pytest.raises(Failed, match="record cannot be written"):
            await stage(host.host, ACTIVE, Footprint("one"))

    async def test_without_room_for_the_record_of_a_unit_it_is_not_ready(self, host):
        host.units.unrecorded = {"web"}
        with pytest.raises(Failed, match="web: its record cannot be written"):
            await stage(host.host, ACTIVE, Footprint("one"))


class TestUnits:
    @pytest.mark.parametrize("first", list(First))
    async def test_after_one_that_did_not_stop_nothing_more_is_let_go(self, host, first):
        """A set whose addresses go first has dropped them by then; that is what it asks for."""
        units = (UnitSpec("web"), UnitSpec("db"))
        host.sets.sets["web"] = template_set("web", units=units, first=first)
        footprint = (await converge(host.host, ACTIVE, Footprint("one"))).footprint
        host.units.stuck = {"db"}
        report = await release(host.host, STANDBY, footprint, reached, reached)
        assert [type(action) for action in report.actions] == [DropAddress] * (first is First.ADDRESSES)
        assert (host.units.states["web"], report.broken) == (UnitState.ACTIVE, True)

    async def test_one_that_has_stopped_although_its_stop_failed_is_no_hindrance(self, serving):
        found, footprint = serving
        found.units.stuck = {"web"}
        found.units.fail_to = UnitState.FAILED
        report = await release(found.host, STANDBY, footprint, reached, reached)
        assert [type(action) for action in report.actions] == [UseUnit, DropAddress]
        assert (report.problems, found.addresses.there) == ((), {})


async def test_no_file_is_rendered_or_looked_at_before_the_service_is_released(serving, monkeypatch):
    """The files of the standby role are the next convergence's."""
    found, footprint = serving
    monkeypatch.setattr(found.renderer, "render", None)
    monkeypatch.setattr(found.files, "states", _of_none)
    report = await release(found.host, STANDBY, footprint, reached, reached)
    assert (report.problems, [type(action) for action in report.actions]) == ((), [UseUnit, DropAddress])
    assert report.footprint.files == footprint.files


async def _of_none(targets):
    assert not targets
    return {}


class TestDirectory:
    async def test_nothing_is_stopped_when_it_could_not_be_told(self, serving):
        found, footprint = serving
        with pytest.raises(Unavailable):
            await release(found.host, STANDBY, footprint, cut_off, cut_off)
        assert found.take_effects() == []

    async def test_that_was_cut_off_while_units_stopped_no_address_is_dropped(self, serving):
        found, footprint = serving

        async def cut_off_by_then():
            if found.units.states["web"] is UnitState.INACTIVE:
                await cut_off()

        report = await release(found.host, STANDBY, footprint, cut_off_by_then, cut_off_by_then)
        assert report.problems == ("no server answers",)
        assert found.addresses.there == {V4: True}


def waits(lab, word):
    """The holder says why it serves on."""
    return any(word in problem for problem in lab.me.problems())


class TestHandover:
    @pytest.mark.parametrize("copy", [placed("192.0.2.10/32"), placed("192.0.2.10/24", "lo")], ids=str)
    async def test_a_foreign_copy_on_the_holder_refuses_it_until_it_is_gone(self, copy):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            lab.me.server.addresses.there[copy] = False
            lab.me.server.take_effects()
            lab.link("twin", "web")
            await until(lambda: waits(lab, "ip address del"), SOON_S)
            assert (lab.me.server.take_effects(), lab.state[:2]) == ([], ("me", "twin"))
            assert lab.me.state_of("web") == "active"
            lab.me.server.addresses.remove_by_hand(copy)
            await lab.serves("twin")

    @pytest.mark.parametrize("copy", [placed("192.0.2.10/32"), placed("192.0.2.10/24", "lo")], ids=str)
    async def test_a_foreign_copy_on_the_taker_is_found_before_anything_is_asked_of_the_holder(self, copy):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            lab.me.server.take_effects()
            lab.twin.server.addresses.there[copy] = False
            lab.link("twin", "web")
            await lab.twin.says("ip address del")
            await a_while()
            assert (lab.me.server.take_effects(), lab.state) == ([], ("me", None, None, 1))
            lab.twin.server.addresses.remove_by_hand(copy)
            await lab.serves("twin")

    async def test_a_foreign_copy_that_comes_later_ends_a_candidacy(self):
        """Nothing that was found a moment ago counts, also where the news of it comes late."""
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            lab.me.server.units.stuck = {"web"}
            lab.link("twin", "web")
            await until(lambda: lab.state[1] == "twin", SOON_S)
            lab.twin.server.addresses.there[placed("192.0.2.10/32")] = False
            await until(lambda: lab.state[1] is None, SOON_S)

    @pytest.mark.parametrize(
        "order",
        [
            pytest.param(lambda lab: lab.link("twin", "web"), id="handover"),
            pytest.param(lambda lab: lab.unlink("me"), id="unlinked"),
            pytest.param(lambda lab: setattr(lab.me.orders, "word", Mode.DRAINED), id="drained"),
        ],
    )
    async def test_a_unit_that_does_not_stop_serves_on_with_its_address(self, order):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            lab.me.server.units.stuck = {"web"}
            lab.me.server.take_effects()
            order(lab)
            await until(lambda: waits(lab, "web does not stop"), SOON_S)
            await a_while()
            effects = lab.me.server.take_effects()
            assert not any(each.startswith(("drop", "raise")) for each in effects)
            assert (lab.me.held, lab.state[0]) == ({"192.0.2.10"}, "me")
            await until(lambda: lab.me.state_of("web") == "active" and waits(lab, "web does not stop"), SOON_S)
            lab.me.server.units.stuck = set()
            await until(lambda: not lab.me.held, SOON_S)

    async def test_a_directory_that_cannot_be_told_keeps_it_running(self):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            lab.me.server.take_effects()
            lab.me.writer.unreachable = Unavailable("no server answers")
            lab.link("twin", "web")
            await until(lambda: waits(lab, "could not be sent to the directory"), SOON_S)
            assert (lab.me.server.take_effects(), lab.me.state_of("web")) == ([], "active")
            lab.me.writer.unreachable = None
            await lab.serves("twin")

    async def test_the_old_holder_waits_for_its_own_write_to_come_back(self, caplog):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            lab.me.server.addresses.watch(lab.me.feed.on_time.clear)  # from the drop of the address on
            caplog.clear()
            caplog.set_level("INFO", "relocd.agent.handover.controller")
            lab.link("twin", "web")
            await until(lambda: lab.state[0] == "twin", SOON_S)
            await a_while()
            steps = [record.fields["step"] for record in caplog.records if record.msg == "handover"]
            assert steps.count("Activate") == 1  # that of the new holder
            assert lab.me.problems() == []
            lab.me.feed.on_time.set()
            await lab.serves("twin")


class TestStop:
    async def test_addresses_go_before_units_for_another_server_has_them(self):
        """Here the directory says so while it runs: this server was away, and another one took over."""
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            await lab.twin.stop()
            lab.me.server.take_effects()
            lab.directory.put(state("web", holder="twin", generation=2))
            await until(lambda: not lab.me.held, SOON_S)
            effects = [each for each in lab.me.server.take_effects() if each.startswith(("drop", "stop"))]
            assert effects == ["drop 192.0.2.10/24 on eth0", "stop web"]

    async def test_a_foreign_copy_is_said_while_another_server_holds_the_service(self):
        async with running_cluster(*BOTH) as lab:
            await lab.serves("me")
            await lab.twin.stop()
            lab.me.server.addresses.there[placed("192.0.2.10/32")] = False
            lab.directory.put(state("web", holder="twin", generation=2))
            await until(lambda: not lab.me.held, SOON_S)
            await lab.me.says("ip address del 192.0.2.10/32 dev eth0")

    async def test_a_foreign_copy_on_a_standby_member_is_said_while_another_one_serves(self):
        """It asks for nothing, so nothing else looks at its addresses; clients may reach the wrong server."""
        members = [server(name, clusters=["pair"]) for name in ("me", "twin")]
        async with running_cluster(*members, cluster("pair", services=["web"], active="twin"), web()) as lab:
            await lab.serves("twin")
            lab.me.server.addresses.there[placed("192.0.2.10/32")] = False
            lab.me.server.addresses.tell()
            await lab.me.says("ip address del 192.0.2.10/32 dev eth0")
            lab.me.server.addresses.remove_by_hand(placed("192.0.2.10/32"))
            await until(lambda: lab.me.problems() == [], SOON_S)


async def test_what_failed_on_a_member_that_serves_is_its_reason():
    """Not that it holds and serves."""
    async with running_cluster(*BOTH) as lab:
        await lab.serves("me")
        lab.me.server.units.broken = {"web"}
        lab.me.server.units.dies("web")
        await until(lambda: lab.me.state_of("web") == "failed" and "failed" in lab.me.reason_of("web"), SOON_S)


async def test_what_is_displaced_is_waited_for_with_growing_pauses():
    other = web("other", relocDisplaces="cn=web,ou=relocd,dc=example,dc=org")
    other = replace(other, attributes={**other.attributes, "relocaddress": (b"192.0.2.11/24",)})
    async with running_cluster(server("me", services=["web"]), web(), other, names=("me",)) as lab:
        await lab.serves("me")
        lab.me.server.units.stuck = {"web"}
        lab.link("me", "web", "other")
        await until(lambda: "displaces" in lab.me.reason_of("other"), SOON_S)
        assert lab.me.held == {"192.0.2.10"}
