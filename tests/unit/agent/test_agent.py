"""The whole agent on a server and a directory in memory: what it does, and above all what it leaves alone."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from relocd.errors import Failed, Unavailable
from relocd.model.settings import AgentSettings, HandoverSettings
from relocd.model.status import Mode
from relocd.model.template_set import Scope
from tests.support.directory import ModelDirectory
from tests.support.entries import cluster, server, service, state, status, uuid_of
from tests.support.fakes import until
from tests.support.plans import placed
from tests.unit.agent.lab import HELD, PATIENT, SETTINGS, SPARELESS, Lab, a_while, web


@pytest.fixture
def lab():
    return Lab(server("me", services=["web"]), web())


async def test_a_linked_service_is_activated_after_the_refresh(lab):
    async with lab.agent():
        await a_while()
        assert lab.server.world.effects == []
        lab.directory.refresh()
        await lab.serving()
        assert lab.server.addresses.ours == {HELD}
        assert lab.said.is_ready


async def test_a_refresh_that_is_cut_off_starts_and_stops_nothing(lab):
    async with lab.agent():
        lab.directory.refresh(whole=False)
        await a_while()
        assert lab.server.world.effects == []
        lab.directory.refresh()
        await lab.serving()
        lab.server.take_effects()
        lab.directory.model.put(server("me"))
        lab.directory.refresh(whole=False)
        await a_while()
        assert lab.server.take_effects() == []


class TestRestoredBackup:
    """A search that goes on from its cookie is not told of what is older than that."""

    @staticmethod
    def put_back(lab, entry):
        lab.directory.model.entries[entry.uuid] = replace(entry, csn="20250101000000.000000Z#000000#001#000000")

    async def test_it_is_read_anew_when_a_search_was_resumed(self, lab):
        async with lab.agent():
            lab.directory.refresh()
            await lab.serving()
            self.put_back(lab, server("me"))
            assert not lab.directory.feed.forgot
            lab.directory.feed.tell(lab.directory.model.refresh(lab.directory.model.cookie))
            await until(lambda: lab.directory.feed.forgot == 1)
            lab.directory.refresh()
            await until(lambda: not lab.server.addresses.ours)
            await a_while()
            assert lab.directory.feed.forgot == 1

    async def test_it_is_read_anew_when_a_link_leads_to_what_was_put_back(self):
        lab = Lab(server("me"), web())
        async with lab.agent():
            lab.directory.refresh()
            await until(lambda: lab.said.status.get("directory", {}).get("state") == "current")
            self.put_back(lab, web())
            lab.directory.put(server("me", services=["web"]))
            await until(lambda: lab.directory.feed.forgot == 1)

    async def test_it_is_read_anew_when_services_swapped_their_names_meanwhile(self):
        lab = Lab(server("me", services=["web"]), web(), service("db"), state("db"))
        async with lab.agent():
            lab.directory.refresh()
            await lab.serving()
            cookie = lab.directory.model.cookie
            for name, new in (("web", "x"), ("db", "web"), ("web", "db")):
                lab.directory.model.rename(uuid_of(name), new)
            lab.directory.feed.tell(lab.directory.model.refresh(cookie))
            await until(lambda: lab.directory.feed.forgot == 1)

    async def test_it_is_read_anew_when_a_resumed_search_does_not_bring_this_server(self):
        """The cookie is of a directory that held almost nothing: what was put back is older, and not told of."""
        lab = Lab(web())
        async with lab.agent():
            lab.directory.refresh()
            await until(lambda: lab.said.status.get("directory", {}).get("state") == "current")
            lab.directory.feed.tell(lab.directory.model.refresh(lab.directory.model.cookie))
            await until(lambda: lab.directory.feed.forgot)

    async def test_a_search_that_was_resumed_where_it_ended_goes_on(self, lab):
        async with lab.agent():
            lab.directory.refresh()
            await lab.serving()
            lab.directory.feed.tell(lab.directory.model.refresh(lab.directory.model.cookie))
            lab.directory.put(server("me"))
            await until(lambda: not lab.server.addresses.ours)
            assert not lab.directory.feed.forgot


async def test_a_paused_agent_leaves_also_an_address_that_nothing_knows(lab):
    stray = placed("192.0.2.66/24")
    lab.server.addresses.there[stray] = True
    lab.orders.word = Mode.PAUSED
    async with lab.agent():
        lab.directory.refresh()
        await until(lambda: lab.said.status.get("mode") == "paused" and lab.state_of("web"))
        await a_while()
        assert stray in lab.server.addresses.there
        lab.orders.word = Mode.NORMAL
        await lab.serving()
        await until(lambda: stray not in lab.server.addresses.there)


async def test_a_service_moves_with_its_link(lab):
    async with lab.agent():
        lab.directory.refresh()
        await lab.serving()
        lab.directory.put(server("me"))
        await until(lambda: not lab.server.addresses.ours)
        await until(lambda: lab.said.status["services"] == [])
        assert lab.server.state() == ({}, set(), set(), {})
        lab.directory.put(server("me", services=["web"]))
        await lab.serving()


async def test_a_failover_is_one_modify_of_the_active_server():
    lab = Lab(server("me", clusters=["pair"]), server("twin", clusters=["pair"]), web())
    lab.directory.model.put(cluster("pair", services=["web"], active="twin"))
    async with lab.agent():
        lab.directory.refresh()
        await until(lambda: lab.state_of("web") == "standby")
        lab.directory.put(cluster("pair", services=["web"], active="me"))
        await lab.serving()
        assert lab.server.addresses.ours == {HELD}
        lab.directory.put(cluster("pair", services=["web"], active="twin"))
        await a_while()
        assert lab.server.addresses.ours == {HELD}
        lab.directory.put(state("web", holder="me", candidate="twin"), status("twin"))
        await until(lambda: lab.state_of("web") == "standby")
        assert lab.server.addresses.ours == set()
        assert lab.directory.model.named_state("web") == ("twin", None, "me", 2)


async def test_an_address_of_ours_that_the_ledger_has_lost_goes_when_another_holds_the_service(lab):
    lab.server.addresses.there[placed()] = True
    lab.directory.model.put(server("twin", services=["web"]))
    lab.directory.model.put(state("web", holder="twin"))
    lab.directory.model.put(status("twin"))
    async with lab.agent():
        lab.directory.refresh()
        await until(lambda: not lab.server.addresses.ours)
        await until(lambda: lab.state_of("web") == "standby")


@pytest.mark.parametrize(("there", "level"), [(True, logging.WARNING), (False, logging.DEBUG)], ids=["there", "gone"])
async def test_an_address_that_is_gone_within_a_handover_is_no_complaint_when_it_is_to_be_renewed(there, level, caplog):
    caplog.set_level(logging.DEBUG)
    lab = Lab(server("me", services=["web"]), web(relocIsolation="release"))
    async with lab.agent(replace(SETTINGS, handover=HandoverSettings(lease_s=4))):
        lab.directory.refresh()
        await lab.serving()
        (address,) = lab.server.addresses.there
        lab.server.addresses.refused.add(address)
        if not there:
            del lab.server.addresses.there[address]  # and nobody has told yet
        await until(lambda: "cannot renew" in caplog.messages)
    assert {record.levelno for record in caplog.records if record.message == "cannot renew"} == {level}


async def test_a_status_that_could_not_be_written_is_written_when_it_can_be():
    lab = Lab(server("me", services=["web"]), web())
    lab.said.is_full = True
    async with lab.agent():
        lab.directory.refresh()
        often = 50  # more often than there are changes
        await until(lambda: lab.server.addresses.ours == {HELD} and lab.said.refused > often, within_s=15)
        lab.said.is_full = False
        await lab.serving()


async def test_a_set_of_the_whole_server_outlives_a_service_that_only_seems_gone():
    lab = Lab(server("me", services=["web"]), web())
    lab.server.sets.sets["web"] = _of_scope_server(lab.server.sets.sets["web"])
    lab.server.renderer.templates["web", "conf.j2"] = "for all of {server[name]}"
    async with lab.agent():
        lab.directory.refresh()
        await lab.serving()
        await until(lambda: lab.server.files.contents)
        lab.directory.feed.tell(ModelDirectory([server("me")]).refresh())
        await a_while()
        assert lab.server.files.contents
        lab.directory.put(server("me"))
        await until(lambda: not lab.server.files.contents)


async def test_a_set_of_the_whole_server_does_not_change_for_a_typo_in_one_service():
    lab = Lab(server("me", services=["web", "db"]), web(), service("db", relocTemplateSet="web"))
    lab.server.sets.sets["web"] = _of_scope_server(lab.server.sets.sets["web"])
    lab.server.renderer.templates["web", "conf.j2"] = "{services}"
    async with lab.agent():
        lab.directory.refresh()
        await lab.serving()
        await until(lambda: "192.0.2.10" in (lab.server.files.text("/etc/app/web.conf") or ""))
        lab.server.take_effects()
        lab.directory.put(web(relocExclusive="?"))
        await a_while()
        assert lab.server.take_effects() == []


def _of_scope_server(found):
    return replace(found, scope=Scope.SERVER, units=())


class TestCompletion:
    async def test_a_link_to_a_service_in_stock_needs_no_read(self):
        lab = Lab(web(relocExclusive="FALSE"), server("me"))
        lab.directory.reader.refusal = Unavailable("silent")
        async with lab.agent():
            lab.directory.refresh()
            lab.directory.put(server("me", services=["web"]))
            await lab.serving()

    async def test_a_link_to_a_service_that_was_sent_before_is_read_directly(self):
        lab = Lab(web(), server("me"))
        async with lab.agent(PATIENT):
            lab.directory.refresh()
            await until(lambda: lab.said.status.get("directory", {}).get("state") == "current")
            lab.directory.put(server("me", services=["web"]))
            await lab.serving()

    async def test_one_that_cannot_be_read_does_not_delay_the_others(self):
        """Failover must not wait for the retry of something else."""
        lab = Lab(web(), service("odd"), server("me", services=["odd"]))

        lab.directory.reader.refused = {uuid_of("odd"): Failed("insufficient access")}
        async with lab.agent(PATIENT):
            lab.directory.refresh()
            await a_while()
            lab.directory.put(server("me", services=["odd", "web"]))
            await lab.serving()

    async def test_it_is_tried_until_it_can_be_read(self):
        lab = Lab(web(), server("me", services=["web"]))
        lab.directory.reader.refusal = Failed("insufficient access")
        async with lab.agent(SPARELESS):
            lab.directory.refresh()
            await a_while()
            assert lab.server.world.effects == []
            lab.directory.reader.refusal = None
            await lab.serving()

    async def test_a_link_to_what_does_not_exist_is_a_problem_until_it_appears(self, lab):
        async with lab.agent():
            lab.directory.put(server("me", services=["web", "later"]))
            lab.directory.refresh()
            await lab.serving()
            await lab.says("does not exist")
            lab.directory.put(service("later"))
            await until(lambda: lab.state_of("later") == "active")
            await until(lambda: not lab.problems())


async def test_changes_of_others_concern_nobody_here(lab):
    async with lab.agent():
        lab.directory.refresh()
        await lab.serving()
        before = lab.said.status
        for number in range(50):
            lab.directory.put(service(f"far{number}"), server("stranger", services=[f"far{number}"]))
        await a_while()
        assert lab.said.status is before


async def test_two_hundred_modifies_in_a_burst_end_on_the_last(lab):
    lab.server.renderer.templates["web", "conf.j2"] = "{parameters[number]}"
    async with lab.agent(replace(SETTINGS, agent=AgentSettings(settle_ms=30))):
        lab.directory.model.put(web(relocParameter="number=0"))
        lab.directory.refresh()
        await lab.serving()
        lab.server.take_effects()
        for number in range(1, 201):
            lab.directory.put(web(relocParameter=f"number={number}"))
        await until(lambda: lab.server.files.text("/etc/app/web.conf") == "200")
        await a_while()
        assert len([effect for effect in lab.server.take_effects() if effect.startswith("install")]) <= 4


async def test_a_changed_template_set_is_rendered_anew(lab):
    async with lab.agent():
        lab.directory.refresh()
        await lab.serving()
        lab.server.renderer.templates["web", "conf.j2"] = "new"
        lab.server.sets.tell()
        await until(lambda: lab.server.files.text("/etc/app/web.conf") == "new")


async def test_a_removed_address_comes_back(lab):
    async with lab.agent():
        lab.directory.refresh()
        await lab.serving()
        lab.server.addresses.remove_by_hand(next(iter(lab.server.addresses.there)))
        await until(lambda: lab.server.addresses.ours == {HELD})
