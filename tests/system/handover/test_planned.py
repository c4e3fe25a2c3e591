"""A planned move: one link is added, and whatever becomes of it, the living one loses nothing."""

from __future__ import annotations

import threading
import time

import pytest

from tests.lab.deadline import until
from tests.lab.hosts.stage import FILE
from tests.lab.probers.judgement import doubles, first_answer, outage_ns, overlap_ns
from tests.lab.slapd.ldif import link_ldif, server_dn, service_dn
from tests.lab.slapd.reading import State, links, state

MS = 1_000_000
NOTICEABLE_NS = 50 * MS  # what this machine keeps a prober waiting, and no more than that


def is_settled(stage, holder, generation):
    return state(stage.slapd, "web") == State(holder, generation=generation)


def test_move_is_in_order_and_cleans_up(staged):
    """The old server lets go before the new one raises; then the old link and relocPrevious are gone."""
    stage = staged()
    stage.opens("web", template_sets=["unit"])
    assert is_settled(stage, "node1", 1)
    with stage.watch() as watch:
        assert watch.until("node1", 5)
        began = time.monotonic_ns()
        stage.slapd.modify(link_ldif("web", "node2"))
        change = watch.until("node2", 5)
        until(lambda: is_settled(stage, "node2", 2) and not links(stage.slapd, "node1"))
        until(lambda: stage.stands("node2", "web") == "active" and not stage.stands("node1", "web"))
        ended = time.monotonic_ns()
    assert change
    overlap = overlap_ns(watch.probes, "node1", "node2", began, ended)
    assert overlap is not None
    assert overlap < 0
    assert not doubles(watch.probes)
    assert outage_ns(watch.probes, began, ended) < 1000 * MS
    assert stage.holders() == ["node2"]
    assert (stage.unit("node1", "web").runs, stage.unit("node2", "web").runs) == (False, True)
    assert links(stage.slapd, "node2") == {"web"}


def nothing_there(stage):
    """The agent of node2 was never started."""


def broken_template(stage):
    stage.template_set("node2", "unit", FILE, "{{ nonsense }}")
    stage.start("node2")


def missing_unit(stage):
    stage.template_set("node2", "unit", FILE + '[[unit]]\nname = "u-other"\n')
    stage.start("node2")


@pytest.mark.parametrize(
    ("trouble", "word"),
    [
        pytest.param(nothing_there, "", id="agent-down"),
        pytest.param(broken_template, "nonsense", id="broken-template"),
        pytest.param(missing_unit, "there is no unit u-other", id="missing-unit"),
    ],
)
def test_move_to_a_server_that_is_not_ready_takes_nothing_away(staged, trouble, word):
    stage = staged()
    stage.opens("web", on=("node1",), template_sets=["unit"])
    trouble(stage)
    with stage.watch() as watch:
        assert watch.until("node1", 5)
        began = time.monotonic_ns()
        stage.slapd.modify(link_ldif("web", "node2"))
        until(lambda: word in stage.words("node2", "web"))
        stage.nodes["node1"].wait_for(lambda line: line.fields.get("dn") == server_dn("node2"))
        ended = until(lambda: time.monotonic_ns() > began + 1000 * MS and time.monotonic_ns())
    assert outage_ns(watch.probes, began, ended) < NOTICEABLE_NS
    assert stage.holders() == ["node1"]
    assert stage.unit("node1", "web").runs
    assert is_settled(stage, "node1", 1)
    assert links(stage.slapd, "node1") == links(stage.slapd, "node2") == {"web"}


def test_server_that_becomes_ready_later_gets_what_it_waits_for(staged):
    stage = staged()
    stage.opens("web", on=("node1",), template_sets=["unit"])
    broken_template(stage)
    stage.slapd.modify(link_ldif("web", "node2"))
    until(lambda: "nonsense" in stage.words("node2", "web"))
    stage.template_set("node2", "unit", FILE, "mended\n")
    until(lambda: is_settled(stage, "node2", 2) and stage.holders() == ["node2"])


def test_unit_that_fails_to_start_sends_the_service_back(staged):
    """The outage is two moves long; the newcomer's own link is gone, and it says why."""
    stage = staged()
    stage.opens("web", template_sets=["unit"])
    stage.unit("node2", "web").spoil()
    with stage.watch() as watch:
        assert watch.until("node1", 5)
        began = time.monotonic_ns()
        stage.slapd.modify(link_ldif("web", "node2"))
        until(lambda: is_settled(stage, "node1", 3))
        until(lambda: stage.stands("node1", "web") == "active" and stage.unit("node1", "web").runs)
        ended = time.monotonic_ns()
        assert watch.until("node1", 5)
    assert not doubles(watch.probes)
    assert outage_ns(watch.probes, began, ended) < 2000 * MS
    assert (links(stage.slapd, "node1"), links(stage.slapd, "node2")) == ({"web"}, frozenset())
    assert stage.holders() == ["node1"]
    gave_back = stage.nodes["node2"].wait_for(lambda line: line.fields.get("step") == "FailBack")
    assert "could not be activated" in gave_back.fields["reason"]


def test_two_triggers_at_once_are_served_in_turn(staged):
    """Both links win, one after the other; at the end one of the two holds it, with the only link."""
    stage = staged("node1", "node2", "node3")
    stage.opens("web")
    with stage.watch() as watch:
        assert watch.until("node1", 5)
        together = [threading.Thread(target=stage.slapd.modify, args=[link_ldif("web", n)]) for n in ("node2", "node3")]
        for trigger in together:
            trigger.start()
        until(lambda: is_settled(stage, state(stage.slapd, "web").holder, 3))
        last = state(stage.slapd, "web").holder
        until(lambda: links(stage.slapd, last) == {"web"} and stage.holders() == [last])
    assert last != "node1"
    assert not doubles(watch.probes)
    assert all(first_answer(watch.probes, name, 0) for name in stage.names)
    assert [len(links(stage.slapd, name)) for name in stage.names if name != last] == [0, 0]


def test_service_whose_last_link_is_removed_stops_and_has_no_holder(staged):
    stage = staged()
    stage.opens("web", template_sets=["unit"])
    stage.slapd.modify(link_ldif("web", "node1", verb="delete"))
    until(lambda: is_settled(stage, "", 2))
    until(lambda: not stage.stands("node1", "web"))
    assert not stage.holders()
    assert not stage.unit("node1", "web").runs
    stage.slapd.modify(link_ldif("web", "node2"))
    until(lambda: is_settled(stage, "node2", 3) and stage.holders() == ["node2"])


def renamed(dn, name):
    return f"dn: {dn}\nchangetype: modrdn\nnewrdn: cn={name}\ndeleteoldrdn: 1\n\n"


def test_renaming_server_and_service_under_load_interrupts_nothing(staged):
    stage = staged()
    stage.opens("web", template_sets=["unit"])
    load = "".join(
        f"dn: {server_dn('node2')}\nchangetype: modify\nreplace: description\ndescription: {number}\n-\n\n"
        for number in range(2000)
    )
    with stage.watch() as watch:
        assert watch.until("node1", 5)
        began = time.monotonic_ns()
        busy = threading.Thread(target=stage.slapd.modify, args=[load])
        busy.start()
        stage.slapd.modify(renamed(server_dn("node1"), "first") + renamed(service_dn("web"), "shop"))
        until(lambda: state(stage.slapd, "shop") == State("first", generation=1))
        busy.join()
        until(lambda: stage.stands("node1", "shop") == "active")
        ended = time.monotonic_ns()
    assert outage_ns(watch.probes, began, ended) < NOTICEABLE_NS
    assert stage.unit("node1", "web").runs
