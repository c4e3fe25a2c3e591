"""One convergence: prepare, act, and the footprint that is left; broken templates, full disks, and leaving."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relocd.agent.convergence.converge import converge, leave
from relocd.agent.convergence.planning import make_plan
from relocd.model.host import UnitState
from relocd.model.template_set import Command, FileSpec, Moment, Role, UnitAction, UnitSpec
from tests.support.plans import context, goal, template_set
from tests.unit.agent.convergence.one import ACTIVE, CONF, NOTHING, STANDBY, V4


def break_template(server):
    server.renderer.templates["web", "conf.j2"] = "{undefined}"


async def test_a_service_is_activated(server):
    report = await converge(server.host, ACTIVE, NOTHING)
    assert server.take_effects() == [
        f"install {CONF}",
        "raise 192.0.2.10/24 on eth0",
        "start web",
        "announce 192.0.2.10/24 on eth0",
    ]
    assert server.files.text(CONF) == "conf of one, active"
    assert (report.problems, report.busy) == ((), False)
    assert report.footprint.role is Role.ACTIVE
    assert server.ledger.stored == {ACTIVE.id: report.footprint}


async def test_what_may_be_left_behind_is_kept_before_the_first_action(server):
    await converge(server.host, ACTIVE, NOTHING)
    assert server.world.effects[0] == "keep one"
    assert server.world.effects[-1] == "keep one"


class TestCommandOfAChange:
    """A command that tells a daemon of new files: `tell`. It fails at first."""

    @pytest.fixture
    async def failed(self, server):
        tell = Command(Moment.CHANGE, ("tell",))
        server.sets.sets["web"] = template_set("web", commands=(tell,))
        first = await converge(server.host, ACTIVE, NOTHING)
        server.renderer.templates["web", "conf.j2"] = "another"
        server.commands.failing = {"tell"}
        report = await converge(server.host, ACTIVE, first.footprint)
        assert report.problems == ("tell: no end within 30 s",)
        server.take_effects()
        return report

    async def test_it_is_run_until_it_succeeds_and_the_units_are_left_alone(self, server, failed):
        again = await converge(server.host, ACTIVE, failed.footprint)
        assert (again.problems, again.footprint) == (failed.problems, failed.footprint)
        server.commands.failing = set()
        done = await converge(server.host, ACTIVE, again.footprint)
        assert (done.problems, server.take_effects()) == ((), ["run tell"])
        last = await converge(server.host, ACTIVE, done.footprint)
        assert (last.footprint, server.take_effects()) == (done.footprint, [])

    async def test_it_is_owed_also_while_the_template_is_broken(self, server, failed):
        break_template(server)
        broken = await converge(server.host, ACTIVE, failed.footprint)
        server.renderer.templates["web", "conf.j2"] = "another"
        server.commands.failing = set()
        await converge(server.host, ACTIVE, broken.footprint)
        assert server.take_effects() == ["run tell"]

    async def test_it_is_not_owed_after_the_role_has_changed(self, server, failed):
        server.commands.failing = set()
        standby = await converge(server.host, STANDBY, failed.footprint)
        await converge(server.host, ACTIVE, standby.footprint)
        assert "run tell" not in server.take_effects()


async def test_a_second_time_nothing_happens(serving):
    server, footprint = serving
    report = await converge(server.host, ACTIVE, footprint)
    assert (report.footprint, report.problems, report.actions) == (footprint, (), ())
    assert server.world.effects == []


async def test_the_plan_changes_nothing(server):
    plan = await make_plan(server.host, ACTIVE, NOTHING)
    assert [str(action).split()[0] for action in plan.actions] == ["install", "probe", "raise", "start", "announce"]
    assert server.world.effects == []


async def test_without_probing_the_wire_is_not_asked(server):
    server.host = replace(server.host, probing=False)
    server.wire.answering["192.0.2.10"] = "02:00:00:00:00:99"
    report = await converge(server.host, ACTIVE, NOTHING)
    assert report.problems == ()
    break_template(server)
    server.addresses.there.clear()
    report = await converge(server.host, ACTIVE, report.footprint)
    assert server.addresses.ours == {"192.0.2.10/24 on eth0"}


async def test_standby_and_back(serving):
    server, footprint = serving
    report = await converge(server.host, STANDBY, footprint)
    assert server.take_effects() == ["stop web", "drop 192.0.2.10/24 on eth0", f"remove {CONF}"]
    assert report.footprint.role is Role.STANDBY
    report = await converge(server.host, ACTIVE, report.footprint)
    assert report.footprint == footprint


async def test_an_address_that_another_host_has_makes_it_wait(server):
    server.wire.answering["192.0.2.10"] = "02:00:00:00:00:99"
    report = await converge(server.host, ACTIVE, NOTHING)
    assert report.busy
    assert server.addresses.ours == set()
    assert report.footprint.role is None
    server.wire.answering.clear()
    assert (await converge(server.host, ACTIVE, report.footprint)).problems == ()


async def test_a_unit_that_does_not_start_is_a_problem_and_tried_again(server):
    server.units.broken.add("web")
    report = await converge(server.host, ACTIVE, NOTHING)
    assert "web does not start" in report.problems[0]
    assert report.footprint.role is None
    server.units.broken.clear()
    server.take_effects()
    report = await converge(server.host, ACTIVE, report.footprint)
    assert server.take_effects() == ["start web", "announce 192.0.2.10/24 on eth0"]
    assert report.footprint.role is Role.ACTIVE


async def test_a_reload_that_failed_leaves_a_running_service_active(serving):
    """The unit runs on as before: that is a problem and no outage."""
    server, footprint = serving
    server.sets.sets["web"] = template_set("web", units=(UnitSpec("web", change=UnitAction.RELOAD),))
    server.renderer.templates["web", "conf.j2"] = "another"
    server.units.broken = {"web"}
    report = await converge(server.host, ACTIVE, footprint)
    assert (bool(report.problems), report.broken, report.footprint.role) == (True, False, Role.ACTIVE)


async def test_a_reload_that_failed_is_tried_again(serving):
    server, footprint = serving
    server.renderer.templates["web", "conf.j2"] = "new"
    server.units.broken.add("web")
    report = await converge(server.host, ACTIVE, footprint)
    assert server.files.text(CONF) == "new"
    assert "web does not reload" in report.problems[0]
    server.units.broken.clear()
    server.take_effects()
    report = await converge(server.host, ACTIVE, report.footprint)
    assert server.take_effects() == ["reload web"]
    assert report.problems == ()


async def test_a_manager_that_does_not_answer_is_asked_to_do_what_is_wished(serving):
    server, footprint = serving
    server.units.mute.add("web")
    report = await converge(server.host, STANDBY, footprint)
    assert "stop web" in server.take_effects()
    assert report.footprint.role is Role.STANDBY


class TestBrokenTemplate:
    async def test_on_entering_nothing_is_begun(self, server):
        break_template(server)
        report = await converge(server.host, ACTIVE, NOTHING)
        assert report.problems == ("template set web: conf.j2, line 1: 'undefined' is undefined",)
        assert server.world.effects == []
        assert report.footprint == NOTHING

    async def test_what_serves_keeps_its_address_its_unit_and_its_old_file(self, serving):
        server, footprint = serving
        break_template(server)
        report = await converge(server.host, goal("one", Role.ACTIVE, "192.0.2.77/24"), footprint)
        assert len(report.problems) == 1
        assert server.world.effects == []
        assert report.footprint == footprint

    async def test_what_serves_is_still_repaired(self, serving):
        server, footprint = serving
        break_template(server)
        server.addresses.there.clear()
        server.units.dies("web")
        report = await converge(server.host, ACTIVE, footprint)
        assert server.take_effects() == [
            "raise 192.0.2.10/24 on eth0",
            "start web",
            "announce 192.0.2.10/24 on eth0",
        ]
        assert report.footprint == footprint

    async def test_what_shall_not_serve_is_let_go(self, serving):
        server, footprint = serving
        break_template(server)
        server.sets.sets["web"] = template_set(files=(FileSpec("conf.j2", CONF, roles=frozenset(Role)),))
        report = await converge(server.host, STANDBY, footprint)
        assert server.take_effects() == ["stop web", "drop 192.0.2.10/24 on eth0"]
        assert report.footprint.role is None
        assert report.problems
        report = await converge(server.host, STANDBY, report.footprint)
        assert server.take_effects() == []

    async def test_a_unit_that_runs_in_standby_keeps_running(self, server):
        files = (FileSpec("conf.j2", CONF, roles=frozenset(Role)),)
        server.install_set(template_set(files=files, units=(UnitSpec("web", standby=UnitAction.START),)), "ok")
        report = await converge(server.host, STANDBY, NOTHING)
        assert server.units.states["web"] is UnitState.ACTIVE
        server.take_effects()
        break_template(server)
        report = await converge(server.host, STANDBY, report.footprint)
        assert report.problems
        assert server.take_effects() == []

    async def test_once_it_is_repaired_all_goes_on(self, serving):
        server, footprint = serving
        break_template(server)
        report = await converge(server.host, STANDBY, footprint)
        report = await converge(server.host, ACTIVE, report.footprint)
        server.renderer.templates["web", "conf.j2"] = "conf of {service[name]}, {role}"
        report = await converge(server.host, ACTIVE, report.footprint)
        assert (report.problems, report.footprint) == ((), footprint)

    @pytest.mark.parametrize("text", ["BAD"])
    async def test_a_file_that_does_not_pass_its_check_leaves_the_old_one(self, serving, text):
        server, footprint = serving
        server.renderer.templates["web", "conf.j2"] = text
        report = await converge(server.host, ACTIVE, footprint)
        assert "its check says that it is bad" in report.problems[0]
        assert server.files.text(CONF) == "conf of one, active"
        assert server.take_effects() == []
        assert report.footprint.role is Role.ACTIVE
        assert report.footprint.applied == footprint.applied

    async def test_a_set_that_is_gone_is_a_problem(self, serving):
        server, footprint = serving
        server.sets.sets.clear()
        report = await converge(server.host, ACTIVE, footprint)
        assert report.problems == ("there is no template set web here; add it",)
        assert report.footprint == footprint


class TestParameters:
    """A set that declares what it takes, and a service that gives something else."""

    MISSPELT = replace(ACTIVE, context=context("web", "active", parameters={"prot": "80"}))

    async def test_what_serves_goes_on_with_its_last_good_files(self, serving):
        server, footprint = serving
        server.install_set(template_set(closed=True), "another text")
        report = await converge(server.host, self.MISSPELT, footprint)
        assert [problem.split()[0] for problem in report.problems] == ["parameters.prot"]
        assert server.take_effects() == []
        assert (report.footprint, report.broken) == (footprint, False)

    async def test_it_is_not_begun_elsewhere(self, server):
        server.install_set(template_set(closed=True), "another text")
        report = await converge(server.host, self.MISSPELT, NOTHING)
        assert report.problems
        assert server.take_effects() == []

    async def test_a_line_that_would_be_cut_is_no_part_of_a_new_file(self, serving):
        server, footprint = serving
        file = FileSpec("conf.j2", "/etc/app/{name}.conf", max_line=40)
        server.install_set(template_set(files=(file,)), "a" * 41)
        report = await converge(server.host, ACTIVE, footprint)
        assert "line 1 would have 41 bytes" in report.problems[0]
        assert server.files.text(CONF) == "conf of one, active"


async def test_what_the_guards_refuse_is_not_begun(server):
    report = await converge(server.host, goal("one", Role.ACTIVE, "203.0.113.1/24"), NOTHING)
    assert "[guards] networks" in report.problems[0]
    assert server.world.effects == []


class TestFullDisk:
    async def test_it_is_a_problem_and_no_reason_not_to_serve(self, server):
        server.ledger.refusal = "no space left"
        report = await converge(server.host, ACTIVE, NOTHING)
        assert report.problems == ("the ledger cannot be kept: no space left",)
        assert report.footprint.role is Role.ACTIVE
        assert server.addresses.ours == {"192.0.2.10/24 on eth0"}

    async def test_the_next_time_nothing_is_done_again_and_the_footprint_is_kept(self, server):
        server.ledger.refusal = "no space left"
        report = await converge(server.host, ACTIVE, NOTHING)
        server.take_effects()
        report = await converge(server.host, ACTIVE, report.footprint)
        assert server.take_effects() == []
        server.ledger.refusal = ""
        report = await converge(server.host, ACTIVE, report.footprint)
        assert report.problems == ()
        assert server.ledger.stored == {ACTIVE.id: report.footprint}


class TestDeparture:
    async def test_nothing_is_left(self, serving):
        """Addresses go first: another server may have them by now, and a unit may take long to stop."""
        server, footprint = serving
        report = await leave(server.host, ACTIVE.id, footprint, "no longer linked")
        assert server.take_effects() == ["drop 192.0.2.10/24 on eth0", "stop web", f"remove {CONF}"]
        assert (report.footprint, report.problems) == (None, ())
        assert server.ledger.stored == {}

    async def test_it_needs_neither_entry_nor_template_set(self, serving):
        server, footprint = serving
        server.sets.sets.clear()
        assert (await leave(server.host, ACTIVE.id, footprint, "no longer linked")).footprint is None

    async def test_what_cannot_be_undone_stays_in_the_footprint(self, serving):
        server, footprint = serving
        server.files.refusal = "read-only"
        report = await leave(server.host, ACTIVE.id, footprint, "no longer linked")
        assert server.take_effects() == ["drop 192.0.2.10/24 on eth0", "stop web"]
        assert "read-only" in report.problems[0]
        assert report.footprint == replace(footprint, role=None)
        server.files.refusal = ""
        report = await leave(server.host, ACTIVE.id, report.footprint, "no longer linked")
        assert server.take_effects() == [f"remove {CONF}"]
        assert report.footprint is None

    async def test_after_it_failed_half_way_the_service_can_come_back(self, serving):
        server, footprint = serving
        server.files.refusal = "read-only"
        report = await leave(server.host, ACTIVE.id, footprint, "no longer linked")
        server.files.refusal = ""
        report = await converge(server.host, ACTIVE, report.footprint)
        assert report.footprint == footprint
        assert server.addresses.ours == {"192.0.2.10/24 on eth0"}


async def test_a_foreign_address_in_the_way_is_a_problem_and_stays(server):
    server.addresses.there[V4] = False
    report = await converge(server.host, ACTIVE, NOTHING)
    assert "ip address del 192.0.2.10/24 dev eth0" in report.problems[0]
    await leave(server.host, ACTIVE.id, report.footprint, "no longer linked")
    assert server.addresses.there == {V4: False}
