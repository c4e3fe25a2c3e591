"""Properties of the plans: after one is applied the next is empty, also when one in between was cut short."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from relocd.model.host import UnitState
from relocd.model.template_set import Command, First, Moment, Role, UnitAction
from relocd.reconcile.desired import Desired, Footprint
from relocd.reconcile.diff import AddAddress, Announce, DropAddress, RunCommand, UseUnit, actions, leaving
from tests.support.plans import new_file, placed, unit
from tests.unit.reconcile.hosts import Host, converged, departed, state_of

NOTHING = Footprint("web")
TARGETS = ["/etc/app/a", "/etc/app/b", "/etc/app/c"]
PLACES = [
    placed("192.0.2.10/24"),
    placed("192.0.2.11/24"),
    placed("192.0.2.10/24", on="eth1"),
    placed("2001:db8::10/64"),
]
UNITS = ["web", "db", "cache"]
_words = st.sampled_from(UnitAction)
_changes = st.sampled_from([UnitAction.RELOAD, UnitAction.RESTART, UnitAction.NONE])
_removed = st.sampled_from([UnitAction.STOP, UnitAction.RELOAD, UnitAction.NONE])
_files = st.dictionaries(st.sampled_from(TARGETS), st.sampled_from("123")).map(
    lambda texts: tuple(new_file(target, text) for target, text in texts.items())
)
_units = st.dictionaries(st.sampled_from(UNITS), st.tuples(_words, _changes, _removed, st.booleans())).map(
    lambda found: tuple(unit(name, *words) for name, words in found.items())
)
_commands = st.lists(st.sampled_from(Moment).map(lambda moment: Command(moment, (moment,))), max_size=2).map(tuple)


@st.composite
def wishes(draw: st.DrawFn) -> Desired:
    role = draw(st.sampled_from(Role))
    places = draw(st.lists(st.sampled_from(PLACES), unique=True)) if role is Role.ACTIVE else []
    return Desired(
        role,
        draw(st.none() | _files),
        tuple(places),
        draw(_units),
        draw(_commands),
        draw(st.sampled_from(First)),
        draw(st.booleans()),
    )


@st.composite
def hosts(draw: st.DrawFn) -> Host:
    """A host on which anything may have happened before."""
    return Host(
        {file.target: state_of(file) for file in draw(_files)},
        frozenset(draw(st.sets(st.sampled_from(PLACES)))),
        draw(st.dictionaries(st.sampled_from(UNITS), st.sampled_from(UnitState))),
    )


def past(host: Host, wished: list[tuple[Desired, int | None]]) -> tuple[Host, Footprint]:
    """What is left after some wishes, each carried out whole or cut short."""
    footprint = NOTHING
    for wanted, cut_after in wished:
        host, footprint, _ = converged(host, wanted, footprint, cut_after=cut_after)
    return host, footprint


_past = st.lists(st.tuples(wishes(), st.none() | st.integers(0, 4)), max_size=3)


@settings(max_examples=60)
@given(hosts(), _past, wishes(), st.integers(0, 8))
def test_after_a_plan_is_applied_the_next_is_empty(host, wished, wanted, cut_after):
    host, footprint = past(host, wished)
    host, footprint, _ = converged(host, wanted, footprint, cut_after=cut_after)
    host, footprint, _ = converged(host, wanted, footprint)
    assert actions(wanted, host.observed(), footprint) == ()
    assert footprint.role is wanted.role


@settings(max_examples=60)
@given(hosts(), _past, wishes())
def test_a_plan_reaches_what_is_wished(host, wished, wanted):
    before, footprint = past(host, wished)
    host, reached, _ = converged(before, wanted, footprint)
    assert set(wanted.addresses) <= host.addresses
    assert not (footprint.addresses - set(wanted.addresses)) & host.addresses
    for file in wanted.files or ():
        assert host.files[file.target] == state_of(file)
    if wanted.files is not None:
        assert not (footprint.files - reached.files) & host.files.keys()
    for each in wanted.units:
        if each.enter is UnitAction.START:
            assert host.units[each.name] in {UnitState.ACTIVE, UnitState.ACTIVATING}
        if each.enter is UnitAction.STOP:
            assert host.units.get(each.name, UnitState.INACTIVE) not in {UnitState.ACTIVE, UnitState.ACTIVATING}


@settings(max_examples=60)
@given(hosts(), _past, st.integers(0, 6))
def test_after_leaving_nothing_is_left_and_what_is_foreign_stays(host, wished, cut_after):
    before, footprint = past(host, wished)
    cut, _ = departed(before, footprint, cut_after=cut_after)
    host, _ = departed(cut, footprint)
    assert not footprint.addresses & host.addresses
    assert host.addresses == before.addresses - footprint.addresses
    assert host.files == {target: state for target, state in before.files.items() if target not in footprint.files}
    for each in footprint.units:
        if each.removed is UnitAction.STOP:
            assert host.units.get(each.name, UnitState.INACTIVE) not in {UnitState.ACTIVE, UnitState.ACTIVATING}
    refreshed = {each.name for each in footprint.units if each.removed in {UnitAction.RELOAD, UnitAction.RESTART}}
    again = leaving(host.observed(), footprint)
    assert {action.name for action in again if isinstance(action, UseUnit)} <= refreshed
    assert leaving(host.observed(), NOTHING) == ()


@settings(max_examples=60)
@given(hosts(), _past, wishes())
def test_what_is_foreign_is_never_touched(host, wished, wanted):
    host, footprint = past(host, wished)
    mine = footprint.addresses | set(wanted.addresses)
    names = {each.name for each in (*footprint.units, *wanted.units)}
    for action in actions(wanted, host.observed(), footprint):
        match action:
            case DropAddress(found):
                assert found in footprint.addresses
            case Announce(found):
                assert mine.issuperset(found)
            case UseUnit(name):
                assert name in names


@settings(max_examples=60)
@given(hosts(), wishes(), _files, st.integers(0, 6))
def test_running_units_end_with_the_new_files_wherever_it_was_cut_short(host, wanted, files, cut_after):
    """A unit that reloads is never left with old files because the new ones were already there."""
    units = tuple(replace(each, enter=UnitAction.START, change=UnitAction.RELOAD) for each in wanted.units)
    wanted = replace(wanted, files=wanted.files or (), units=units)
    host, footprint = past(host, [(wanted, None)])
    changed = replace(wanted, files=files)
    host, footprint, _ = converged(host, changed, footprint, cut_after=cut_after)
    host, footprint, _ = converged(host, changed, footprint)
    mine = {file.target: state_of(file) for file in files}
    if wanted.files != files:
        for each in units:
            loaded = host.loaded[each.name]
            assert {target: loaded.get(target) for target in mine} == mine


@settings(max_examples=60)
@given(hosts(), _past, wishes())
def test_an_early_unit_encloses_the_addresses(host, wished, wanted):
    """It is started before any is raised and stopped after all are dropped, also when the service leaves."""
    host, footprint = past(host, wished)
    early = {each.name for each in (*footprint.units, *wanted.units) if each.early}
    late = {each.name for each in (*footprint.units, *wanted.units) if not each.early}
    for plan in (actions(wanted, host.observed(), footprint), leaving(host.observed(), footprint)):
        at = {kind: [n for n, each in enumerate(plan) if isinstance(each, kind)] for kind in (AddAddress, DropAddress)}
        for number, action in enumerate(plan):
            if not isinstance(action, UseUnit) or action.name not in early - late:
                continue
            if action.action is UnitAction.STOP:
                assert all(dropped < number for dropped in at[DropAddress])
            elif action.action is UnitAction.START:
                assert all(number < raised for raised in at[AddAddress])


@settings(max_examples=60)
@given(hosts(), wishes(), wishes())
def test_no_command_of_a_change_runs_while_the_role_changes(host, one, other):
    host, footprint = past(host, [(one, None)])
    _, _, plan = converged(host, other, footprint)
    moments = {action.command.when for action in plan if isinstance(action, RunCommand)}
    entering = Moment.ACTIVATE if other.role is Role.ACTIVE else Moment.STANDBY
    assert moments <= ({Moment.CHANGE} if one.role is other.role else {entering})
