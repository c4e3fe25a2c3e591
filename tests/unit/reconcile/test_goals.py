"""What this server shall have, and about what nothing may be concluded."""

from __future__ import annotations

from ipaddress import ip_interface

import pytest

from relocd.model.entries import EntryUUID
from relocd.model.template_set import Role, Scope
from relocd.reconcile.goals import GoalId, Goals, SetFacts, goal_id, goals, in_role, service_of
from tests.support.directory import snapshot
from tests.support.entries import cluster, server, service, state, uuid_of

SETS = {"nginx": SetFacts(Scope.SERVICE), "ntp": SetFacts(Scope.SERVICE), "hosts": SetFacts(Scope.SERVER)}
WEB = service("web", relocAddress="192.0.2.10/24", relocInterface="eth0", relocTemplateSet=["nginx", "hosts"])


def goals_of(*entries, server_sets=(), sets=SETS.get) -> Goals:
    found = goals(snapshot(*entries), sets, server_sets)
    assert found is not None
    return found


def test_without_my_entry_nothing_is_known():
    assert goals(snapshot(server("twin")), SETS.get, ("hosts",)) is None


def test_with_my_entry_broken_nothing_is_known():
    assert goals(snapshot(server("me", services=["web"], relocFenced="?"), WEB), SETS.get) is None


def test_one_goal_for_each_linked_service_and_one_for_each_set_of_scope_server():
    found = goals_of(server("me", services=["web", "clock"]), WEB, service("clock", relocTemplateSet=["ntp", "hosts"]))
    assert {goal.name: goal.sets for goal in found.wanted.values()} == {
        "web": ("nginx",),
        "clock": ("ntp",),
        "hosts": ("hosts",),
    }
    assert (found.unknown, found.complete) == (frozenset(), True)


def test_a_goal_says_everything_that_it_takes():
    found = goals_of(server("me", services=["web"]), WEB, state("web", holder="me")).wanted[goal_id(uuid_of("web"))]
    assert (found.role, found.reason) == (Role.ACTIVE, "linked directly")
    assert found.addresses == (ip_interface("192.0.2.10/24"),)
    assert (found.interface, found.probe, found.files_only) == ("eth0", True, False)


def test_sets_of_the_configuration_are_applied_whatever_is_linked():
    found = goals_of(server("me"), server_sets=("motd",))
    (motd,) = found.wanted.values()
    assert (motd.id, motd.sets, motd.role, motd.addresses) == ("server:motd", ("motd",), Role.ACTIVE, ())


def test_a_link_to_what_does_not_exist_gives_no_goal():
    found = goals_of(server("me", services=["gone"], clusters=["gone too"]))
    assert (found.wanted, found.unknown, found.complete) == ({}, frozenset(), True)


def test_a_linked_service_that_cannot_be_understood_is_unknown():
    found = goals_of(server("me", services=["web", "bad"]), WEB, service("bad", relocAddress="?"))
    assert goal_id(uuid_of("bad")) in found.unknown
    assert not found.complete
    assert goal_id(uuid_of("web")) in found.wanted


def test_a_set_that_cannot_be_read_may_be_one_of_scope_server():
    """It stays a set of its service, whose files then cannot be prepared, and what a whole server had of it stays."""
    found = goals_of(server("me", services=["web"]), service("web", relocTemplateSet="broken"))
    assert found.wanted[goal_id(uuid_of("web"))].sets == ("broken",)
    assert found.unknown == {"server:broken"}
    assert found.complete


def test_while_a_cluster_of_mine_cannot_be_understood_not_everything_is_known():
    found = goals_of(server("me", clusters=["pair"]), cluster("pair", services=["web"], relocFailover="?"), WEB)
    assert not found.complete
    assert found.in_doubt(GoalId("server:hosts"))


def test_what_others_break_is_no_doubt_of_mine():
    found = goals_of(server("me", services=["web"]), server("twin", services=["web"], relocFenced="?"), WEB)
    assert (found.unknown, found.complete) == (frozenset(), True)


