"""A holder that is silent: who may take over, when, and what the client sees of it."""

from __future__ import annotations

import time

from tests.lab.deadline import until
from tests.lab.hosts.stage import ADDRESS
from tests.lab.probers.judgement import doubles, first_answer, holding, outage_ns
from tests.lab.slapd.ldif import link_ldif
from tests.lab.slapd.reading import State, heartbeat_ns, links, state

MS = 1_000_000
NOTICEABLE_NS = 50 * MS
"""What this machine keeps a prober waiting, and no more than that."""
LEASE_S, RELEASE_LEASE_S = 2.0, 4.0
AWAY_NS = int(5 * LEASE_S * 1e9)


def is_settled(stage, holder, generation):
    return state(stage.slapd, "web") == State(holder, generation=generation)


def test_server_that_is_cut_off_is_succeeded_and_lets_go_when_it_returns(staged):
    """Two witnesses, the directory and the wire: taken over within a lease and a second of its last heartbeat.

    Back on the wire it still has the address: until its agent has heard of it, two answer. It starts nothing.
    """
    stage = staged(lease_s=LEASE_S)
    stage.opens("web", template_sets=["unit"])
    with stage.watch() as watch:
        assert watch.until("node1", 5)
        stage.lan["node1"].cut()
        stage.slapd.modify(link_ldif("web", "node2"))
        change = watch.until("node2", LEASE_S + 5)
        until(lambda: is_settled(stage, "node2", 2) and not links(stage.slapd, "node1"))
        last_beat_ns = heartbeat_ns(stage.slapd, "node1")
        before = len(list(stage.nodes["node1"].lines()))
        stage.lan["node1"].heal()
        healed_ns = time.monotonic_ns()
        until(lambda: stage.holders() == ["node2"])
        let_go_ns = time.monotonic_ns()
        until(lambda: not stage.unit("node1", "web").runs and not stage.stands("node1", "web"))
    assert change
    assert LEASE_S * 1000 * MS < change.answered_ns - last_beat_ns < (LEASE_S + 1) * 1000 * MS
    assert let_go_ns - healed_ns < 3000 * MS  # in which the kernel sends again what opens a connection
    assert not [p for p in watch.probes if not p.asked and p.host == "node1" and p.sent_ns > healed_ns]
    returned = list(stage.nodes["node1"].lines())[before:]
    assert not any(line.action.startswith(("raise", "start", "announce")) for line in returned)
    assert state(stage.slapd, "web") == State("node2", generation=2)


def test_address_of_a_hung_agent_that_releases_is_dropped_by_the_kernel_before_the_next_one_raises_it(staged):
    stage = staged(lease_s=RELEASE_LEASE_S)
    stage.opens("web", relocIsolation="release")
    with stage.watch() as watch:
        assert watch.until("node1", 5)
        stage.nodes["node1"].pause()
        last_beat_ns = heartbeat_ns(stage.slapd, "node1")
        stage.slapd.modify(link_ldif("web", "node2"))
        until(lambda: "it releases the service within" in stage.words("node2", "web"))
        change = watch.until("node2", RELEASE_LEASE_S + 5)
        until(lambda: is_settled(stage, "node2", 2))
        stage.nodes["node1"].resume()
        until(lambda: not stage.stands("node1", "web"))
    assert change
    gone_ns = holding(watch.probes, "node1")[-1]
    assert gone_ns < last_beat_ns + (RELEASE_LEASE_S + 1) * 1000 * MS
    assert holding(watch.probes, "node2")[0] > gone_ns
    assert change.answered_ns < last_beat_ns + (2 * RELEASE_LEASE_S + 1) * 1000 * MS
    assert not doubles(watch.probes)
    assert stage.holders() == ["node2"]


