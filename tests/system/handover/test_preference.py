"""Which member of an automatic cluster serves: the preferred one first, and not where the service is sick."""

from __future__ import annotations

import time

from tests.lab.deadline import until
from tests.lab.hosts.stage import ADDRESS, FILE, UNIT
from tests.lab.probers.judgement import doubles, outage_ns
from tests.lab.slapd.ldif import activate_ldif, cluster_dn, cluster_ldif, server_dn, server_ldif, service_ldif
from tests.lab.slapd.reading import attributes, state
from tests.system.handover.test_takeover import LEASE_S, MS, is_settled

HEALTH = """
[[health]]
command = ["test", "!", "-e", "{folder}/sick"]
interval_s = 0.2
fall = 2
start_s = 0.2
restarts = 0
"""
BAD_FOR_S = 0.2 * 2
THREE = ("node1", "node2", "node3")


def opens(stage, active, **more):
    """The automatic cluster `both` with the service web, which has a health check; all servers are its members."""
    for name in stage.names:
        stage.template_set(name, "checked", FILE + UNIT + HEALTH)
    stage.slapd.add(
        service_ldif("web", addresses=[f"{ADDRESS}/24"], template_sets=["checked"])
        + cluster_ldif("both", services=["web"], active=active, relocFailover="automatic", **more)
        + "".join(server_ldif(name, clusters=["both"]) for name in stage.names)
    )
    stage.start(active)
    until(lambda: stage.stands(active, "web") == "active")
    stage.start()
    others = [name for name in stage.names if name != active]
    until(lambda: all(stage.stands(name, "web") == "standby" for name in others))


def active(stage):
    (dn,) = attributes(stage.slapd, cluster_dn("both"))["relocActive"]
    return next(name for name in stage.names if dn == server_dn(name))


def test_a_preferred_member_comes_before_others_when_the_active_one_dies_and_back_after_its_time(staged):
    """node3 takes over from node1 although node2 comes first by name, and again after it was moved away by hand."""
    stage = staged(*THREE, lease_s=LEASE_S)
    opens(stage, "node1", relocPreferred=server_dn("node3"), relocFailback="3")
    stage.slapd.modify(activate_ldif("both", "node2"))
    with stage.watch() as watch:
        assert watch.until("node2", 5)
        began = time.monotonic_ns()
        assert watch.until("node3", 10)
        until(lambda: is_settled(stage, "node3", 3) and active(stage) == "node3")
        ended = time.monotonic_ns()
    assert ended - began > 2000 * MS
    assert not doubles(watch.probes)
    assert outage_ns(watch.probes, began, ended) < 1000 * MS
    stage.slapd.modify(activate_ldif("both", "node1"))
    with stage.watch() as watch:
        assert watch.until("node1", 5)
        stage.lan["node1"].cut()
        assert watch.until("node3", LEASE_S + 5)
    assert active(stage) == "node3"


def test_an_active_member_whose_service_is_sick_is_replaced_by_one_where_it_is_not(staged):
    """First node2 is sick, so node1 passes it over; then node3 is sick, too, and every member has failed."""
    stage = staged(*THREE, lease_s=LEASE_S)
    opens(stage, "node2")
    with stage.watch() as watch:
        assert watch.until("node2", 5)
        began = time.monotonic_ns()
        (stage.files("node2") / "sick").touch()
        change = watch.until("node1", 5)
        until(lambda: is_settled(stage, "node1", 2) and active(stage) == "node1")
        assert change
        assert change.answered_ns - began < (BAD_FOR_S + 1) * 1000 * MS
        (stage.files("node1") / "sick").touch()
        assert watch.until("node3", 5)
        until(lambda: is_settled(stage, "node3", 3) and active(stage) == "node3")
        (stage.files("node3") / "sick").touch()
        until(lambda: "failed here" in str(stage.status("node3")))
        back = time.monotonic_ns()
        until(lambda: time.monotonic_ns() > back + 2 * LEASE_S * 1000 * MS)
    assert not doubles(watch.probes)
    assert (active(stage), stage.holders(), state(stage.slapd, "web").generation) == ("node3", ["node3"], 3)