@pytest.mark.parametrize(
    ("goal", "found", "doubt"),
    [
        ("server:hosts", Goals({}), False),
        ("server:hosts", Goals({}, complete=False), True),
        ("server:hosts", Goals({}, frozenset({GoalId("server:hosts")})), True),
        ("a", Goals({}, complete=False), False),
        ("a", Goals({}, frozenset({GoalId("a")})), True),
    ],
)
def test_in_doubt(goal, found, doubt):
    assert found.in_doubt(GoalId(goal)) is doubt


def test_a_goal_belongs_to_a_service_or_to_none():
    assert service_of(goal_id(EntryUUID("a"))) == "a"
    assert service_of(GoalId("server:hosts")) is None


def test_equal_snapshots_give_equal_goals():
    entries = [server("me", services=["web"]), WEB, server("twin", services=["web"])]
    assert goals_of(*entries) == goals_of(*reversed(entries))


def test_no_secret_in_the_representation_of_a_goal():
    found = goals_of(server("me", services=["web"]), service("web", relocSecret="token=s3cret"))
    assert "s3cret" not in repr(found)
    (goal,) = found.wanted.values()
    assert goal.context.secrets == {"token": "s3cret"}


def web_of(*entries):
    return goals_of(*entries, WEB).wanted[goal_id(uuid_of("web"))]


class TestContest:
    LINKED = server("me", services=["web"])

    @pytest.mark.parametrize(
        ("entries", "role"),
        [
            pytest.param([], Role.STANDBY, id="no state yet"),
            pytest.param([state("web", holder="me")], Role.ACTIVE, id="I am holder"),
            pytest.param([state("web", holder="twin", candidate="me")], Role.STANDBY, id="I am candidate"),
            pytest.param([state("web", holder="twin", previous="me")], Role.STANDBY, id="I am previous"),
        ],
    )
    def test_of_an_exclusive_service_active_is_only_its_holder(self, entries, role):
        found = web_of(self.LINKED, server("twin", services=["web"]), *entries)
        assert (found.role, found.reason) == (role, "linked directly")
        assert found.ownership.eligible.direct == {uuid_of("me"), uuid_of("twin")}

    def test_a_holder_keeps_its_goal_when_its_link_goes(self):
        found = web_of(server("me"), state("web", holder="me"))
        assert (found.role, found.reason, found.ownership.holds) == (Role.ACTIVE, "not linked any more", True)

    def test_a_service_that_it_holds_and_that_cannot_be_understood_is_unknown(self):
        found = goals_of(server("me"), service("web", relocAddress="?"), state("web", holder="me"))
        assert found.unknown == {goal_id(uuid_of("web"))}

    def test_a_shared_service_is_everybodys(self):
        entries = [self.LINKED, service("web", relocExclusive="FALSE"), state("web", holder="twin")]
        found = goals_of(*entries).wanted[goal_id(uuid_of("web"))]
        assert (found.role, found.ownership) == (Role.ACTIVE, None)

    def test_a_shared_service_whose_state_names_a_server_is_no_goal_of_that(self):
        entries = [server("me"), service("web", relocExclusive="FALSE"), state("web", holder="me")]
        assert goals_of(*entries).wanted == {}

    def test_of_a_cluster_managers_service_there_are_only_files(self):
        found = web_of(
            server("me", clusters=["pair"]),
            cluster("pair", services=["web"], active="me", relocFailover="external"),
            state("web", holder="twin"),
        )
        assert (found.role, found.files_only, found.ownership) == (Role.ACTIVE, True, None)


def test_a_goal_in_another_role_is_the_same_as_its_templates_see_it_then():
    found = web_of(server("me", services=["web", "clock"]), service("clock", relocExclusive="FALSE"))
    active = in_role(found, Role.ACTIVE)
    assert (active.role, active.context.role) == (Role.ACTIVE, "active")
    roles = {each.name: each.role for each in active.context.services}
    assert roles == {"web": "active", "clock": "active"}
    assert in_role(active, Role.STANDBY) == found
