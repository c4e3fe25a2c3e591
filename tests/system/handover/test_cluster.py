"""Services of a cluster: they follow relocActive, whoever sets it."""

from __future__ import annotations

import time

from tests.lab.deadline import until
from tests.lab.hosts.stage import ADDRESS
from tests.lab.probers.judgement import doubles, outage_ns
from tests.lab.slapd.ldif import (
    activate_ldif,
    cluster_dn,
    cluster_ldif,
    link_ldif,
    server_dn,
    server_ldif,
    service_ldif,
)
from tests.lab.slapd.reading import attributes, heartbeat_ns, links, state
from tests.system.handover.test_takeover import LEASE_S, MS, is_settled


def opens(stage, failover="manual"):
    """The cluster `both` with the service web, all servers its members, node1 the active one."""
    stage.slapd.add(
        service_ldif("web", addresses=[f"{ADDRESS}/24"], template_sets=["unit"])
        + cluster_ldif("both", services=["web"], active="node1", relocFailover=failover)
        + "".join(server_ldif(name, clusters=["both"]) for name in stage.names)
    )
    stage.start()
    until(lambda: stage.stands("node1", "web") == "active")


def active(stage):
    return attributes(stage.slapd, cluster_dn("both"))["relocActive"]


def test_another_active_server_is_a_planned_move(staged):
    stage = staged()
    opens(stage)
    with stage.watch() as watch:
        assert watch.until("node1", 5)
        began = time.monotonic_ns()
        stage.slapd.modify(activate_ldif("both", "node2"))
        assert watch.until("node2", 5)
        until(lambda: is_settled(stage, "node2", 2) and stage.stands("node2", "web") == "active")
        ended = time.monotonic_ns()
    assert not doubles(watch.probes)
    assert outage_ns(watch.probes, began, ended) < 1000 * MS
    assert stage.stands("node1", "web") == "standby"
    assert not stage.unit("node1", "web").runs


def test_active_server_that_fails_gives_back_and_does_not_ask_again(staged):
    """The cluster goes on naming it: only a change makes it try again, not time."""
    stage = staged()
    opens(stage)
    stage.unit("node2", "web").spoil()
    with stage.watch() as watch:
        assert watch.until("node1", 5)
        began = time.monotonic_ns()
        stage.slapd.modify(activate_ldif("both", "node2"))
        until(lambda: state(stage.slapd, "web").generation == 3)
        until(lambda: stage.holders() == ["node1"] and stage.unit("node1", "web").runs)
        until(lambda: "failed here" in stage.words("node2", "web"))
        back = time.monotonic_ns()
        ended = until(lambda: time.monotonic_ns() > back + 2000 * MS and time.monotonic_ns())
    assert not doubles(watch.probes)
    assert outage_ns(watch.probes, began, ended) < 2000 * MS
    assert outage_ns(watch.probes, back, ended) < 100 * MS
    assert state(stage.slapd, "web").generation == 3
    assert active(stage) == [server_dn("node2")]
    stage.unit("node2", "web").mend()
    stage.slapd.modify(activate_ldif("both", "node1"))
    until(lambda: "failed here" not in stage.words("node2", "web"))
    stage.slapd.modify(activate_ldif("both", "node2"))
    until(lambda: is_settled(stage, "node2", 4) and stage.holders() == ["node2"])


def test_automatic_cluster_fails_over_by_itself(staged):
    """No trigger at all: a member makes the modify that a person would have made."""
    stage = staged("node1", "node2", "node3", lease_s=LEASE_S)
    opens(stage, "automatic")
    with stage.watch() as watch:
        assert watch.until("node1", 5)
        stage.lan["node1"].cut()
        change = watch.until("node2", LEASE_S + 5)
        until(lambda: is_settled(stage, "node2", 2))
        last_beat_ns = heartbeat_ns(stage.slapd, "node1")
        assert active(stage) == [server_dn("node2")]
        stage.lan["node1"].heal()
        until(lambda: stage.holders() == ["node2"] and stage.stands("node1", "web") == "standby")
        assert is_settled(stage, "node2", 2)
    assert change
    assert change.answered_ns - last_beat_ns < (LEASE_S + 2) * 1000 * MS


def test_external_cluster_gets_files_only(staged):
    """Addresses and units belong to its cluster manager: on no server anything is raised or started."""
    stage = staged()
    stage.slapd.add(
        service_ldif("web", addresses=[f"{ADDRESS}/24"], template_sets=["unit"])
        + cluster_ldif("both", services=["web"], active="node1", relocFailover="external")
        + "".join(server_ldif(name, clusters=["both"]) for name in stage.names)
    )
    stage.start()
    until(lambda: written(stage) == ["node1"])
    stage.slapd.modify(activate_ldif("both", "node2"))
    until(lambda: written(stage) == ["node2"])
    assert not stage.holders()
    assert not any(stage.unit(name, "web").runs for name in stage.names)
    assert state(stage.slapd, "web").generation == 0


def written(stage):
    """The servers on which the file of the active role is."""
    return [name for name in stage.names if (stage.files(name) / "web.conf").exists()]


def test_direct_link_outranks_the_cluster(staged):
    """The active member yields to a server that is linked directly, and resumes when that link goes."""
    stage = staged("node1", "node2", "node3")
    opens(stage)
    with stage.watch() as watch:
        assert watch.until("node1", 5)
        stage.slapd.modify(link_ldif("web", "node3"))
        until(lambda: state(stage.slapd, "web").holder == "node3" and stage.holders() == ["node3"])
        until(lambda: not state(stage.slapd, "web").previous)
        stage.slapd.modify(activate_ldif("both", "node2"))
        until(lambda: stage.words("node2", "web"))
        assert stage.holders() == ["node3"]
        stage.slapd.modify(link_ldif("web", "node3", verb="delete"))
        until(lambda: stage.holders() == ["node2"] and not state(stage.slapd, "web").previous)
    assert not doubles(watch.probes)
    assert active(stage) == [server_dn("node2")]
    assert not links(stage.slapd, "node3")
