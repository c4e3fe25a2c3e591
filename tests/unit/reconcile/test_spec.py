"""What a goal takes: expanded, placed and guarded, with every refusal as a problem; and what to do without it."""

from __future__ import annotations

import pytest

from relocd.errors import Invalid
from relocd.model.template_set import Command, FileSpec, First, Moment, Role, UnitAction, UnitSpec
from relocd.reconcile.desired import Desired, DesiredUnit, Footprint
from relocd.reconcile.spec import PlannedFile, desired, fallback, rendered_file, spec_of
from tests.support.plans import ETH0, GUARDS, goal, interface, new_file, placed, template_set, unit

BOTH = frozenset(Role)
SET = template_set(
    files=(
        FileSpec("main.j2", "/etc/app/{name}.conf", roles=BOTH),
        FileSpec("live.j2", "/etc/app/{name}.live", checks=(("check", "{name}", "{file}"),)),
    ),
    units=(UnitSpec("web-{name}", UnitAction.START, UnitAction.NONE, UnitAction.STOP, UnitAction.RELOAD),),
    commands=(Command(Moment.ACTIVATE, ("promote", "{name}")),),
)


def spec_for(wanted, *sets, interfaces=(ETH0,)):
    return spec_of(wanted, sets or (SET,), GUARDS, interfaces)


def test_the_active_role_takes_everything():
    found = spec_for(goal("one", Role.ACTIVE, "192.0.2.10/24", "2001:db8::10/64"))
    assert [(file.spec.source, file.spec.target) for file in found.files] == [
        ("main.j2", "/etc/app/one.conf"),
        ("live.j2", "/etc/app/one.live"),
    ]
    assert found.files[1].spec.checks == (("check", "one", "{file}"),)
    assert found.desired == Desired(
        Role.ACTIVE,
        addresses=(placed("192.0.2.10/24"), placed("2001:db8::10/64")),
        units=(DesiredUnit("web-one", UnitAction.START, UnitAction.RELOAD, UnitAction.STOP),),
        commands=(Command(Moment.ACTIVATE, ("promote", "one")),),
        probe=True,
    )
    assert found.problems == ()


def test_the_standby_role_takes_its_files_and_units_and_no_address():
    found = spec_for(goal("one", Role.STANDBY, "192.0.2.10/24"))
    assert [file.spec.target for file in found.files] == ["/etc/app/one.conf"]
    assert found.desired.addresses == ()
    assert [each.enter for each in found.desired.units] == [UnitAction.NONE]


def test_a_goal_of_an_external_cluster_takes_files_only():
    found = spec_for(goal("one", Role.ACTIVE, "192.0.2.10/24", files_only=True))
    assert len(found.files) == 2
    assert (found.desired.addresses, found.desired.units, found.desired.commands) == ((), (), ())


def test_only_an_exclusive_service_is_probed_for():
    assert not spec_for(goal("one", Role.ACTIVE, "192.0.2.10/24", probe=False)).desired.probe


def test_several_sets_add_up_and_one_that_wants_addresses_first_is_enough():
    found = spec_for(
        goal(), template_set("web"), template_set("db", files=(), units=(UnitSpec("db"),), first=First.ADDRESSES)
    )
    assert [each.name for each in found.desired.units] == ["web", "db"]
    assert found.desired.first is First.ADDRESSES


def test_the_rendered_files_complete_it():
    files = (new_file("/etc/app/one.conf", "a"),)
    assert desired(spec_for(goal("one")), files).files == files


@pytest.mark.parametrize(
    ("wanted", "sets", "problem"),
    [
        pytest.param(goal("one", Role.ACTIVE, "203.0.113.1/24"), (SET,), "none of the allowed networks", id="address"),
        pytest.param(goal("one", Role.ACTIVE, "192.0.2.10/8"), (SET,), "would take the route to all of", id="prefix"),
        pytest.param(
            goal("one", Role.ACTIVE, "192.0.2.10/24", interface="eth9"), (SET,), "no interface eth9", id="interface"
        ),
        pytest.param(goal(), (template_set(units=(UnitSpec("sshd"),)),), "unit sshd matches none", id="unit"),
        pytest.param(
            goal(),
            (template_set(files=(FileSpec("a", "/etc/passwd"),)),),
            "target /etc/passwd is below none",
            id="target",
        ),
        pytest.param(
            goal("../../x"), (template_set(),), "the service name '../../x' cannot stand in", id="name as a path"
        ),
        pytest.param(
            goal(),
            (template_set(), template_set("other", units=())),
            "/etc/app/web.conf is claimed twice",
            id="file twice",
        ),
        pytest.param(
            goal(), (template_set(), template_set("other", files=())), "web is claimed twice", id="unit twice"
        ),
    ],
)
def test_what_is_refused_becomes_a_problem(wanted, sets, problem):
    (found,) = spec_for(wanted, *sets).problems
    assert problem in found


