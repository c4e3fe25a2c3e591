"""A server that is off for certain: relocFenced stands on its entry."""

from __future__ import annotations

import time

from tests.lab.deadline import until
from tests.lab.probers.judgement import doubles, outage_ns
from tests.lab.slapd.ldif import fence_ldif, link_ldif, server_dn
from tests.lab.slapd.reading import attributes, links
from tests.system.handover.test_takeover import MS, NOTICEABLE_NS, crash, is_settled


def test_fenced_server_is_succeeded_at_once(staged):
    """No lease is waited for and no wire is asked: whoever fences has powered it off."""
    stage = staged(lease_s=10.0)
    stage.opens("web", template_sets=["unit"])
    with stage.watch() as watch:
        assert watch.until("node1", 5)
        stage.lan["node1"].cut()
        began = time.monotonic_ns()
        stage.slapd.modify(link_ldif("web", "node2") + "\n" + fence_ldif("node1"))
        change = watch.until("node2", 5)
    assert change
    assert change.answered_ns - began < 1000 * MS
    until(lambda: is_settled(stage, "node2", 2) and not links(stage.slapd, "node1"))


def test_fenced_server_that_comes_up_holds_nothing_and_clears_its_fence(staged):
    """Succeeded while it was off, it finds nothing that is its own; the fence is gone and it may be chosen again."""
    stage = staged()
    stage.opens("web", template_sets=["unit"])
    crash(stage)
    stage.slapd.modify(link_ldif("web", "node2") + "\n" + fence_ldif("node1"))
    until(lambda: is_settled(stage, "node2", 2) and stage.holders() == ["node2"])
    node1 = stage.nodes["node1"]
    before = len(list(node1.lines()))
    with stage.watch() as watch:
        assert watch.until("node2", 5)
        began = time.monotonic_ns()
        node1.start()
        until(lambda: "relocFenced" not in attributes(stage.slapd, server_dn("node1")))
        ended = until(lambda: time.monotonic_ns() > began + 1000 * MS and time.monotonic_ns())
        assert not any(line.action.startswith(("raise", "start")) for line in list(node1.lines())[before:])
        assert is_settled(stage, "node2", 2)
        stage.slapd.modify(link_ldif("web", "node1"))
        until(lambda: is_settled(stage, "node1", 3) and stage.holders() == ["node1"])
    assert outage_ns(watch.probes, began, ended) < NOTICEABLE_NS
    assert not doubles(watch.probes)


def test_fenced_holder_steps_down_before_it_clears_its_fence(staged):
    """Fenced by mistake, or back before anybody took over: it gives its service up and then may run it again."""
    stage = staged()
    stage.opens("web", template_sets=["unit"])
    stage.slapd.modify(fence_ldif("node1"))
    until(lambda: "relocFenced" not in attributes(stage.slapd, server_dn("node1")))
    stepped = [line.fields["step"] for line in stage.nodes["node1"].lines() if line.message == "handover"]
    assert "StepDown" in stepped
    until(lambda: is_settled(stage, "node1", 3) and stage.holders() == ["node1"])
    until(lambda: stage.unit("node1", "web").runs)
