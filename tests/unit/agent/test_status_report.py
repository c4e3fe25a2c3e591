"""What the agent says about itself: for each service its state and why, problems, and no secret."""

from __future__ import annotations

import json

import pytest

from relocd.model.dn import DN
from relocd.model.template_set import Role
from tests.support.entries import ME, server, service, state
from tests.support.fakes import until
from tests.support.plans import placed
from tests.unit.agent.lab import HELD, Lab, web

UNDER_WAY = "is the holder; a step is under way"


@pytest.fixture
def lab():
    return Lab(server("me", services=["web"]), web())


async def test_it_says_what_runs_and_why(lab):
    async with lab.agent():
        lab.directory.refresh()
        await lab.serving()
        (found,) = lab.said.status["services"]
        assert lab.said.status["server"] == ME
        assert {key: found[key] for key in ("name", "wanted", "reason", "addresses", "files", "units", "problems")} == {
            "name": "web",
            "wanted": Role.ACTIVE,
            "reason": "holds and serves",
            "addresses": [HELD],
            "files": ["/etc/app/web.conf"],
            "units": ["web"],
            "problems": [],
        }
        await until(lambda: lab.said.line == "directory current; 1 active")
        json.dumps(lab.said.status)


class TestAddresses:
    """What is there is told apart from what shall be there."""

    async def said(self, lab, there, missing):
        await until(lambda: [(each["addresses"], each["missing"]) for each in services(lab)] == [(there, missing)])

    async def test_one_that_cannot_be_raised_is_missing(self, lab):
        lab.server.wire.answering["192.0.2.10"] = "02:00:00:00:00:99"
        async with lab.agent():
            lab.directory.refresh()
            await lab.says("is answered by")
            await self.said(lab, [], ["192.0.2.10/24"])
            del lab.server.wire.answering["192.0.2.10"]
            await self.said(lab, [HELD], [])

    async def test_one_that_somebody_removes_is_missing_until_it_is_back(self, lab):
        async with lab.agent():
            lab.directory.refresh()
            await lab.serving()
            await self.said(lab, [HELD], [])
            lab.server.addresses.refused.add(placed())
            lab.server.addresses.remove_by_hand(placed())
            await self.said(lab, [], ["192.0.2.10/24"])

    async def test_one_that_somebody_else_has_raised_here_is_there(self, lab):
        async with lab.agent():
            lab.directory.refresh()
            await lab.serving()
            lab.server.addresses.there[placed("192.0.2.10/32")] = False
            lab.server.addresses.refused.add(placed())
            lab.server.addresses.remove_by_hand(placed())
            await self.said(lab, ["192.0.2.10/32 on eth0"], [])

    async def test_a_server_that_does_not_hold_the_service_misses_none(self, lab):
        lab.directory.model.put(server("twin", services=["web"]))
        lab.directory.model.put(state("web", holder="twin", generation=3))
        lab.server.wire.answering["192.0.2.10"] = "02:00:00:00:00:99"
        async with lab.agent():
            lab.directory.refresh()
            await self.said(lab, [], [])


def services(lab):
    return lab.said.status.get("services", ())


async def test_while_a_unit_starts_slowly_it_says_that_a_step_is_under_way(lab):
    """And not what was due before: that it is candidate."""
    lab.server.units.slow.clear()
    async with lab.agent():
        lab.directory.refresh()
        await until(lambda: [each["reason"] for each in lab.said.status.get("services", ())] == [UNDER_WAY])
        assert lab.said.status["services"][0]["holder"] == "me"
        lab.server.units.slow.set()
        await lab.serving()
        assert lab.said.status["services"][0]["reason"] != UNDER_WAY


async def test_it_says_what_failed_and_what_waits():
    lab = Lab(server("me", services=["web", "db"]), web(), service("db", relocTemplateSet="gone"))
    lab.server.wire.answering["192.0.2.10"] = "02:00:00:00:00:99"
    async with lab.agent():
        lab.directory.refresh()
        await until(lambda: lab.state_of("web") == "waiting" and lab.state_of("db") == "failed")
        await lab.says("is answered by 02:00:00:00:00:99")
        await lab.says("no template set gone")
        await until(lambda: lab.said.line == "directory current; 1 failed, 1 waiting")


async def test_what_serves_is_active_whatever_is_wrong_with_a_change_and_failed_once_it_is_down():
    lab = Lab(server("me", services=["web"]), web())
    async with lab.agent():
        lab.directory.refresh()
        await lab.serving()
        lab.server.renderer.templates["web", "conf.j2"] = "{undefined}"
        lab.server.sets.tell()
        await lab.says("undefined")
        assert lab.state_of("web") == "active"
        lab.server.renderer.templates["web", "conf.j2"] = "BAD"
        lab.server.sets.tell()
        await lab.says("its check says that it is bad")
        assert lab.state_of("web") == "active"
        lab.server.units.broken = {"web"}
        lab.server.units.dies("web")
        await until(lambda: lab.state_of("web") == "failed")


async def test_a_holder_whose_entry_cannot_be_understood_has_no_name_and_ends_nothing():
    twin = server("twin", services=["web"], objectClass=["relocServer", "relocCluster"])
    lab = Lab(server("me", services=["web"]), web(), twin, state("web", holder="twin", generation=3))
    async with lab.agent():
        lab.directory.refresh()
        await until(lambda: lab.said.status.get("services"))
        (service,) = lab.said.status["services"]
        assert (service["holder"], service["generation"], service["holds"]) == (None, 3, False)
        await until(lambda: "cannot be read or understood" in lab.said.status["services"][0]["reason"])
        assert not lab.problems() or "defect" not in str(lab.problems())


async def test_no_secret_is_in_it_or_in_the_log(lab, caplog):
    caplog.set_level("DEBUG")
    lab.directory.model.put(web(relocSecret=["token=s3cret", "s3cret without a key"]))
    lab.directory.model.put(service("db", relocSecret="token=s3cret", relocTemplateSet="gone"))
    lab.directory.model.put(server("me", services=["web", "db"]))
    async with lab.agent():
        lab.directory.refresh()
        await until(lambda: lab.state_of("db") == "failed")
        await lab.says("relocSecret a value cannot be used")
        fields = "".join(str(getattr(record, "fields", "")) for record in caplog.records)
        assert "s3cret" not in json.dumps(lab.said.status) + lab.said.line + caplog.text + fields


class TestHealth:
    """A service that failed by its health is published as such, whoever serves it."""

    def published(self, lab):
        entry = lab.directory.model.named(DN.parse(f"cn=status,{ME}"))
        return () if entry is None else entry.attributes.get("relocfailedservice", ())

    async def test_it_is_published_while_it_counts_as_failed(self, lab):
        async with lab.agent():
            lab.directory.refresh()
            await lab.serving()
            (web_id,) = (each["id"] for each in lab.said.status["services"])
            lab.failures.fail(web_id, "HTTP 500")
            await lab.says("HTTP 500")
            await until(lambda: len(self.published(lab)) == 1)
            assert lab.state_of("web") == "active"
            lab.failures.recover(web_id)
            await until(lambda: not self.published(lab) and not lab.problems())

    async def test_a_failure_of_the_server_is_one_of_each_service(self, lab):
        async with lab.agent():
            lab.directory.refresh()
            await lab.serving()
            lab.failures.fail_server("eth0 has no carrier")
            await until(lambda: len(self.published(lab)) == 1)
            await until(lambda: lab.problems() == ["eth0 has no carrier"])