def test_every_refusal_is_said_at_once():
    found = spec_for(
        goal("one", Role.ACTIVE, "203.0.113.1/24"),
        template_set(files=(FileSpec("a", "/etc/passwd"),), units=(UnitSpec("sshd"),)),
    )
    assert len(found.problems) == 3


def test_an_interface_that_is_down_is_a_problem():
    found = spec_for(goal("one", Role.ACTIVE, "192.0.2.10/24"), interfaces=(interface(up=False),))
    assert "down" in found.problems[0]


class TestFallback:
    """Keep what serves, let go of what shall not serve, begin nothing."""

    SERVING = Footprint(
        "web",
        Role.ACTIVE,
        frozenset({"/etc/app/web.conf"}),
        {"/etc/app/web.conf": "1"},
        frozenset({placed()}),
        (unit("web"), unit("db", removed=UnitAction.RELOAD)),
        First.ADDRESSES,
    )

    def test_what_serves_is_kept(self):
        wanted = goal("web", Role.ACTIVE, "192.0.2.99/24")
        assert fallback(wanted, self.SERVING) == Desired(
            Role.ACTIVE, None, (placed(),), self.SERVING.units, (), First.ADDRESSES, probe=True
        )

    def test_a_shared_service_is_kept_without_asking_the_wire(self):
        assert not fallback(goal("web", Role.ACTIVE, "192.0.2.10/24", probe=False), self.SERVING).probe

    def test_what_shall_not_serve_is_let_go(self):
        assert fallback(goal("web", Role.STANDBY), self.SERVING) == Desired(
            Role.STANDBY,
            None,
            (),
            (
                unit("web", UnitAction.STOP, UnitAction.NONE),
                unit("db", UnitAction.NONE, UnitAction.NONE, UnitAction.RELOAD),
            ),
            (),
            First.ADDRESSES,
        )

    def test_a_unit_that_runs_in_standby_is_kept(self):
        standing_by = Footprint("web", Role.STANDBY, units=(unit("web"),))
        assert fallback(goal("web", Role.STANDBY), standing_by) == Desired(Role.STANDBY, None, units=(unit("web"),))

    @pytest.mark.parametrize("role", Role)
    def test_nothing_is_begun(self, role):
        assert fallback(goal("web", role), Footprint("web")) is None

    def test_what_was_not_reached_is_not_begun_again(self):
        half = Footprint("web", None, addresses=frozenset({placed()}), units=(unit("web"),))
        assert fallback(goal("web", Role.ACTIVE), half) is None


class TestLines:
    """What a program cuts off a line it may read as a line of its own."""

    FILE = PlannedFile(SET, FileSpec("a.j2", "/etc/app/one.conf", max_line=10))

    @pytest.mark.parametrize("text", ["", "0123456789\n0123456789", "\n\n", "ääääÄ"])
    def test_lines_up_to_the_limit_are_written(self, text):
        assert rendered_file(self.FILE, text, secret=False).content == text.encode()

    @pytest.mark.parametrize("text", ["0123456789a", "a\nb\n0123456789a\n", "äääääx", "a" * 10 + "\r"])
    def test_a_longer_one_is_refused_with_its_number(self, text):
        number = 3 if text.startswith("a\nb") else 1
        with pytest.raises(Invalid, match=rf"/etc/app/one\.conf line {number} would have 11 bytes"):
            rendered_file(self.FILE, text, secret=True)

    def test_a_file_without_a_limit_has_none(self):
        assert rendered_file(PlannedFile(SET, FileSpec("a.j2", "/etc/a")), "a" * 99999, secret=False)
