"""One convergence where something here is not as it should be: units, and files of somebody else."""

from __future__ import annotations

import pytest

from relocd.agent.convergence.converge import converge, leave, stage
from relocd.errors import Failed
from relocd.model.template_set import Role, UnitAction, UnitSpec
from tests.support.plans import template_set
from tests.unit.agent.convergence.one import ACTIVE, CONF, NOTHING


class TestUnitThatCannotBeReliedOn:
    """It crashes again and again, say, and may run just now."""

    async def test_the_service_has_a_problem_and_is_no_whole_one(self, serving):
        server, footprint = serving
        server.units.troubled["web"] = "web crashes"
        report = await converge(server.host, ACTIVE, footprint)
        assert (report.problems, report.broken, report.actions) == (("web crashes",), True, ())
        assert report.footprint.role is Role.ACTIVE

    async def test_a_server_with_it_is_not_ready(self, server):
        server.units.troubled["web"] = "web ends at once"
        with pytest.raises(Failed, match="web ends at once"):
            await stage(server.host, ACTIVE, NOTHING)
        assert server.take_effects() == []

    async def test_one_that_the_role_does_not_start_matters_not(self, server):
        server.sets.sets["web"] = template_set("web", units=(UnitSpec("web", active=UnitAction.RELOAD),))
        server.units.troubled["web"] = "web ends at once"
        await stage(server.host, ACTIVE, NOTHING)


class TestFileOfSomebodyElse:
    """At the target there is a file that relocd has not written."""

    @pytest.fixture
    def server(self, server):
        server.files.contents[CONF] = b"by hand"
        server.files.attributes[CONF] = ("root", "root", 0o644)
        return server

    async def test_it_keeps_another_name(self, server):
        report = await converge(server.host, ACTIVE, NOTHING)
        assert server.take_effects()[:2] == [f"save {CONF}", f"install {CONF}"]
        assert server.files.text(f"{CONF}.relocd-orig") == "by hand"
        assert report.footprint.files == {CONF}

    async def test_it_is_not_removed_after_files_that_were_refused(self, server):
        server.renderer.templates["web", "conf.j2"] = "BAD"
        report = await converge(server.host, ACTIVE, NOTHING)
        assert report.problems
        await leave(server.host, ACTIVE.id, report.footprint, "no longer linked")
        assert server.files.text(CONF) == "by hand"

    async def test_what_was_installed_is_removed_also_when_the_unit_did_not_start(self, server):
        server.units.broken = {"web"}
        report = await converge(server.host, ACTIVE, NOTHING)
        await leave(server.host, ACTIVE.id, report.footprint, "no longer linked")
        assert server.files.text(CONF) is None
        assert server.files.text(f"{CONF}.relocd-orig") == "by hand"

    async def test_what_relocd_installed_is_replaced_without_another_name(self, server):
        first = await converge(server.host, ACTIVE, NOTHING)
        server.renderer.templates["web", "conf.j2"] = "another"
        server.take_effects()
        await converge(server.host, ACTIVE, first.footprint)
        assert f"save {CONF}" not in server.take_effects()
