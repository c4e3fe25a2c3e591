"""Snapshots and goals that are made step by step are those that are made of the whole directory at once.

States change most: there only what such a change concerns is made again, by the mirror and by the maker of goals.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from relocd.model.dn import DN
from relocd.model.template_set import Scope
from relocd.reconcile.goals import GoalMaker, SetFacts, goal_id, goals
from relocd.sync.index import Index, reduced, whole
from relocd.sync.mirror import Mirror
from relocd.sync.view import interest_of, snapshot_of
from tests.support.directory import ModelDirectory
from tests.support.entries import ME, cluster, dn, server, service, state, uuid_of

SERVERS, CLUSTERS, SERVICES = ["me", "n1", "n2"], ["c1", "c2"], ["s1", "s2", "s3"]
SETS = {"own": SetFacts(Scope.SERVICE, False), "all": SetFacts(Scope.SERVICE), "hosts": SetFacts(Scope.SERVER)}
_some_services = st.lists(st.sampled_from(SERVICES), max_size=3, unique=True)
_some_clusters = st.lists(st.sampled_from(CLUSTERS), max_size=2, unique=True)
_a_service = st.sampled_from(SERVICES)
_a_server = st.none() | st.sampled_from([*SERVERS, "nobody"])
_mostly_right = st.sampled_from([(), (), (), (), "?"])


class StepByStep(RuleBasedStateMachine):
    """A server that listens all the time while entries come, change, are renamed and go."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = ModelDirectory()
        self.mirror = Mirror(DN.parse(ME), None, 10**6)
        self.maker = GoalMaker(SETS.get)
        self.looks = True
        self.mirror.apply(self.directory.refresh())
        self.put(server("me", services=SERVICES[:2], clusters=CLUSTERS[:1]))
        self.put(server("n1", clusters=CLUSTERS[:1]))
        self.put(cluster("c1", services=SERVICES[2:], active="me"))
        for name, displaced in (("s1", "s2"), ("s2", "s3"), ("s3", None)):
            displaces = [] if displaced is None else dn(displaced)
            self.put(service(name, relocTemplateSet="own", relocExclusive="TRUE", relocDisplaces=displaces))

    def put(self, entry) -> None:
        self.mirror.apply(self.directory.put(entry))

    @rule(name=st.sampled_from(SERVERS), services=_some_services, clusters=_some_clusters, bad=_mostly_right)
    def write_server(self, name, services, clusters, bad):
        if self.directory.named(name) is not None or uuid_of(name) not in self.directory.entries:
            self.put(server(name, services=services, clusters=clusters, relocFenced=bad))

    @rule(name=st.sampled_from(CLUSTERS), services=_some_services, active=_a_server, bad=_mostly_right)
    def write_cluster(self, name, services, active, bad):
        self.put(cluster(name, services=services, active=active, relocFailover=bad))

    @rule(
        name=_a_service,
        sets=st.lists(st.sampled_from([*SETS, "unreadable"]), max_size=2, unique=True),
        displaces=st.lists(_a_service, max_size=1),
        exclusive=st.sampled_from(["TRUE", "TRUE", "TRUE", "FALSE", "?"]),
    )
    def write_service(self, name, sets, displaces, exclusive):
        displaced = map(dn, displaces)
        self.put(service(name, relocTemplateSet=sets, relocDisplaces=displaced, relocExclusive=exclusive))

    @rule(
        name=_a_service,
        holder=_a_server,
        candidate=_a_server,
        previous=_a_server,
        generation=st.sampled_from([None, 1, 2]),
        bad=st.sampled_from([False] * 9 + [True]),
    )
    def write_state(self, name, holder, candidate, previous, generation, bad):
        found = state(name, holder=holder, candidate=candidate, previous=previous, generation=generation)
        if bad:
            found.attributes["relocgeneration"] = (b"?",)
        if uuid_of(name) in self.directory.entries:
            self.put(found)

    write_state_again = write_state

    @rule(name=_a_service)
    def delete_state(self, name):
        uuid = uuid_of(f"state of {name}")
        if uuid in self.directory.entries:
            self.mirror.apply(self.directory.delete(uuid))

    @rule(name=st.sampled_from([*SERVERS[1:], *CLUSTERS]))
    def delete(self, name):
        if uuid_of(name) in self.directory.entries:
            self.mirror.apply(self.directory.delete(uuid_of(name)))

    @rule(name=st.sampled_from(SERVERS[1:]), back=st.booleans())
    def rename(self, name, back):
        now = name if back else f"{name}-renamed"
        if uuid_of(name) in self.directory.entries and self.directory.named(now) is None:
            self.mirror.apply(self.directory.rename(uuid_of(name), now))

    @rule(looks=st.booleans())
    def look(self, looks):
        """Between two looks there may be several changes."""
        self.looks = looks

    @invariant()
    def all_is_as_from_scratch(self):
        if not self.looks or self.mirror.doubt:
            return
        assert not self.mirror.missing
        snapshot = self.mirror.snapshot
        interest, expected = self._from_scratch()
        assert {record.uuid for record in self.mirror._index if record.whole} == interest.uuids
        known = self.mirror._interest
        assert replace(known, keys=interest.keys) == interest
        # It may still have a name that nothing links to any more: an entry that takes this name is looked at in vain.
        assert not any(map(self.mirror._index.named, known.keys - interest.keys))
        assert known.keys >= interest.keys
        assert snapshot == expected
        found, wanted = self.maker.make(snapshot), goals(expected, SETS.get)
        assert found == wanted
        assert found is None or list(found.wanted) == list(wanted.wanted)

    def _from_scratch(self):
        entries, my_name = self.directory.entries.values(), DN.parse(ME)
        former = self.mirror._index.former
        index = Index(map(reduced, entries), former)
        me = index.get(uuid_of("me"))
        interest = interest_of(index, me, my_name.key)
        index = Index((whole(each) if each.uuid in interest.uuids else reduced(each) for each in entries), former)
        return interest, snapshot_of(index, me, my_name, interest)


TestStepByStep = StepByStep.TestCase
TestStepByStep.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)


def test_a_service_that_becomes_active_displaces_another_although_only_its_own_state_has_changed():
    play = StepByStep()
    play.put(state("s1", holder="n1", generation=1))
    play.put(state("s2", holder="n1", generation=1))
    play.all_is_as_from_scratch()
    play.put(state("s1", holder="me", generation=2))
    play.all_is_as_from_scratch()
    assert play.maker.make(play.mirror.snapshot).wanted[goal_id(uuid_of("s2"))].ownership.displaced_by == "s1"


def test_a_change_of_one_state_leaves_all_other_goals_the_same_objects():
    play = StepByStep()
    play.put(state("s3", holder="n1", generation=1))
    before = play.maker.make(play.mirror.snapshot).wanted
    play.put(state("s3", holder="me", generation=2))
    after = play.maker.make(play.mirror.snapshot).wanted
    assert {goal for goal in before if after[goal] is not before[goal]} == {goal_id(uuid_of("s3"))}


def test_a_former_name_that_nothing_links_to_any_more_changes_nothing():
    play = StepByStep()
    play.put(server("n2", services=["s1"]))
    play.put(cluster("c2", services=[], active="n2"))
    play.rename(name="n2", back=False)
    play.delete(name="c2")
    play.all_is_as_from_scratch()
    play.write_server(name="n2", services=["s1"], clusters=[], bad=())
    play.all_is_as_from_scratch()