def test_hung_agent_whose_address_answers_keeps_it(staged):
    """Silent in the directory alone is not dead: one witness is not enough."""
    stage = staged(lease_s=LEASE_S)
    stage.opens("web")
    with stage.watch() as watch:
        assert watch.until("node1", 5)
        began = time.monotonic_ns()
        stage.nodes["node1"].pause()
        stage.slapd.modify(link_ldif("web", "node2"))
        mac = stage.lan["node1"].mac
        until(lambda: f"node1 is silent in the directory but {ADDRESS} is answered by {mac}" in words(stage))
        ended = until(lambda: time.monotonic_ns() > began + 2 * LEASE_S * 1000 * MS and time.monotonic_ns())
        assert state(stage.slapd, "web") == State("node1", "node2", generation=1)
        stage.nodes["node1"].resume()
        until(lambda: is_settled(stage, "node2", 2))
    assert outage_ns(watch.probes, began, ended) < NOTICEABLE_NS
    assert not doubles(watch.probes)


def words(stage):
    return stage.words("node2", "web")


def test_directory_that_is_away_for_five_leases_moves_nothing(staged):
    """With `keep` the directory's outage is nobody else's, also when a second server waits for a move."""
    stage = staged(lease_s=LEASE_S)
    stage.opens("web", template_sets=["unit"])
    with stage.watch() as watch:
        assert watch.until("node1", 5)
        began = time.monotonic_ns()
        stage.slapd.stop()
        before = {name: len(list(node.lines())) for name, node in stage.nodes.items()}
        until(lambda: time.monotonic_ns() > began + AWAY_NS, 15)
        stage.slapd.start()
        for name, node in stage.nodes.items():  # soon, though the waits between attempts have grown to seconds
            node.wait_for(lambda line: line.message == "refresh complete", skip=before[name], timeout_s=2)
        ended = until(lambda: time.monotonic_ns() > began + AWAY_NS + 1000 * MS and time.monotonic_ns())
    assert outage_ns(watch.probes, began, ended) < NOTICEABLE_NS
    assert is_settled(stage, "node1", 1)
    assert not any(line.action.startswith("drop") for line in stage.nodes["node1"].lines())


def test_holder_that_returns_after_a_crash_of_its_machine_starts_nothing(staged):
    """Agent killed and addresses gone, as after a boot; meanwhile another server has taken over."""
    stage = staged(lease_s=LEASE_S)
    stage.opens("web", template_sets=["unit"])
    crash(stage)
    stage.slapd.modify(link_ldif("web", "node2"))
    until(lambda: is_settled(stage, "node2", 2) and not links(stage.slapd, "node1"), LEASE_S + 5)
    until(lambda: stage.holders() == ["node2"])
    node1 = stage.nodes["node1"]
    before = len(list(node1.lines()))
    with stage.watch() as watch:
        assert watch.until("node2", 5)
        began = time.monotonic_ns()
        node1.start()
        node1.wait_for(lambda line: line.message == "refresh complete", skip=before)
        until(lambda: not stage.stands("node1", "web"))
        ended = until(lambda: time.monotonic_ns() > began + 1000 * MS and time.monotonic_ns())
    assert outage_ns(watch.probes, began, ended) < NOTICEABLE_NS
    assert not first_answer(watch.probes, "node1", 0)
    assert not any(line.action.startswith(("raise", "start")) for line in list(node1.lines())[before:])
    assert is_settled(stage, "node2", 2)


def test_holder_that_returns_in_time_serves_again(staged):
    """Nobody has asked for its service: after a crash of its machine it raises what it holds."""
    stage = staged(lease_s=LEASE_S)
    stage.opens("web", template_sets=["unit"])
    crash(stage)
    stage.nodes["node1"].start()
    until(lambda: stage.holders() == ["node1"] and stage.unit("node1", "web").runs)
    assert is_settled(stage, "node1", 1)


def crash(stage):
    """The machine of node1 goes down: no agent, no address, no unit."""
    stage.nodes["node1"].kill()
    stage.lan["node1"].run(["ip", "address", "delete", f"{ADDRESS}/24", "dev", "eth0"])
    stage.unit("node1", "web").vanish()
